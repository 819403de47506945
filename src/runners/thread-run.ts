import type { RunFact, TunnelRun } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';
import { type Fault, fault } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { RunId } from '../tunnel/link.ts';
import type { HostThread } from './thread-pool.ts';

/** Beyond its grace period, and again after it was told to end at once, a run may take so long, milliseconds. */
export const endingSlackMs = 5000;

export interface ThreadRunOptions {
  readonly clock: Clock;
  readonly graceMs: number;
}

interface RunPart {
  readonly thread: HostThread;
  /** The part is over: its thread may go. */
  leave(): void;
}

/**
 * One run of a tunnel over the threads that carry its parts. When one part fails the others are ended, too, and
 * `ended` is told after the last one, with the first fault.
 */
export class ThreadRun implements TunnelRun {
  readonly id: RunId;
  readonly host: string;
  readonly #options: ThreadRunOptions;
  readonly #hear: (fact: RunFact) => void;
  readonly #parts = new Map<HostThread, RunPart>();
  readonly #registered = new Set<number>();
  #state: 'running' | 'stopping' | 'killed' | 'ended' = 'running';
  #fault: Fault | null = null;
  #timer: Timer | null = null;

  constructor(id: RunId, host: string, options: ThreadRunOptions, hear: (fact: RunFact) => void) {
    this.id = id;
    this.host = host;
    this.#options = options;
    this.#hear = hear;
  }

  add(part: RunPart): void {
    this.#parts.set(part.thread, part);
  }

  updateRoutes(routes: RouteTable): void {
    for (const thread of this.#parts.keys()) thread.send({ type: 'tunnel.routes', run: this.id, routes });
  }

  stop(): void {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    this.#tellStop(this.#options.graceMs, () => this.kill());
  }

  /** A thread that cannot even end a tunnel at once is ended itself. */
  kill(): void {
    if (this.#state !== 'running' && this.#state !== 'stopping') return;
    this.#state = 'killed';
    this.#tellStop(0, () => {
      const cause = fault('thread-unresponsive', `a tunnel did not end within ${endingSlackMs} ms`);
      for (const thread of this.#parts.keys()) thread.kill(cause);
    });
  }

  fail(cause: Fault): void {
    this.#fault ??= cause;
    this.#endIfOver();
  }

  registered(connIndex: number): void {
    this.#registered.add(connIndex);
    this.#hear({ type: 'connections', registered: this.#registered.size });
  }

  lost(connIndex: number, cause: Fault): void {
    const wasRegistered = this.#registered.delete(connIndex);
    this.#hear({ type: 'lost', connIndex, fault: cause });
    if (wasRegistered) this.#hear({ type: 'connections', registered: this.#registered.size });
  }

  /** Null is an end that was asked for. */
  partEnded(thread: HostThread, cause: Fault | null): void {
    const part = this.#parts.get(thread);
    if (part === undefined) return;
    this.#parts.delete(thread);
    this.#fault ??= cause;
    part.leave();
    if (cause !== null) this.kill();
    this.#endIfOver();
  }

  #tellStop(graceMs: number, whenLate: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(graceMs + endingSlackMs, whenLate);
    for (const thread of this.#parts.keys()) thread.send({ type: 'tunnel.stop', run: this.id, graceMs });
  }

  #endIfOver(): void {
    if (this.#parts.size > 0 || this.#state === 'ended') return;
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#hear({ type: 'ended', fault: this.#fault });
  }
}
