import { isDeepStrictEqual } from 'node:util';
import type { TunnelPlace } from '../domain/ingress.ts';
import type { TunnelIdentity } from '../domain/ledger.ts';
import type { RouteTable } from '../domain/routes.ts';
import type { Fault } from '../fault.ts';
import type { ActorContext } from '../kernel/actor.ts';
import type { IngressMessage, TunnelMessage } from './messages.ts';
import { type TunnelWorld, tunnelActor, tunnelSpec } from './tunnel.ts';

/** What should run. A change of routes is followed in place; a change of the rest needs a new connector. */
export interface TunnelWish {
  readonly identity: TunnelIdentity;
  readonly haConnections: number;
  readonly place: TunnelPlace;
  readonly routes: RouteTable;
}

/** One tunnel actor, from its spawn until it has ended. */
interface Running {
  readonly name: string;
  readonly wish: TunnelWish;
  /** The life of the actor that facts must come from, 0 for none: what an older one told comes late. */
  life: number;
  registered: number;
  /** Its last run ended in this fault, or goes on in spite of it, and none has registered since. */
  fault: Fault | null;
}

/**
 * The tunnel actors of one host: the one that serves, the successor that is to replace it once it is registered,
 * and those that drain. A tunnel that opens again does not wait for what still drains, and one whose settings
 * change is replaced without a gap. Owned by the ingress actor, which hands it the children's facts.
 */
export class HostTunnels {
  readonly #host: string;
  readonly #ingress: string;
  readonly #context: ActorContext<IngressMessage>;
  readonly #world: TunnelWorld & { readonly graceMs: number };
  #current: Running | null = null;
  #successor: Running | null = null;
  readonly #draining = new Set<string>();
  #routes: RouteTable | null = null;
  /** The runner knows that only what runs here should, since something was opened here last. */
  #isClear = false;
  #spawned = 0;
  #lives = 0;

  constructor(
    host: string,
    ingress: string,
    context: ActorContext<IngressMessage>,
    world: TunnelWorld & { readonly graceMs: number },
  ) {
    this.#host = host;
    this.#ingress = ingress;
    this.#context = context;
    this.#world = world;
  }

  /** The host of a child's name. */
  static hostOf(childName: string): string {
    return childName.slice(0, childName.indexOf(' '));
  }

  /** Serves or is about to; what drains does not count. */
  get isOpen(): boolean {
    return this.#current !== null;
  }

  /** Anything at all, also what drains. */
  get isRunning(): boolean {
    return this.#current !== null || this.#draining.size > 0;
  }

  get registered(): number {
    return this.#current?.registered ?? 0;
  }

  /** Of one alone, also of what is to replace what serves; null for what is on its way out. */
  registeredOf(childName: string): number | null {
    return this.#find(childName)?.registered ?? null;
  }

  /** What serves, as it was asked for. */
  get wish(): TunnelWish | null {
    return this.#current?.wish ?? null;
  }

  /** What serves is to be replaced, by what is not registered yet. */
  get isReplacing(): boolean {
    return this.#successor !== null;
  }

  get fault(): Fault | null {
    return this.#current?.fault ?? null;
  }

  /** What keeps the pods that should serve from it, also while something else does. */
  get podFault(): Fault | null {
    const newest = this.#successor ?? this.#current;
    return newest?.wish.place.mode === 'pod' ? newest.fault : null;
  }

