import { type Fault, FaultError, faultOf, unreachable } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { ActorRef, ChildSpec, Ending } from './actor.ts';
import { type Child, type Host, Incarnation } from './incarnation.ts';
import { Mailbox } from './mailbox.ts';
import type { KernelLog, KernelProbe } from './probe.ts';
import { decide, firstHistory, type History } from './supervision.ts';

/** What every cell of one system shares. */
export interface Surroundings {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: KernelLog;
  readonly probe: KernelProbe;
}

/** Whoever started a cell and hears what becomes of it. */
export interface CellOwner {
  childFailed(fault: Fault, delayMs: number): void;
  childEnded(ending: Ending): void;
  /** The child has ended because its restarts exceeded its intensity: its owner fails with it. */
  childEscalated(fault: Fault): void;
}

/** `for`: the one incarnation that may read it; null is whichever lives when its turn comes. */
type Letter<M> =
  | { readonly type: 'message'; readonly for: Incarnation<M> | null; readonly message: M }
  | { readonly type: 'child'; readonly for: Incarnation<M>; readonly tell: () => void }
  | { readonly type: 'end'; readonly for: Incarnation<M> };

const priority = { end: 2, child: 1, message: 0 } as const;

type State<M> =
  | { readonly at: 'running'; readonly life: Incarnation<M> }
  | Closing<M>
  /** Between two incarnations; letters wait. */
  | { readonly at: 'waiting'; readonly retry: Timer }
  | { readonly at: 'ended' };

/** The incarnation is on the ladder: ask, wait, kill. */
interface Closing<M> {
  readonly at: 'closing';
  readonly life: Incarnation<M>;
  readonly sinceMs: number;
  readonly killed: PromiseWithResolvers<void>;
  /** Kills. Runs only while the actor's own code is waited for, not while its children end. */
  bound: Timer;
  isKilled: boolean;
  /** A stop that comes while a failed incarnation closes makes it the last one. */
  ending: Ending;
}

/**
 * Runs one actor: its mailbox and its history live as long as the cell, its incarnations come and go. A state
 * changes only here, and only from the state that allows it, so whatever comes late finds nothing to act on.
 */
export class Cell<M> implements Host<M>, Child {
  readonly path: string;
  readonly clock: Clock;
  readonly ref: ActorRef<M>;
  readonly #spec: ChildSpec<M>;
  readonly #surroundings: Surroundings;
  readonly #owner: CellOwner;
  readonly #mailbox: Mailbox<Letter<M>>;
  readonly #ended = Promise.withResolvers<Ending>();
  #history: History;
  #state: State<M>;

