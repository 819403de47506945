/** What waits; a newer letter with the same key takes its place. */
interface Slot<L> {
  letter: L;
  readonly priority: number;
  readonly key: string | undefined;
}

export interface MailboxEvents<L> {
  /** Never throws or rejects; the next letter waits until it has settled, or until `release`. */
  deliver(letter: L): void | Promise<void>;
  /** The number of waiting letters has changed by so many. */
  depthChanged(delta: number): void;
}

/**
 * The letters of one actor, delivered one at a time: higher priority first, then in the order in which they
 * came. It outlives restarts of its actor and is paused from the start until `resume`.
 *
 * Nearly every letter finds its mailbox empty, and there are thousands of mailboxes. One that is empty keeps nothing:
 * V8 makes a new table in the old generation for each entry that is taken out of a `Map` or `Set` that is old itself,
 * and what is thrown away there is only found again by marking the whole heap, which grows with the number of actors.
 */
export class Mailbox<L> {
  readonly #events: MailboxEvents<L>;
  /** By priority, then as they came. */
  #slots: Slot<L>[] = [];
  #keyed: Map<string, Slot<L>> | null = null;
  #paused = true;
  #isReading = false;
  #release: (() => void) | undefined;

  constructor(events: MailboxEvents<L>) {
    this.#events = events;
  }

  /** Letters that wait; the one being delivered is not counted. */
  get depth(): number {
    return this.#slots.length;
  }

  put(letter: L, priority: number, key?: string): void {
    const older = key === undefined ? undefined : this.#keyed?.get(key);
    if (older !== undefined) {
      older.letter = letter;
      return;
    }
    const slot: Slot<L> = { letter, priority, key };
    this.#insert(slot);
    if (key !== undefined) {
      this.#keyed ??= new Map();
      this.#keyed.set(key, slot);
    }
    this.#events.depthChanged(1);
    if (!this.#isReading) void this.#read();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (!this.#isReading) void this.#read();
  }

  /** Goes on although the letter being delivered has not settled. */
  release(): void {
    this.#release?.();
  }

  /** Takes out everything that waits. */
  drain(): readonly L[] {
    const letters = this.#slots.map((slot) => slot.letter);
    this.#empty();
    if (letters.length > 0) this.#events.depthChanged(-letters.length);
    return letters;
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (!this.#paused && this.depth > 0) {
      // No letter is read on its teller's stack, and between two of them others have their turn.
      await undefined;
      if (this.#paused || this.depth === 0) break;
      const delivered = this.#events.deliver(this.#take());
      if (delivered === undefined) continue;
      const released = Promise.withResolvers<void>();
      this.#release = released.resolve;
      await Promise.race([delivered, released.promise]);
      this.#release = undefined;
    }
    this.#isReading = false;
  }

  #insert(slot: Slot<L>): void {
    let at = this.#slots.length;
    while (at > 0 && this.#slots[at - 1]!.priority < slot.priority) at--;
    this.#slots.splice(at, 0, slot);
  }

  #take(): L {
    const { letter, key } = this.#slots.shift()!;
    if (this.depth === 0) this.#empty();
    else if (key !== undefined) this.#keyed?.delete(key);
    this.#events.depthChanged(-1);
    return letter;
  }

  #empty(): void {
    this.#slots = [];
    this.#keyed = null;
  }
}
