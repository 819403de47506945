import type { Fault } from '../fault.ts';
import type { Backoff } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';

/**
 * The actor model as the rest of the house sees it. Logic (`Actor`), the thing that runs it (a cell with a
 * mailbox) and the system are three things; others hold a reference, never the state.
 */

/** Fire and forget. Telling an actor that has ended is counted as a dead letter, never an error. */
export interface ActorRef<M> {
  readonly path: string;
  tell(message: M): void;
}

/**
 * The logic of one actor. Every method is called one at a time per actor. What is thrown here is a failure of
 * the actor: its supervision spec decides what happens.
 */
export interface Actor<M> {
  receive(message: M): void | Promise<void>;
  /** A child ended for good (it will not be restarted). Heard before messages that wait, also that child's. */
  childEnded?(name: string, ending: Ending): void;
  /** A child failed and will be started again after `delayMs`. */
  childFailed?(name: string, fault: Fault, delayMs: number): void;
  /**
   * Asked to stop: finish, release, resolve. Bounded by `stopWithinMs`. Also called before a restart. Its
   * children have ended before; messages are not received any more.
   */
  stop?(): void | Promise<void>;
}

export type ActorFactory<M> = (context: ActorContext<M>) => Actor<M>;

export type Ending =
  | { readonly how: 'normal' }
  | { readonly how: 'stopped' }
  | { readonly how: 'failed'; readonly fault: Fault };

/** Given to the factory at every start; dies with that incarnation. */
export interface ActorContext<M> {
  /**
   * What is told to this reference is for this incarnation only: a callback that outlives it reaches a dead
   * letter, never the next incarnation. The reference that `spawn` gives outlives restarts.
   */
  readonly self: ActorRef<M>;
  readonly path: string;
  readonly clock: Clock;
  /** Aborted when this incarnation begins to stop or has failed. */
  readonly signal: AbortSignal;
  /** A name is free again once `childEnded` was heard; a name that is taken is a bug and throws. */
  spawn<C>(name: string, spec: ChildSpec<C>): ActorRef<C>;
  /** Ask, wait, kill. `childEnded` follows. Unknown names are ignored. */
  stopChild(name: string): void;
  child<C>(name: string): ActorRef<C> | undefined;
  /** Tells self later. Cancelled when this incarnation ends. */
  after(delayMs: number, message: M): Timer;
  /**
   * Runs an effect beside the mailbox; its outcome comes back as a message to self. A rejection is a failure of
   * the actor (an adapter answers expected failures as a `Result`). Dropped when this incarnation has ended.
   */
  run<T>(effect: (signal: AbortSignal) => Promise<T>, toMessage: (value: T) => M): void;
  /** Fails this actor as if `receive` had thrown. */
  fail(fault: Fault): void;
  /** Ends this actor normally, its work being done. Only a `permanent` one is started again. */
  finish(): void;
}

/** Erlang's restart types: always, only after a failure, never. */
export type Restart = 'permanent' | 'transient' | 'temporary';

/** How one child is started, restarted and stopped: data, read by one pure decision table. */
export interface ChildSpec<M> {
  /** For metrics and logs; low in cardinality: `ingress`, `tunnel`. */
  readonly kind: string;
  readonly create: ActorFactory<M>;
  readonly restart: Restart;
  readonly backoff: Backoff;
  readonly intensity: Intensity;
  /** How long a running `receive` and then `stop` may take together before the actor is killed, milliseconds. */
  readonly stopWithinMs: number;
  /** Newest wins: a waiting message with the same key is replaced in place. Undefined: never replaced. */
  readonly keyOf?: (message: M) => string | undefined;
}

/**
 * More than `maxRestarts` within `windowMs`: `escalate` fails the parent; `hold` goes on at the longest backoff,
 * for children whose failure nobody else may feel.
 */
export interface Intensity {
  readonly maxRestarts: number;
  readonly windowMs: number;
  readonly whenExceeded: 'escalate' | 'hold';
}