  /** Brings what runs to what should run; null closes. */
  want(wish: TunnelWish | null): void {
    if (wish === null) return this.#close();
    this.#follow(wish.routes);
    this.#current ??= this.#open(wish, 'tunnel opening');
    if (isSame(this.#current.wish, wish)) {
      this.#drop(this.#successor);
      if (this.#current.registered > 0) this.#clearRest();
      return;
    }
    if (this.#successor !== null && !isSame(this.#successor.wish, wish)) this.#drop(this.#successor);
    this.#successor ??= this.#open(wish, 'tunnel replacing');
    if (this.#successor.registered === 0) return;
    const replaced = this.#current;
    this.#current = this.#successor;
    this.#successor = null;
    this.#drain(replaced);
  }

  /** Should be closed, whoever has opened it: also what an earlier process has left running. */
  clear(): void {
    this.#close();
    this.#clearRest();
  }

  /** False when it comes from a life that is over. */
  connections(childName: string, life: number, registered: number): boolean {
    const running = this.#find(childName);
    if (running?.life !== life) return false;
    running.registered = registered;
    if (registered > 0) running.fault = null;
    return true;
  }

  /** What has failed: in pods either (`podFault`). Null when the child was on its way out anyway. */
  failed(childName: string, fault: Fault): 'current' | 'successor' | 'pods' | null {
    const running = this.#find(childName);
    if (running === null) return null;
    running.life = 0;
    running.registered = 0;
    running.fault = fault;
    if (running.wish.place.mode === 'pod') return 'pods';
    return running === this.#current ? 'current' : 'successor';
  }

  /** Its run goes on. What comes from a life that is over is not heard. */
  failing(childName: string, life: number, fault: Fault | null): void {
    const running = this.#find(childName);
    if (running?.life === life) running.fault = fault;
  }

  ended(childName: string): void {
    this.#draining.delete(childName);
    if (this.#current?.name === childName) this.#current = null;
    if (this.#successor?.name === childName) this.#successor = null;
  }

  #clearRest(): void {
    if (this.#isClear) return;
    this.#isClear = true;
    this.#world.runner.clear(this.#host);
  }

  #open(wish: TunnelWish, message: string): Running {
    this.#isClear = false;
    const host = this.#host;
    const ingress = this.#ingress;
    const name = `${host} ${++this.#spawned}`;
    const running: Running = { name, wish, life: 0, registered: 0, fault: null };
    const create = tunnelActor(this.#world, () => {
      const life = ++this.#lives;
      running.life = life;
      const { identity: tunnel, haConnections, place } = wish;
      return {
        request: { host, ingress, tunnel, haConnections, place, routes: this.#routes ?? wish.routes },
        hearConnections: (registered) =>
          this.#context.self.tell({ type: 'tunnel.connections', child: name, life, registered }),
        hearAccess: (problem) => this.#context.self.tell({ type: 'tunnel.access', child: name, problem }),
        hearQuarantine: (isApart) =>
          this.#context.self.tell({ type: 'tunnel.quarantine', child: name, isApart }),
        hearFailing: (fault) => this.#context.self.tell({ type: 'tunnel.failing', child: name, life, fault }),
        hearUnauthorized: () => this.#context.self.tell({ type: 'tunnel.unauthorized', child: name }),
      };
    });
    this.#context.spawn(name, tunnelSpec(create, this.#world.graceMs));
    this.#world.log.info({ host, tunnel: wish.identity.id }, message);
    return running;
  }

  /** Routes reach what runs by a message, and what is restarted by its start. */
  #follow(routes: RouteTable): void {
    if (this.#routes === routes) return;
    this.#routes = routes;
    for (const running of [this.#current, this.#successor]) {
      if (running !== null)
        this.#context.child<TunnelMessage>(running.name)?.tell({ type: 'routes', routes });
    }
  }

  #close(): void {
    this.#drop(this.#successor);
    if (this.#current === null) return;
    this.#world.log.info({ host: this.#host }, 'tunnel closing');
    const closed = this.#current;
    this.#current = null;
    this.#drain(closed);
  }

  #drop(successor: Running | null): void {
    if (successor === null) return;
    this.#successor = null;
    this.#drain(successor);
  }

  #drain(running: Running): void {
    this.#draining.add(running.name);
    this.#context.stopChild(running.name);
  }

  #find(childName: string): Running | null {
    if (this.#current?.name === childName) return this.#current;
    return this.#successor?.name === childName ? this.#successor : null;
  }
}

function isSame(one: TunnelWish, other: TunnelWish): boolean {
  const { id, token } = other.identity;
  return (
    one.identity.id === id &&
    one.identity.token === token &&
    one.haConnections === other.haConnections &&
    isDeepStrictEqual(one.place, other.place)
  );
}
