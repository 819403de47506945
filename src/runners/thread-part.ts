import { fault } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { RunId } from '../tunnel/link.ts';
import type { HostThread } from './thread-pool.ts';

/** Beyond its grace period, and again after it was told to end at once, a part may take so long, milliseconds. */
export const endingSlackMs = 5000;

/** Some of a tunnel's connections on one thread: a run of its own on that thread's link. */
export class ThreadPart {
  readonly id: RunId;
  readonly connections: readonly number[];
  readonly thread: HostThread;
  readonly #clock: Clock;
  #state: 'running' | 'stopping' | 'killed' | 'gone' = 'running';
  #timer: Timer | null = null;

  constructor(id: RunId, connections: readonly number[], thread: HostThread, clock: Clock) {
    this.id = id;
    this.connections = connections;
    this.thread = thread;
    this.#clock = clock;
  }

  get stopping(): boolean {
    return this.#state !== 'running';
  }

  /** Asks it to drain for at most `graceMs`. Idempotent. */
  stop(graceMs: number): void {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    this.#tellStop(graceMs, () => this.kill());
  }

  /** Asks it to end at once; a thread that cannot even do that is ended itself. Idempotent. */
  kill(): void {
    if (this.#state !== 'running' && this.#state !== 'stopping') return;
    this.#state = 'killed';
    this.#tellStop(0, () =>
      this.thread.kill(
        fault('thread-unresponsive', `a tunnel did not end within ${endingSlackMs} ms after it was told to`),
      ),
    );
  }

  /** It has ended, with or without its thread. */
  gone(): void {
    this.#state = 'gone';
    this.#timer?.cancel();
  }

  #tellStop(graceMs: number, whenLate: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(graceMs + endingSlackMs, whenLate);
    this.thread.send({ type: 'tunnel.stop', run: this.id, graceMs });
  }
}