  /** Starts the first incarnation at once; what its factory throws is a failure of this actor. */
  constructor(path: string, spec: ChildSpec<M>, surroundings: Surroundings, owner: CellOwner) {
    this.path = path;
    this.clock = surroundings.clock;
    this.ref = { path, tell: (message) => this.post(message, null) };
    this.#spec = spec;
    this.#surroundings = surroundings;
    this.#owner = owner;
    this.#mailbox = new Mailbox({
      deliver: (letter) => this.#deliver(letter),
      depthChanged: (delta) => surroundings.probe.mailboxDepth(spec.kind, delta),
    });
    this.#history = firstHistory(this.clock.monotonic());
    this.#state = this.#start();
  }

  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** The relay: every message to every actor passes here. */
  post(message: M, to: Incarnation<M> | null): void {
    const { probe } = this.#surroundings;
    probe.told?.(this.path, this.#spec.kind, message);
    if (this.#state.at === 'ended' || to?.isOver) {
      probe.deadLetter(this.path, this.#spec.kind);
      return;
    }
    const key = this.#spec.keyOf?.(message);
    // A letter for one incarnation never takes the place of one that is for whoever comes: it may be lost.
    const slotKey = key === undefined ? undefined : `${to === null ? 'any' : 'one'}:${key}`;
    this.#mailbox.put({ type: 'message', for: to, message }, priority.message, slotKey);
  }

  /** Ask, wait, kill; from whatever state, and idempotent. */
  stop(): void {
    const state = this.#state;
    switch (state.at) {
      case 'running':
        this.end(state.life, { how: 'stopped' });
        break;
      case 'closing':
        state.ending = { how: 'stopped' };
        break;
      case 'waiting':
        state.retry.cancel();
        this.#close({ how: 'stopped' });
        break;
      case 'ended':
        break;
      default:
        unreachable(state);
    }
  }

  end(life: Incarnation<M>, ending: Ending): void {
    if (this.#state.at !== 'running' || this.#state.life !== life) return;
    const closing: Closing<M> = {
      at: 'closing',
      life,
      sinceMs: this.clock.monotonic(),
      killed: Promise.withResolvers(),
      bound: this.clock.after(this.#spec.stopWithinMs, () => this.#kill(closing)),
      isKilled: false,
      ending,
    };
    this.#state = closing;
    life.close();
    this.#mailbox.put({ type: 'end', for: life }, priority.end);
  }

  spawn<C>(name: string, spec: ChildSpec<C>, parent: Incarnation<M>): Child {
    const hear = (tell: () => void): void => {
      if (!parent.isOver) this.#mailbox.put({ type: 'child', for: parent, tell }, priority.child);
    };
    return new Cell(`${this.path}/${name}`, spec, this.#surroundings, {
      childFailed: (fault, delayMs) => hear(() => parent.actor?.childFailed?.(name, fault, delayMs)),
      childEnded: (ending) =>
        hear(() => {
          parent.children.delete(name);
          parent.actor?.childEnded?.(name, ending);
        }),
      childEscalated: (fault) => this.end(parent, { how: 'failed', fault }),
    });
  }

  caught(thrown: unknown): Fault {
    if (!(thrown instanceof FaultError)) {
      const stack = thrown instanceof Error ? thrown.stack : typeof thrown;
      this.#surroundings.log.error({ actor: this.path, stack }, 'actor threw');
    }
    return faultOf(thrown);
  }

  #start(): State<M> {
    const life = new Incarnation<M>(this);
    this.#state = { at: 'running', life };
    try {
      life.actor = this.#spec.create(life);
    } catch (thrown) {
      this.end(life, { how: 'failed', fault: this.caught(thrown) });
    }
    this.#mailbox.resume();
    return this.#state;
  }

  /** Letters are only read while running or closing: a mailbox is paused in the other states. */
  #deliver(letter: Letter<M>): void | Promise<void> {
    const state = this.#state;
    if (state.at === 'waiting' || state.at === 'ended') return;
    if (letter.for !== null && letter.for !== state.life) return;
    switch (letter.type) {
      case 'message':
        return this.#attempt(state.life, () => state.life.actor?.receive(letter.message));
      case 'child':
        return this.#attempt(state.life, letter.tell);
      case 'end':
        return state.at === 'closing' ? this.#finish(state) : undefined;
      default:
        return unreachable(letter);
    }
  }

  /** Runs a piece of the actor's code; what it throws fails the incarnation, if that still lives. */
  #attempt(life: Incarnation<M>, step: () => void | Promise<void>): void | Promise<void> {
    const failed = (thrown: unknown): void => {
      // What a closing incarnation throws, for instance because its signal was aborted, changes nothing.
      if (!life.isOver) this.end(life, { how: 'failed', fault: this.caught(thrown) });
    };
    try {
      const done: unknown = step();
      if (done instanceof Promise) return done.catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  /** The actor's running code has settled, or was given up. */
  async #finish(closing: Closing<M>): Promise<void> {
    closing.bound.cancel();
    const spentMs = this.clock.monotonic() - closing.sinceMs;
    await Promise.all(Array.from(closing.life.children.values(), (child) => child.ended));
    const { actor } = closing.life;
    if (actor?.stop !== undefined && !closing.isKilled) {
      const leftMs = Math.max(0, this.#spec.stopWithinMs - spentMs);
      closing.bound = this.clock.after(leftMs, () => this.#kill(closing));
      await Promise.race([this.#askToStop(actor.stop.bind(actor)), closing.killed.promise]);
      closing.bound.cancel();
    }
    this.#settle(closing.ending);
  }

  async #askToStop(stop: () => void | Promise<void>): Promise<void> {
    try {
      await stop();
    } catch (thrown) {
      this.caught(thrown);
    }
  }

  #kill(closing: Closing<M>): void {
    closing.isKilled = true;
    this.#surroundings.probe.killed(this.path, this.#spec.kind);
    this.#surroundings.log.warn({ actor: this.path, afterMs: this.#spec.stopWithinMs }, 'actor killed');
    closing.killed.resolve();
    this.#mailbox.release();
  }

  /** The incarnation is over, and everything below it: what next? */
  #settle(ending: Ending): void {
    const { random, log, probe } = this.#surroundings;
    const verdict = decide(ending, this.#spec, this.#history, this.clock.monotonic(), random());
    const fault = ending.how === 'failed' ? ending.fault : null;
    const fields = { actor: this.path, code: fault?.code, reason: fault?.message };
    switch (verdict.do) {
      case 'restart': {
        const { delayMs } = verdict;
        this.#mailbox.pause();
        this.#history = verdict.history;
        this.#state = { at: 'waiting', retry: this.clock.after(delayMs, () => void this.#start()) };
        // What was to be expected its owner tells, in its own words.
        if (fault === null || fault.code === 'bug') log.warn({ ...fields, delayMs }, 'actor restarts');
        probe.restarted(this.path, this.#spec.kind, fault, delayMs);
        if (fault !== null) this.#owner.childFailed(fault, delayMs);
        break;
      }
      case 'remove':
        if (fault !== null) log.warn(fields, 'actor failed');
        this.#close(ending);
        break;
      case 'escalate':
        log.error(fields, 'actor fails too often');
        this.#close({ how: 'failed', fault: verdict.fault });
        this.#owner.childEscalated(verdict.fault);
        break;
      default:
        unreachable(verdict);
    }
  }

  #close(ending: Ending): void {
    this.#state = { at: 'ended' };
    for (const letter of this.#mailbox.drain()) {
      if (letter.type === 'message') this.#surroundings.probe.deadLetter(this.path, this.#spec.kind);
    }
    this.#owner.childEnded(ending);
    this.#ended.resolve(ending);
  }
}
