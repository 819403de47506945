import { randomUUID } from 'node:crypto';
import type { RunFact, TunnelRun, TunnelRunRequest } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';
import { type Fault, fault } from '../fault.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { TunnelEnding } from '../tunnel/link.ts';
import { parseTunnelToken } from '../tunnel/token.ts';
import type { ThreadPart } from './thread-part.ts';

/**
 * Of parts that are lost while others serve on. The first time they start again at once: how many of them dial side by
 * side each thread decides for itself.
 */
export const partBackoff: Backoff = { baseMs: 400, capMs: 30_000, healthyAfterMs: 60_000 };

/** Where a part stands among those that one thread took along, in [0, 1): it spreads their restarts in time. */
const alone = 0.5;

export interface ThreadRunOptions {
  readonly clock: Clock;
  readonly graceMs: number;
  /**
   * Starts a part with these connections, which a dead thread may have had, on some thread and `begun` with it, or
   * says why that cannot be.
   */
  place(run: ThreadRun, connections: readonly number[], lost: boolean): Fault | null;
  /** Such a part is to wait until `takeTurn`. */
  mustWait(run: ThreadRun, lost: boolean): boolean;
}

/**
 * One run of a tunnel over the threads that carry its parts. A part that is lost is started again elsewhere while
 * another one serves; the run ends when it has none left. Owns its parts and their restarts.
 */
export class ThreadRun implements TunnelRun {
  readonly id: string;
  readonly request: TunnelRunRequest;
  /** Read once: its parts start again and again, many of them at the same time. */
  readonly token: ReturnType<typeof parseTunnelToken>;
  /** Its own, so that the edge does not take a successor's connections for duplicates of those it replaces. */
  readonly connectorId = randomUUID();
  readonly #options: ThreadRunOptions;
  readonly #hear: (fact: RunFact) => void;
  readonly #parts = new Set<ThreadPart>();
  /** Restarts of lost parts that are due later. */
  readonly #restarts = new Set<Timer>();
  /** What is to start when it may (`takeTurn`). */
  #waiting: { readonly connections: readonly number[]; readonly lost: boolean }[] = [];
  readonly #registered = new Set<number>();
  /** The part that leaves its thread for another one. */
  #moving: ThreadPart | null = null;
  #routes: RouteTable;
  /** Null until it was told. */
  #isApart: boolean | null = null;
  #losses = 0;
  #lastLossMs = 0;
  #state: 'running' | 'stopping' | 'ended' = 'running';
  /** What the ending will say. */
  #fault: Fault | null = null;

  constructor(
    id: string,
    request: TunnelRunRequest,
    options: ThreadRunOptions,
    hear: (fact: RunFact) => void,
  ) {
    this.id = id;
    this.request = request;
    this.token = parseTunnelToken(request.tunnel.token);
    this.#routes = request.routes;
    this.#options = options;
    this.#hear = hear;
  }

  get tunnel(): string {
    return this.request.tunnel.id;
  }

  /** What a part that starts now serves. */
  get routes(): RouteTable {
    return this.#routes;
  }

  get parts(): ReadonlySet<ThreadPart> {
    return this.#parts;
  }

