import { caSecretsOf, type OriginCa } from '../domain/compile-host.ts';
import type { IngressKey } from '../domain/ingress.ts';
import type { LedgerEntry, ObjectVersion } from '../domain/ledger.ts';
import { type Fault, unreachable } from '../fault.ts';
import type { ActorContext, ActorFactory, ChildSpec } from '../kernel/actor.ts';
import { Burst } from '../time/burst.ts';
import { assignmentOf, routersOf } from './assignment.ts';
import { ForeignLedgers } from './foreign-ledgers.ts';
import { Holdings } from './holdings.ts';
import type { IngressWorld } from './ingress.ts';
import { IngressActors, stopSlackMs } from './ingress-actors.ts';
import { type LostConnection, sayLost } from './lost-connections.ts';
import { supervisorKey } from './message-keys.ts';
import type { Assignment, IngressMessage, SupervisorMessage } from './messages.ts';
import { OriginCas } from './origin-cas.ts';
import type { CaSecrets } from './ports.ts';
import { World } from './world.ts';

/**
 * So long a host that has moved is served from where it was, by the rules of before, if its new holder neither
 * comes up nor gives up.
 */
const lingerMs = 60_000;

export interface SupervisorWorld extends Omit<IngressWorld, 'lost'> {
  readonly caSecrets: CaSecrets;
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
      stop: () => supervisor.stop(),
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

class Supervisor {
  readonly #context: ActorContext<SupervisorMessage>;
  readonly #deps: SupervisorWorld;
  readonly #world = new World();
  readonly #holdings = new Holdings();
  readonly #cas: OriginCas;
  /** Hosts whose tunnel is up, its name, and the tenure of who said so. */
  readonly #servedAt = new Map<string, { readonly hostname: string; readonly tenure: number }>();
  readonly #actors: IngressActors;
  readonly #lost: Burst<LostConnection>;
  readonly #foreign: ForeignLedgers;
  #credentialsFault: Fault | null = null;
  #synced = false;

  constructor(context: ActorContext<SupervisorMessage>, deps: SupervisorWorld) {
    this.#context = context;
    this.#deps = deps;
    this.#cas = new OriginCas(deps.caSecrets);
    this.#lost = new Burst(context.clock, (lost) => sayLost(deps.log, lost));
    this.#foreign = new ForeignLedgers(context.clock, deps.log, deps.identity);
    const world = { ...deps, lost: (connection: LostConnection) => this.#lost.add(connection) };
    this.#actors = new IngressActors(context, world, {
      isNeeded: (key) => this.#isNeeded(key),
      assignmentOf: (key) => this.#assignmentOf(key),
    });
  }

  receive(message: SupervisorMessage): void {
    switch (message.type) {
      case 'ingress.present':
        this.#deps.telemetry.ingressProblems(message.spec.key, message.spec.problems);
        return this.#ingressChanged(message.spec.key, this.#world.putIngress(message.spec));
      case 'ingress.removed':
        this.#deps.telemetry.ingressProblems(message.key, []);
        return this.#ingressChanged(message.key, this.#world.removeIngress(message.key));
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
      case 'ca.read':
        return this.#tellCa(message.secret, this.#cas.read(message.secret, message.result));
      case 'ledger.present':
        return this.#ledgerPresent(message.entry);
      case 'ledger.removed':
        return this.#ledgerRemoved(message.host, message.resourceVersion);
      case 'world.synced':
        return this.#sync();
      case 'leadership.changed':
      case 'cloudflare.returned':
        return this.#tellAll(message);
      case 'credentials.changed':
        return this.#tellAll({ type: 'try.again' });
      case 'credentials.checked':
        this.#credentialsFault = message.fault;
        return this.#tellAll(message);
      case 'host.recorded':
        this.#world.putLedger(message.entry, message.over);
        return;
      case 'host.serving':
        if (this.#holdings.tenureOf(message.host) !== message.tenure) return;
        return this.#serving(message.host, message.tenure, message.hostname);
      case 'host.settled':
      case 'host.overdue':
        return this.#settled(message.host, message.tenure);
      case 'host.cleared':
        return this.#letGo(message, null, message.asOf, false);
      case 'host.released':
        return this.#letGo(message, message.entry, message.asOf, message.stillRuns);
      case 'host.left':
        if (this.#holdings.left(message.host, message.ingress, message.tenure)) {
          this.#left(message.host);
          this.#actors.assign(message.ingress);
        }
        return;
      default:
        return unreachable(message);
    }
  }

  stop(): void {
    this.#lost.close();
    this.#foreign.close();
  }

  actorEnded(key: IngressKey): void {
    this.#actors.ended(key);
  }

  actorFailed(key: IngressKey, fault: Fault, delayMs: number): void {
    this.#deps.log.error(
      { ingress: key, code: fault.code, detail: fault.message, delayMs },
      'ingress actor restarting',
    );
    // What it lingered for ended with its last life; the next one knows nothing of it.
    for (const host of this.#holdings.ended(key)) {
      this.#deps.telemetry.tunnelState(key, host, null);
      this.#left(host);
    }
  }

  /** Nothing is started or removed before every cache is filled: half a world looks like deletions. */
  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    for (const entry of this.#world.ledgerEntries()) this.#adopt(entry);
    this.#settle(new Set([...this.#world.ingressKeys(), ...this.#holdings.holders()]));
    this.#deps.synced();
  }

