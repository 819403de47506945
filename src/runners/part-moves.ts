import type { Clock, Timer } from '../time/clock.ts';
import { type Company, misplaced, type Place } from './placement.ts';
import type { ThreadPart } from './thread-part.ts';
import type { ThreadRun } from './thread-run.ts';
import type { ThreadSet } from './thread-set.ts';

/** So often is looked for parts that had to go where they should not be, as no thread could be started, milliseconds. */
export const repairEveryMs = 10_000;

/**
 * From the verdict to the first step, in which time most of what a dead thread took along is dialled again, and from
 * step to step until everybody is in place, milliseconds.
 */
export const stepMs = 1000;

/** A step is small, so that nobody feels it: a new thread has a core to itself for a fifth of a second, and a part dials anew. */
const movesInStep = 10;

interface PartMovesOptions {
  readonly clock: Clock;
  readonly runs: Iterable<ThreadRun>;
  readonly threads: ThreadSet;
  readonly companyOf: (tunnel: string) => Company;
  /** Where a part of the run would be placed now. */
  readonly placeFor: (run: ThreadRun) => Place | null;
}

interface Move {
  readonly part: ThreadPart;
  readonly needsThread: boolean;
}

/**
 * Moves parts that are in the wrong company, or both on one thread without need, to where they belong: a few in a step,
 * of which one may need a new thread, and only while no other thread starts. Of a tunnel one part moves at a time, while
 * the other serves. Owns the timer of the steps.
 */
export class PartMoves {
  readonly #options: PartMovesOptions;
  #timer: Timer | null = null;
  #isStepping = false;
  #isClosed = false;

  constructor(options: PartMovesOptions) {
    this.#options = options;
    this.#stepAfter(repairEveryMs);
  }

  /** Tunnels were put apart or let out. Verdicts that come while steps are made do not put these off. */
  verdictChanged(sharedThreads: number): void {
    this.#openThreads(sharedThreads);
    if (!this.#isStepping) this.#stepAfter(stepMs);
  }

  /** Nothing is moved any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /**
   * A thread that was for those in quarantine and has none of them any more is left by those that are on it, and ends. But
   * it is for any from now on if one of them cannot leave without a gap, or if threads to share are too few.
   */
  #openThreads(sharedThreads: number): void {
    const { threads, companyOf } = this.#options;
    for (const host of threads.hosts.values()) {
      const runs = Array.from(host.tenants.values(), ({ run }) => run);
      if (host.company === 'any' || runs.some(({ tunnel }) => companyOf(tunnel) === host.company)) continue;
      const canLeave = runs.every(({ parts }) => parts.size > 1);
      if (!canLeave || threads.countFor('any') < sharedThreads) host.company = 'any';
    }
  }

  #stepAfter(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#isStepping = delayMs === stepMs;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#stepAfter(this.#step() ? stepMs : repairEveryMs);
    });
  }

  /** True while another step should follow soon. */
  #step(): boolean {
    const { runs, threads, companyOf } = this.#options;
    let moves = 0;
    let mayStart = threads.maySpawn && !threads.isStarting;
    let isMore = false;
    for (const run of runs) {
      if (!run.isSettled) {
        // What it has lost comes first.
        isMore ||= companyOf(run.tunnel) !== 'any';
        continue;
      }
      const move = this.#moveOf(run);
      if (move === null) continue;
      isMore = true;
      if (move.needsThread && !mayStart) continue;
      run.move(move.part);
      mayStart &&= !move.needsThread;
      if (++moves === movesInStep) break;
    }
    return isMore;
  }

  #moveOf(run: ThreadRun): Move | null {
    const { threads, companyOf, placeFor } = this.#options;
    const parts = [...run.parts];
    const homes = parts.flatMap((part) => threads.hostOf(part) ?? []);
    // The only part cannot move without a gap; one whose thread has just died is about to be lost.
    if (parts.length < 2 || homes.length < parts.length) return null;
    const company = companyOf(run.tunnel);
    const areApart = new Set(homes).size > 1;
    if (areApart && homes.every((home) => home.company === company)) return null;
    const place = placeFor(run);
    const target = place?.kind === 'thread' ? threads.hosts.get(place.id) : place;
    const part = target ? parts[misplaced(homes, target)] : undefined;
    return part === undefined ? null : { part, needsThread: place?.kind === 'new' };
  }
}