  /** Every part serves, so that one of them may be moved without a gap. */
  get isSettled(): boolean {
    return (
      this.#state === 'running' &&
      this.#moving === null &&
      this.#restarts.size === 0 &&
      this.#waiting.length === 0 &&
      [...this.#parts].every((part) => part.connections.some((index) => this.#registered.has(index)))
    );
  }

  begun(part: ThreadPart): void {
    this.#parts.add(part);
  }

  updateRoutes(routes: RouteTable): void {
    this.#routes = routes;
    for (const { thread, id } of this.#parts) thread.send({ type: 'tunnel.routes', run: id, routes });
  }

  stop(): void {
    if (this.#state !== 'running') return;
    this.#giveUpRestarts();
    for (const part of this.#parts) part.stop(this.#options.graceMs);
  }

  kill(): void {
    if (this.#state === 'ended') return;
    this.#giveUpRestarts();
    for (const part of this.#parts) part.kill();
  }

  /** It never began. */
  fail(cause: Fault): void {
    this.#fault ??= cause;
    this.#endIfOver();
  }

  registered(part: ThreadPart, connIndex: number): void {
    // It was told to leave meanwhile, and will not say that the connection is gone.
    if (part.stopping) return;
    this.#registered.add(connIndex);
    this.#tellConnections();
  }

  access(problem: string | null): void {
    this.#hear({ type: 'access', problem });
  }

  /** Told once at the beginning, for the run before may have ended in quarantine, and then only when it changes. */
  quarantined(isApart: boolean): void {
    if (isApart === this.#isApart) return;
    this.#isApart = isApart;
    this.#hear({ type: 'quarantine', isApart });
  }

  lost(connIndex: number, cause: Fault): void {
    const wasRegistered = this.#registered.delete(connIndex);
    this.#hear({ type: 'lost', connIndex, fault: cause });
    if (wasRegistered) this.#tellConnections();
  }

  /** Unregisters the part, lets its requests finish, then has it placed anew. Its tunnel must be settled. */
  move(part: ThreadPart): void {
    this.#moving = part;
    for (const index of part.connections) this.#registered.delete(index);
    this.#tellConnections();
    part.stop(this.#options.graceMs);
  }

  /** What waits may start now, if it need not wait again. */
  takeTurn(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { connections, lost } of waiting) this.#start(connections, lost);
  }

  /** The connector of a part ended, its thread did not. */
  partEnded(part: ThreadPart, ending: TunnelEnding): void {
    if (ending.how === 'failed') return this.partLost(part, ending.fault);
    if (this.#state === 'running' && !part.stopping) {
      return this.partLost(part, fault('edge-lost', 'the connector ended by itself'));
    }
    const moved = this.#moving === part;
    this.#forget(part);
    if (this.#state !== 'running') this.#endIfOver();
    else if (moved) this.#start(part.connections, false);
  }

  /** `position` as the part's place among those that were lost at once. */
  partLost(part: ThreadPart, cause: Fault, position: number = alone): void {
    this.#forget(part);
    if (this.#state !== 'running' || this.#parts.size === 0) {
      this.#fault ??= cause;
      return this.#endIfOver();
    }
    const before = this.#registered.size;
    for (const index of part.connections) {
      this.#registered.delete(index);
      this.#hear({ type: 'lost', connIndex: index, fault: cause });
    }
    if (this.#registered.size < before) this.#tellConnections();
    this.#startLater(part.connections, position);
  }

  #startLater(connections: readonly number[], position: number): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs - this.#lastLossMs >= partBackoff.healthyAfterMs) this.#losses = 0;
    const delayMs = this.#losses === 0 ? 0 : backoffDelayMs(partBackoff, this.#losses, position);
    this.#losses++;
    this.#lastLossMs = nowMs;
    const timer = clock.after(delayMs, () => {
      this.#restarts.delete(timer);
      this.#start(connections, true);
    });
    this.#restarts.add(timer);
  }

  #start(connections: readonly number[], lost: boolean): void {
    const { place, mustWait } = this.#options;
    // While another part serves.
    if (this.#parts.size > 0 && mustWait(this, lost)) return void this.#waiting.push({ connections, lost });
    const problem = place(this, connections, lost);
    if (problem === null) return;
    if (this.#parts.size === 0) this.fail(problem);
    else this.#startLater(connections, alone);
  }

  #giveUpRestarts(): void {
    this.#state = 'stopping';
    for (const timer of this.#restarts) timer.cancel();
    this.#restarts.clear();
    this.#waiting = [];
  }

  #forget(part: ThreadPart): void {
    this.#parts.delete(part);
    part.gone();
    if (this.#moving === part) this.#moving = null;
  }

  #endIfOver(): void {
    if (this.#parts.size > 0 || this.#state === 'ended') return;
    this.#giveUpRestarts();
    this.#state = 'ended';
    this.#hear({ type: 'ended', fault: this.#fault });
  }

  #tellConnections(): void {
    this.#hear({ type: 'connections', registered: this.#registered.size });
  }
}
