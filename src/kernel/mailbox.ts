import PQueue from 'p-queue';

/** What waits; a newer letter with the same key takes its place. */
interface Slot<L> {
  letter: L;
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
 * came. It outlives restarts of its actor and is paused from the start until `resume`. The kernel's one door to
 * p-queue.
 */
export class Mailbox<L> {
  readonly #queue = new PQueue({ concurrency: 1, autoStart: false });
  readonly #events: MailboxEvents<L>;
  readonly #waiting = new Set<Slot<L>>();
  readonly #keyed = new Map<string, Slot<L>>();
  #release: (() => void) | undefined;

  constructor(events: MailboxEvents<L>) {
    this.#events = events;
  }

  /** Letters that wait; the one being delivered is not counted. */
  get depth(): number {
    return this.#waiting.size;
  }

  put(letter: L, priority: number, key?: string): void {
    const older = key === undefined ? undefined : this.#keyed.get(key);
    if (older !== undefined) {
      older.letter = letter;
      return;
    }
    const slot: Slot<L> = { letter, key };
    this.#waiting.add(slot);
    if (key !== undefined) this.#keyed.set(key, slot);
    this.#events.depthChanged(1);
    void this.#queue.add(() => this.#open(slot), { priority });
  }

  pause(): void {
    this.#queue.pause();
  }

  resume(): void {
    this.#queue.start();
  }

  /** Goes on although the letter being delivered has not settled. */
  release(): void {
    this.#release?.();
  }

  /** Takes out everything that waits. */
  drain(): readonly L[] {
    const letters = Array.from(this.#waiting, (slot) => slot.letter);
    this.#queue.clear();
    this.#waiting.clear();
    this.#keyed.clear();
    if (letters.length > 0) this.#events.depthChanged(-letters.length);
    return letters;
  }

  async #open(slot: Slot<L>): Promise<void> {
    // The queue starts a first task at once: without this turn a letter would be read on its teller's stack.
    await undefined;
    if (!this.#waiting.delete(slot)) return;
    if (slot.key !== undefined) this.#keyed.delete(slot.key);
    this.#events.depthChanged(-1);
    const delivered = this.#events.deliver(slot.letter);
    if (delivered === undefined) return;
    const released = Promise.withResolvers<void>();
    this.#release = released.resolve;
    await Promise.race([delivered, released.promise]);
    this.#release = undefined;
  }
}
