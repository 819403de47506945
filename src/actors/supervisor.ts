import { mergeHost } from '../domain/claims.ts';
import { servicesOf } from '../domain/compile-host.ts';
import type { IngressKey } from '../domain/ingress.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import { type Fault, unreachable } from '../fault.ts';
import type { ActorContext, ActorFactory, ChildSpec } from '../kernel/actor.ts';
import { type IngressWorld, ingressActor } from './ingress.ts';
import type { Assignment, IngressMessage, SupervisorMessage } from './messages.ts';
import { World } from './world.ts';

/** Beyond the tunnels' own time to stop. */
const stopSlackMs = 20_000;

export interface SupervisorWorld extends IngressWorld {
  /** The caches are filled and the first actors are there. */
  readonly synced: () => void;
}

/**
 * Owns one ingress actor per Ingress that is ours, and one for each that is gone but still has something in the
 * ledger. Keeps the world, decides who has which host, and routes every event to whom it concerns.
 */
function supervisorActor(world: SupervisorWorld): ActorFactory<SupervisorMessage> {
  return (context) => {
    const supervisor = new Supervisor(context, world);
    return {
      receive: (message) => supervisor.receive(message),
      childEnded: (key) => supervisor.actorEnded(key),
      childFailed: (key, fault, delayMs) => supervisor.actorFailed(key, fault, delayMs),
    };
  };
}

/** The root: when it fails the world that it keeps is lost, so the process ends and is started anew. */
export function supervisorSpec(world: SupervisorWorld): ChildSpec<SupervisorMessage> {
  return {
    kind: 'supervisor',
    create: supervisorActor(world),
    restart: 'temporary',
    backoff: { baseMs: 1_000, capMs: 1_000, healthyAfterMs: 0 },
    intensity: { maxRestarts: 0, windowMs: 1_000, whenExceeded: 'escalate' },
    // Beyond its ingress actors' own time to stop.
    stopWithinMs: world.graceMs + 2 * stopSlackMs,
    keyOf: supervisorKey,
  };
}

/** Newest wins: of several waiting messages about one object only the last is worth reading. */
function supervisorKey(message: SupervisorMessage): string | undefined {
  switch (message.type) {
    case 'ingress.present':
      return `ingress ${message.spec.key}`;
    case 'ingress.removed':
      return `ingress ${message.key}`;
    case 'service.present':
      return `service ${message.service.name}`;
    case 'service.removed':
      return `service ${message.name}`;
    case 'slice.present':
      return `slice ${message.slice.name}`;
    case 'slice.removed':
      return `slice ${message.name}`;
    case 'ledger.present':
      return `ledger ${message.entry.host}`;
    case 'ledger.removed':
      return `ledger ${message.host}`;
    default:
      return undefined;
  }
}

class Supervisor {
  readonly #context: ActorContext<SupervisorMessage>;
  readonly #deps: SupervisorWorld;
  readonly #world = new World();
  /**
   * Who may touch a host now: its owner, or the one before until that has let go. Invariant: an ingress actor
   * acts on a host only while it holds it, so no two ever work on the same tunnel.
   */
  readonly #holderOf = new Map<string, IngressKey>();
  readonly #heldBy = new Map<IngressKey, Set<string>>();
  /** Hosts whose tunnel is up, and its name. */
  readonly #servedAt = new Map<string, string>();
  readonly #stopping = new Set<IngressKey>();
  #credentialsFault: Fault | null = null;
  #synced = false;

  constructor(context: ActorContext<SupervisorMessage>, deps: SupervisorWorld) {
    this.#context = context;
    this.#deps = deps;
  }