  /** The holder of a host that the ledger knows: its owner, or, if nobody wants it, who is to remove it. */
  #adopt(entry: LedgerEntry): void {
    if (this.#holdings.holderOf(entry.host) !== null) return;
    this.#holdings.hold(entry.host, this.#world.ownerOf(entry.host) ?? entry.ingress);
  }

  #ingressChanged(key: IngressKey, touched: ReadonlySet<IngressKey>): void {
    const spec = this.#world.ingress(key)?.effective ?? null;
    this.#cas.names(key, spec === null ? new Set() : caSecretsOf(spec.hosts, spec.settings));
    this.#settle(touched);
  }

  /** After claims changed: hands out hosts that nobody holds and tells everybody touched what is theirs. */
  #settle(touched: ReadonlySet<IngressKey>): void {
    if (!this.#synced) return;
    const all = new Set(touched);
    for (const key of touched) {
      for (const { host } of this.#world.ingress(key)?.effective?.hosts ?? []) {
        const owner = this.#world.ownerOf(host)!;
        if (this.#holdings.holderOf(host) === null) this.#holdings.hold(host, owner);
        all.add(this.#holdings.holderOf(host)!);
      }
    }
    for (const key of all) this.#actors.assign(key);
  }

  #isNeeded(key: IngressKey): boolean {
    return this.#world.ingress(key) !== undefined || this.#holdings.isConcerned(key);
  }

  #assignmentOf(key: IngressKey): Assignment {
    return assignmentOf(key, {
      world: this.#world,
      holdings: this.#holdings,
      servedAt: this.#servedAt,
      cas: this.#cas.known,
      credentialsFault: this.#credentialsFault,
    });
  }

  /** Those whose paths are served by another Ingress' tunnel have its name in their status. */
  #serving(host: string, tenure: number, hostname: string | null): void {
    if (hostname === null) this.#servedAt.delete(host);
    else this.#servedAt.set(host, { hostname, tenure });
    for (const { key } of this.#world.seniority(host).slice(1)) this.#actors.assign(key);
  }

  /** The holder of that tenure serves, or will not: whoever lingers for the host may go. */
  #settled(host: string, tenure: number): void {
    const lingering = this.#holdings.settled(host, tenure);
    if (lingering.length === 0) return;
    if (this.#servedAt.get(host)?.tenure !== tenure) this.#serving(host, tenure, null);
    for (const key of lingering) this.#actors.assign(key);
  }

  /** One connector less of those that former holders had: the present one may have waited for its end. */
  #left(host: string): void {
    const holder = this.#holdings.holderOf(host);
    if (holder !== null && !this.#holdings.hasFormer(host)) this.#actors.assign(holder);
  }

  #tellBackend(service: string): void {
    if (!this.#synced) return;
    const concerned = routersOf(this.#world.interestedIn(service), this.#world, this.#holdings);
    if (concerned.size === 0) return;
    const view = this.#world.backend(service);
    for (const key of concerned) this.#actors.tell(key, { type: 'backend', service, view });
  }

  #tellCa(secret: string, ca: OriginCa | null): void {
    if (ca === null) return;
    const concerned = routersOf(this.#cas.namedBy(secret), this.#world, this.#holdings);
    for (const key of concerned) this.#actors.tell(key, { type: 'ca', secret, ca });
  }

  #ledgerPresent(entry: LedgerEntry): void {
    // Not even looked at: with its token in our world its tunnel would be taken for ours, and removed as ours.
    if (entry.identity !== this.#deps.identity) return this.#foreign.seen(entry);
    if (!this.#world.putLedger(entry) || !this.#synced) return;
    const holder = this.#holdings.holderOf(entry.host);
    if (holder === null) {
      this.#adopt(entry);
      const adopter = this.#holdings.holderOf(entry.host);
      if (adopter !== null) this.#actors.assign(adopter);
      return;
    }
    const seen = { type: 'ledger.seen', host: entry.host, entry, version: entry.resourceVersion } as const;
    this.#actors.tell(holder, seen);
  }

  #ledgerRemoved(host: string, version: ObjectVersion): void {
    this.#world.settleLedger(host, null, version);
    const holder = this.#holdings.holderOf(host);
    if (holder !== null) this.#actors.tell(holder, { type: 'ledger.seen', host, entry: null, version });
  }

  /**
   * The holder is through with a host: it goes to its owner. If nobody wants it by now and something is left of
   * it, back to who had it, who removes it.
   */
  #letGo(
    { host, tenure }: { readonly host: string; readonly tenure: number },
    told: LedgerEntry | null,
    asOf: ObjectVersion,
    stillRuns: boolean,
  ): void {
    const from = this.#holdings.holderOf(host);
    if (from === null || !this.#holdings.release(host, tenure, stillRuns)) return;
    const entry = this.#world.settleLedger(host, told, asOf);
    const owner = this.#world.ownerOf(host) ?? (entry === null ? null : from);
    if (owner === null) {
      this.#servedAt.delete(host);
    } else {
      const since = this.#holdings.hold(host, owner);
      if (stillRuns) this.#context.after(lingerMs, { type: 'host.overdue', host, tenure: since });
      this.#actors.assign(owner);
    }
    if (owner !== from) this.#actors.assign(from);
  }

  #tellAll(message: IngressMessage): void {
    const all = new Set([...this.#world.ingressKeys(), ...this.#holdings.holders()]);
    for (const key of all) this.#actors.tell(key, message);
  }
}
