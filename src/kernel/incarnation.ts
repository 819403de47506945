import { type Fault, FaultError, fault } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { Actor, ActorContext, ActorRef, ChildSpec, Ending } from './actor.ts';

/** A child as its parent's incarnation holds it. */
export interface Child {
  readonly ref: ActorRef<unknown>;
  /** Settles when the child has ended for good, and with it everything below it. */
  readonly ended: Promise<Ending>;
  stop(): void;
}

/** What an incarnation asks of the cell that it lives in. */
export interface Host<M> {
  readonly path: string;
  readonly clock: Clock;
  /** A message that only this incarnation may read. */
  post(message: M, to: Incarnation<M>): void;
  spawn<C>(name: string, spec: ChildSpec<C>, parent: Incarnation<M>): Child;
  end(incarnation: Incarnation<M>, ending: Ending): void;
  /** Turns what an effect threw into a fault, and logs it when it is a bug. */
  caught(thrown: unknown): Fault;
}

/**
 * One life of an actor, from its factory to its end. Owns its timers, its signal and its children. Once over,
 * nothing that it left behind (effects, timers, references to itself) reaches the next one.
 */
export class Incarnation<M> implements ActorContext<M> {
  readonly self: ActorRef<M>;
  readonly path: string;
  readonly clock: Clock;
  readonly children = new Map<string, Child>();
  /** Undefined until the factory has returned. */
  actor: Actor<M> | undefined;
  readonly #host: Host<M>;
  readonly #abort = new AbortController();
  readonly #timers = new Set<Timer>();

  constructor(host: Host<M>) {
    this.#host = host;
    this.path = host.path;
    this.clock = host.clock;
    this.self = { path: host.path, tell: (message) => host.post(message, this) };
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  spawn<C>(name: string, spec: ChildSpec<C>): ActorRef<C> {
    if (this.isOver)
      throw new FaultError(fault('stopped', `${this.path} has ended and cannot spawn ${name}`));
    if (this.children.has(name)) throw new Error(`${this.path} has a child ${name} already`);
    const child = this.#host.spawn(name, spec, this);
    this.children.set(name, child);
    // The child's factory may have ended its parent.
    if (this.isOver) child.stop();
    return child.ref;
  }

  stopChild(name: string): void {
    this.children.get(name)?.stop();
  }

  child<C>(name: string): ActorRef<C> | undefined {
    return this.children.get(name)?.ref;
  }

  after(delayMs: number, message: M): Timer {
    if (this.isOver) return { cancel() {} };
    const armed = this.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      this.self.tell(message);
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        armed.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  run<T>(effect: (signal: AbortSignal) => Promise<T>, toMessage: (value: T) => M): void {
    if (this.isOver) return;
    const outcome = async (): Promise<void> => {
      const message = toMessage(await effect(this.signal));
      if (!this.isOver) this.self.tell(message);
    };
    outcome().catch((thrown: unknown) => {
      if (!this.isOver) this.fail(this.#host.caught(thrown));
    });
  }

  fail(fault: Fault): void {
    this.#host.end(this, { how: 'failed', fault });
  }

  finish(): void {
    this.#host.end(this, { how: 'normal' });
  }

  /** Aborts the signal, cancels the timers, asks the children to stop. Idempotent. */
  close(): void {
    if (this.isOver) return;
    this.#abort.abort(new FaultError(fault('stopped', `${this.path} has ended`)));
    for (const timer of this.#timers) timer.cancel();
    for (const child of this.children.values()) child.stop();
  }
}