  receive(message: SupervisorMessage): void {
    switch (message.type) {
      case 'ingress.present':
        return this.#settle(this.#world.putIngress(message.spec));
      case 'ingress.removed':
        return this.#settle(this.#world.removeIngress(message.key));
      case 'service.present':
        this.#world.putService(message.service);
        return this.#tellBackend(message.service.name);
      case 'service.removed':
        this.#world.removeService(message.name);
        return this.#tellBackend(message.name);
      case 'slice.present':
        for (const service of this.#world.putSlice(message.slice)) this.#tellBackend(service);
        return;
      case 'slice.removed':
        for (const service of this.#world.removeSlice(message.name)) this.#tellBackend(service);
        return;
      case 'ledger.present':
        return this.#ledgerPresent(message.entry);
      case 'ledger.removed':
        return this.#ledgerRemoved(message.host, message.resourceVersion);
      case 'world.synced':
        return this.#sync();
      case 'credentials.changed':
        for (const key of this.#actors()) this.#actor(key)?.tell({ type: 'try.again' });
        return;
      case 'credentials.checked':
        this.#credentialsFault = message.fault;
        for (const key of this.#actors()) this.#actor(key)?.tell(message);
        return;
      case 'host.recorded':
        this.#world.putLedger(message.entry);
        return;
      case 'host.serving':
        return this.#serving(message.host, message.hostname);
      case 'host.cleared':
        this.#world.replaceLedger(message.host, null);
        return this.#letGo(message.host, message.ingress);
      case 'host.released':
        this.#world.replaceLedger(message.host, message.entry);
        return this.#letGo(message.host, message.ingress);
      default:
        return unreachable(message);
    }
  }

  actorEnded(key: IngressKey): void {
    this.#stopping.delete(key);
    if (this.#isNeeded(key)) this.#assign(key);
  }

  actorFailed(key: IngressKey, fault: Fault, delayMs: number): void {
    this.#deps.log.error(
      { ingress: key, code: fault.code, detail: fault.message, delayMs },
      'ingress actor restarting',
    );
  }

  /** Nothing is started or removed before every cache is filled: half a world looks like deletions. */
  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    for (const entry of this.#world.ledgerEntries()) this.#adopt(entry);
    this.#settle(new Set([...this.#world.ingressKeys(), ...this.#heldBy.keys()]));
    this.#deps.synced();
  }

  /** The holder of a host that the ledger knows: its owner, or, if nobody wants it, who is to remove it. */
  #adopt(entry: LedgerEntry): void {
    if (this.#holderOf.has(entry.host)) return;
    this.#hold(entry.host, this.#world.ownerOf(entry.host) ?? entry.ingress);
  }

  /** After claims changed: hands out hosts that nobody holds and tells everybody touched what is theirs. */
  #settle(touched: ReadonlySet<IngressKey>): void {
    if (!this.#synced) return;
    const all = new Set(touched);
    for (const key of touched) {
      for (const { host } of this.#world.ingress(key)?.effective?.hosts ?? []) {
        const owner = this.#world.ownerOf(host)!;
        if (!this.#holderOf.has(host)) this.#hold(host, owner);
        all.add(this.#holderOf.get(host)!);
      }
    }
    for (const key of all) this.#assign(key);
  }

  #assign(key: IngressKey): void {
    if (this.#stopping.has(key)) return;
    if (!this.#isNeeded(key)) return this.#dismiss(key);
    const actor = this.#actor(key);
    if (actor !== undefined) return actor.tell({ type: 'assigned', assignment: this.#assignmentOf(key) });
    const create = ingressActor(() => this.#assignmentOf(key), this.#context.self, this.#deps);
    this.#context.spawn(key, ingressSpec(create, this.#deps.graceMs));
  }

  #isNeeded(key: IngressKey): boolean {
    return this.#world.ingress(key) !== undefined || this.#heldBy.has(key);
  }

  #dismiss(key: IngressKey): void {
    if (this.#actor(key) === undefined) return;
    this.#stopping.add(key);
    this.#context.stopChild(key);
  }

  #assignmentOf(key: IngressKey): Assignment {
    const known = this.#world.ingress(key);
    const spec = known?.effective ?? null;
    const held = this.#heldBy.get(key) ?? new Set<string>();
    const isMine = (host: string): boolean => this.#world.ownerOf(host) === key;
    const named = (spec?.hosts ?? []).map(({ host, paths }) => {
      const { rules, lost } = mergeHost(host, this.#world.seniority(host));
      const taken = lost.filter(({ from }) => from === key);
      return { host, rules, taken, shared: !isMine(host) && taken.length < paths.length };
    });
    const hosts = named.filter(({ host }) => isMine(host) && held.has(host)).map(({ rules }) => rules);
    return {
      ingress: { name: key, uid: known?.newest.uid ?? '' },
      hosts,
      released: [...held].filter((host) => !isMine(host) && this.#world.ownerOf(host) !== null),
      keepOthers: known?.newest.refused ?? false,
      kept: spec?.unservable ?? [],
      settings: spec?.settings ?? null,
      backends: new Map(Array.from(servicesOf(hosts), (service) => [service, this.#world.backend(service)])),
      ledger: [...held].flatMap((host) => this.#world.ledger(host) ?? []),
      publishedHostnames: known?.newest.publishedHostnames ?? [],
      problems: known?.newest.problems ?? [],
      credentialsFault: this.#credentialsFault,
      taken: named.flatMap(({ taken }) => taken),
      servedAlso: named.flatMap(({ host, shared }) => (shared ? (this.#servedAt.get(host) ?? []) : [])),
    };
  }

  /** Those whose paths are served by another Ingress' tunnel have its name in their status. */
  #serving(host: string, hostname: string | null): void {
    if (hostname === null) this.#servedAt.delete(host);
    else this.#servedAt.set(host, hostname);
    for (const { key } of this.#world.seniority(host).slice(1)) this.#assign(key);
  }

  #tellBackend(service: string): void {
    if (!this.#synced) return;
    const concerned = new Set<IngressKey>();
    for (const key of this.#world.interestedIn(service)) {
      // The paths of an Ingress may be routed in another one's tunnel.
      for (const { host } of this.#world.ingress(key)?.effective?.hosts ?? []) {
        const holder = this.#holderOf.get(host);
        if (holder !== undefined) concerned.add(holder);
      }
    }
    if (concerned.size === 0) return;
    const view = this.#world.backend(service);
    for (const key of concerned) this.#actor(key)?.tell({ type: 'backend', service, view });
  }

  #ledgerPresent(entry: LedgerEntry): void {
    // Not even looked at: with its token in our world its tunnel would be taken for ours, and removed as ours.
    if (entry.identity !== this.#deps.identity) {
      this.#deps.log.warn(
        { host: entry.host, identity: entry.identity },
        'ledger of another identity left alone',
      );
      return;
    }
    if (!this.#world.putLedger(entry) || !this.#synced) return;
    const holder = this.#holderOf.get(entry.host);
    if (holder === undefined) {
      this.#adopt(entry);
      const adopter = this.#holderOf.get(entry.host);
      if (adopter !== undefined) this.#assign(adopter);
      return;
    }
    const seen = { type: 'ledger.seen', host: entry.host, entry, version: entry.resourceVersion } as const;
    this.#actor(holder)?.tell(seen);
  }

  #ledgerRemoved(host: string, version: string): void {
    this.#world.replaceLedger(host, null);
    const holder = this.#holderOf.get(host);
    if (holder !== undefined) this.#actor(holder)?.tell({ type: 'ledger.seen', host, entry: null, version });
  }

  /** The holder is through with a host: it goes to its owner, if anybody wants it by now. */
  #letGo(host: string, from: IngressKey): void {
    if (this.#holderOf.get(host) !== from) return;
    this.#holderOf.delete(host);
    const rest = this.#heldBy.get(from);
    rest?.delete(host);
    if (rest?.size === 0) this.#heldBy.delete(from);
    const owner = this.#world.ownerOf(host);
    if (owner !== null) {
      this.#hold(host, owner);
      this.#assign(owner);
    }
    if (owner !== from) this.#assign(from);
  }

  #hold(host: string, key: IngressKey): void {
    this.#holderOf.set(host, key);
    const held = this.#heldBy.get(key);
    if (held === undefined) this.#heldBy.set(key, new Set([host]));
    else held.add(host);
  }

  #actor(key: IngressKey) {
    return this.#stopping.has(key) ? undefined : this.#context.child<IngressMessage>(key);
  }

  #actors(): Iterable<IngressKey> {
    return new Set([...this.#world.ingressKeys(), ...this.#heldBy.keys()]);
  }
}

/** `hold`: an Ingress whose actor fails again and again is slow to come back, and nobody else notices. */
function ingressSpec(create: ActorFactory<IngressMessage>, graceMs: number): ChildSpec<IngressMessage> {
  return {
    kind: 'ingress',
    create,
    restart: 'permanent',
    backoff: { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 300_000 },
    intensity: { maxRestarts: 10, windowMs: 300_000, whenExceeded: 'hold' },
    stopWithinMs: graceMs + stopSlackMs,
    keyOf: ingressMessageKey,
  };
}

function ingressMessageKey(message: IngressMessage): string | undefined {
  switch (message.type) {
    case 'assigned':
    case 'try.again':
      return message.type;
    case 'backend':
      return `backend ${message.service}`;
    case 'ledger.seen':
      return `ledger ${message.host}`;
    default:
      return undefined;
  }
}
