import type { Clock, Timer } from '../time/clock.ts';

/** So many attempts of one thread may be under way: at first, whatever they take, and at most. */
export const firstAtOnce = 16;
export const leastAtOnce = 8;
export const mostAtOnce = 256;

/**
 * An attempt that waits for a step which nobody has done at its address for so long holds nobody up any more,
 * milliseconds: for TCP to reach the edge, and for the edge to register it.
 */
export const stallMs = { reach: 1_000, register: 3_000 } as const;

type Step = keyof typeof stallMs;

/** As many as are let in at first: they may all hang before an edge that is wedged, and others be for one that is not. */
const mostHanging = firstAtOnce;

/** As quick as the quickest attempt is one that took no more than this. */
const quickMs = (quickestMs: number): number => 2 * quickestMs + 100;
/** More than this says that attempts wait for each other. */
const slowMs = (quickestMs: number): number => 4 * quickestMs + 200;

/** One attempt to connect, from when it asks to be let in. Its owner ends it, also while it waits. */
export interface Turn {
  /** It goes to this address. */
  dials(address: string): void;
  /** TCP has reached the edge. */
  reached(): void;
  /** Nothing follows. Idempotent. */
  end(registered: boolean): void;
}

/**
 * How many connections of a thread are dialled and registered side by side. When a thousand tunnels begin at once, all
 * handshakes take turns on the same cores, the edge's as ours: all are done late, or run into their bounds and
 * begin again, and the edge works for those that have left. So at first few are let in, then one more with each that
 * registers about as quickly as the quickest did, and one less with each that takes much longer, as TCP Vegas finds
 * out how much a path takes before queues build up on it. With an edge that is far away and not busy that is soon
 * all of them.
 *
 * Those of tunnels with the fewest connections come first. One that hangs at an address where others get on is what
 * a busy edge looks like and keeps its place; where nobody gets on, the address is dead and the place is given on.
 * Where nobody gets on anywhere, we may be what keeps the edge or the machine too busy, and each one more makes all of
 * them later, until they run into their bounds and begin again: so no more than `mostHanging` places are given on then.
 */
export class DialGate {
  readonly #clock: Clock;
  /** By rank, in order of arrival. */
  readonly #waiting: Set<Attempt>[] = [];
  readonly #letIn = new Set<Attempt>();
  /** Those that TCP has reached the edge for and that gave their places on. */
  readonly #hanging = new Set<Attempt>();
  /** When a step was last done at an address. */
  readonly #lastMs: Readonly<Record<Step, Map<string, number>>> = { reach: new Map(), register: new Map() };
  #atOnce = firstAtOnce;
  #quickestMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `go` once, after this has returned, unless the turn was ended before. Low ranks are first. */
  enter(rank: number, go: () => void): Turn {
    if (this.#letIn.size === 0) this.#forget();
    while (this.#waiting.length <= rank) this.#waiting.push(new Set());
    const queue = this.#waiting[rank]!;
    const attempt = new Attempt(this.#clock, go, {
      lastMs: (step, address) => this.#lastMs[step].get(address),
      did: (step, address) => this.#lastMs[step].set(address, this.#clock.monotonic()),
      stalled: (step) => {
        if (step === 'register') {
          if (this.#hanging.size >= mostHanging && !this.#somebodyRegisters()) return false;
          this.#hanging.add(attempt);
        }
        this.#shrink();
        this.#leave(attempt);
        return true;
      },
      ended: (tookMs, registered) => {
        queue.delete(attempt);
        this.#hanging.delete(attempt);
        if (registered) this.#learn(tookMs);
        else if (tookMs > slowMs(this.#quickestMs)) this.#shrink();
        this.#leave(attempt);
      },
    });
    queue.add(attempt);
    queueMicrotask(() => this.#fill());
    return attempt;
  }

  #leave(attempt: Attempt): void {
    if (this.#letIn.delete(attempt)) this.#fill();
  }

  #fill(): void {
    while (this.#letIn.size < this.#atOnce) {
      const queue = this.#next();
      if (queue === undefined) return;
      const [attempt] = queue;
      queue.delete(attempt!);
      this.#letIn.add(attempt!);
      attempt!.begin();
    }
  }

  #next(): Set<Attempt> | undefined {
    return this.#waiting.find(({ size }) => size > 0);
  }

  #somebodyRegisters(): boolean {
    const sinceMs = this.#clock.monotonic() - stallMs.register;
    return [...this.#lastMs.register.values()].some((lastMs) => lastMs > sinceMs);
  }

  /** The edge of the last time may be another one by now, or as busy as it was then. */
  #forget(): void {
    this.#atOnce = firstAtOnce;
    this.#quickestMs = Number.POSITIVE_INFINITY;
    for (const addresses of Object.values(this.#lastMs)) addresses.clear();
  }

  #learn(tookMs: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, tookMs);
    if (tookMs > slowMs(this.#quickestMs)) this.#shrink();
    else if (tookMs <= quickMs(this.#quickestMs) && this.#next() !== undefined) {
      this.#atOnce = Math.min(mostAtOnce, this.#atOnce + 1);
    }
  }

  #shrink(): void {
    this.#atOnce = Math.max(leastAtOnce, this.#atOnce - 1);
  }
}

interface AttemptEvents {
  lastMs(step: Step, address: string): number | undefined;
  did(step: Step, address: string): void;
  /** It hangs where nobody gets on. False: it keeps its place for now. */
  stalled(step: Step): boolean;
  /** `tookMs` is 0 when it had not dialled. */
  ended(tookMs: number, registered: boolean): void;
}

class Attempt implements Turn {
  readonly begin: () => void;
  readonly #clock: Clock;
  readonly #events: AttemptEvents;
  #isOver = false;
  #address = '';
  /** Looking for the edge says nothing about how busy it is. */
  #dialledAtMs: number | null = null;
  #timer: Timer | null = null;

  constructor(clock: Clock, go: () => void, events: AttemptEvents) {
    this.begin = go;
    this.#clock = clock;
    this.#events = events;
  }

  dials(address: string): void {
    this.#address = address;
    this.#dialledAtMs = this.#clock.monotonic();
    this.#expect('reach', this.#dialledAtMs);
  }

  reached(): void {
    if (this.#isOver) return;
    this.#events.did('reach', this.#address);
    this.#expect('register', this.#clock.monotonic());
  }

  end(registered: boolean): void {
    if (this.#isOver) return;
    const tookMs = this.#dialledAtMs === null ? 0 : this.#clock.monotonic() - this.#dialledAtMs;
    this.#isOver = true;
    this.#timer?.cancel();
    if (registered) this.#events.did('register', this.#address);
    this.#events.ended(tookMs, registered);
  }

  /** Looks after a while whether anybody has done that step at the address since. */
  #expect(step: Step, sinceMs: number): void {
    this.#timer?.cancel();
    const dueMs = sinceMs + stallMs[step] - this.#clock.monotonic();
    this.#timer = this.#clock.after(dueMs, () => {
      // Where the thread itself was busy, what came meanwhile is read between two timers.
      this.#timer = this.#clock.after(0, () => {
        const lastMs = this.#events.lastMs(step, this.#address) ?? 0;
        if (lastMs > sinceMs) this.#expect(step, lastMs);
        else if (!this.#events.stalled(step)) this.#expect(step, this.#clock.monotonic());
      });
    });
  }
}
