import { isDeepStrictEqual } from 'node:util';
import type { SupervisorMessage } from '../../src/actors/messages.ts';
import type {
  Cloudflare,
  IngressSink,
  LedgerStore,
  RunFact,
  Secrets,
  Telemetry,
  TunnelRunner,
  TunnelRunRequest,
  TunnelState,
} from '../../src/actors/ports.ts';
import { type SupervisorWorld, supervisorSpec } from '../../src/actors/supervisor.ts';
import type { BackendPort, IngressSpec } from '../../src/domain/ingress.ts';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import type { RouteTable } from '../../src/domain/routes.ts';
import { type Fault, type FaultCode, failed, ok, type Result } from '../../src/fault.ts';
import { createActorSystem } from '../../src/kernel/system.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { ScriptedLeadership } from './scripted-leadership.ts';

/**
 * The actors over a world in memory: an obvious Cloudflare, ledger, runner and sink, whose state a test looks
 * at and whose next calls it can let fail. What is under test is only `src/actors` and the kernel below it.
 */
export class ActorHouse {
  readonly clock: ManualClock;
  readonly cloudflare: MemoryCloudflare;
  readonly ledger: MemoryLedger;
  readonly runner = new MemoryRunner();
  readonly sink = new MemorySink();
  readonly secrets = new MemorySecrets();
  readonly leadership = new ScriptedLeadership();
  readonly states = new Map<string, TunnelState>();
  /** Every message to any actor: its kind and the message's type. */
  readonly told: string[] = [];
  readonly #rows = new Map<string, TunnelState>();
  /** What was begun to be written, or asked of Cloudflare, while we did not lead. */
  readonly trespasses: string[] = [];
  readonly #root;
  readonly #unwatch: () => void;
  synced = false;

  /** `over` puts real parts in the place of those in memory; `beside` is another replica in the same world. */
  constructor(
    over: Partial<Omit<SupervisorWorld, 'ledger'>> & { readonly ledger?: MemoryLedger } = {},
    beside?: ActorHouse,
  ) {
    this.clock = beside?.clock ?? new ManualClock();
    this.cloudflare = beside?.cloudflare ?? new MemoryCloudflare();
    this.ledger = over.ledger ?? beside?.ledger ?? new MemoryLedger();
    const silent = { info() {}, warn() {}, error() {}, debug() {} };
    const telemetry: Telemetry = {
      tunnelState: (ingress, host, state) => {
        if (state === null) this.#rows.delete(`${ingress} ${host}`);
        else this.#rows.set(`${ingress} ${host}`, state);
        const [last] = this.rows(host).slice(-1);
        if (last === undefined) this.states.delete(host);
        else this.states.set(host, last.split(' ')[1] as TunnelState);
      },
      tunnelConnections() {},
      tunnelRestarted() {},
      timeToReady() {},
      ingressProblems() {},
    };
    const world: SupervisorWorld = {
      identity: 'me',
      leadership: this.leadership,
      cloudflare: this.#guarded(this.cloudflare),
      ledger: this.#guarded(this.ledger),
      runner: this.runner,
      sink: this.#guarded(this.sink, 'event'),
      secrets: this.secrets,
      telemetry,
      log: silent,
      random: () => 0.5,
      graceMs: 30_000,
      synced: () => {
        this.synced = true;
      },
      ...over,
    };
    const told = (_path: string, kind: string, message: unknown): void =>
      void this.told.push(`${kind} ${(message as { type: string }).type}`);
    const probe = { told, deadLetter() {}, restarted() {}, killed() {}, mailboxDepth() {} };
    const system = createActorSystem({ clock: this.clock, random: () => 0.5, log: silent, probe });
    this.#root = system.spawnRoot<SupervisorMessage>(supervisorSpec(world));
    this.leadership.onChange(() => this.#root.ref.tell({ type: 'leadership.changed' }));
    this.#unwatch = this.ledger.watch((message) => this.#root.ref.tell(message));
  }

  /** Notes each use of the port while we do not lead; `free` may always be called. */
  #guarded<T extends object>(port: T, free?: keyof T & string): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function' || name === free) return member;
        return (...given: unknown[]) => {
          if (!this.leadership.isLeading) this.trespasses.push(`${String(name)}`);
          return member.apply(target, given);
        };
      },
    });
  }

  /** What the status page would list for a host: Ingress and state. */
  rows(host: string): string[] {
    const rows = [...this.#rows].filter(([row]) => row.endsWith(` ${host}`));
    return rows.map(([row, state]) => `${row.slice(0, row.indexOf(' '))} ${state}`).sort();
  }

  /** Tells the supervisor and lets everything follow that needs no time to pass. */
  async tell(...messages: SupervisorMessage[]): Promise<void> {
    for (const message of messages) this.#root.ref.tell(message);
    await this.quiet();
  }

  async quiet(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await settle();
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.quiet();
  }

  /** A second controller over the same ledger and Cloudflare: what a restart finds. */
  successor(): ActorHouse {
    const next = new ActorHouse();
    next.cloudflare.tunnels = this.cloudflare.tunnels;
    next.cloudflare.records = this.cloudflare.records;
    next.ledger.entries = this.ledger.entries;
    next.ledger.version = this.ledger.version;
    return next;
  }

  async tellLedger(): Promise<void> {
    await this.tell(
      ...[...this.ledger.entries.values()].map((entry) => ({ type: 'ledger.present' as const, entry })),
    );
  }

  /** Another controller in the same world, at the same time; it leads not until it is told to. */
  replica(): ActorHouse {
    const next = new ActorHouse({}, this);
    next.leadership.isLeading = false;
    return next;
  }

  async stop(): Promise<void> {
    this.#unwatch();
    const stopped = this.#root.stop();
    await this.quiet();
    this.runner.endAll();
    await this.quiet();
    await stopped;
  }
}

class Failures {
  readonly #next = new Map<string, Fault[]>();

  /** The next `times` calls of `operation` fail. */
  failNext(operation: string, code: FaultCode, times = 1): void {
    const faults = Array.from({ length: times }, () => ({ code, message: `${operation} failed` }));
    this.#next.set(operation, [...(this.#next.get(operation) ?? []), ...faults]);
  }

  protected check(operation: string): Result<void> {
    const fault = this.#next.get(operation)?.shift();
    return fault === undefined ? ok(undefined) : { ok: false, fault };
  }
}

class MemoryCloudflare extends Failures implements Cloudflare {
  tunnels = new Map<string, string>();
  /** host → tunnel id */
  records = new Map<string, string>();
  readonly calls: string[] = [];
  /** Names of tunnels that others are connected to. */
  readonly inUse = new Set<string>();
  /** Of tunnels that are created from now on. */
  idSuffix = '';
  /** What becomes of a call whose caller has given it up: it may have arrived. */
  givenUpArrives = false;
  #gate: Promise<void> | null = null;

  /** Holds every call until the function that is given back is called. */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return () => {
      this.#gate = null;
      open();
    };
  }

  ensureTunnel({ name }: { name: string }, signal: AbortSignal) {
    return this.#call('ensureTunnel', name, signal, () => {
      const id = this.tunnels.get(name) ?? `id-of-${name}${this.idSuffix}`;
      this.tunnels.set(name, id);
      return { accountId: 'account', id, token: 'token' };
    });
  }

  removeTunnel({ name, force }: { name: string; force: boolean }, signal: AbortSignal) {
    if (this.inUse.has(name) && !force) {
      this.calls.push(`removeTunnel ${name}`);
      return Promise.resolve(failed('tunnel-in-use', 'somebody is connected'));
    }
    return this.#call('removeTunnel', name, signal, () => void this.tunnels.delete(name));
  }

  ensureDns({ host, tunnelId }: { host: string; tunnelId: string }, signal: AbortSignal) {
    return this.#call('ensureDns', host, signal, () => {
      this.records.set(host, tunnelId);
      return { zoneId: 'zone', cnameId: `cname-${host}`, txtId: `txt-${host}` };
    });
  }

  removeDns({ host, tunnelId }: { host: string; tunnelId: string }, signal: AbortSignal) {
    return this.#call('removeDns', host, signal, () => {
      if (this.records.get(host) === tunnelId) this.records.delete(host);
    });
  }

  async #call<T>(
    operation: string,
    subject: string,
    signal: AbortSignal,
    effect: () => T,
  ): Promise<Result<T>> {
    this.calls.push(`${operation} ${subject}`);
    const givenUp = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    await Promise.race([this.#gate, givenUp]);
    if (signal.aborted) {
      if (this.givenUpArrives) effect();
      return failed('stopped', 'given up');
    }
    const checked = this.check(operation);
    return checked.ok ? ok(effect()) : checked;
  }
}

class MemorySecrets extends Failures implements Secrets {
  /** Name → the CA in it. */
  readonly cas = new Map<string, string>();
  reads = 0;

  async readCa(name: string): Promise<Result<string>> {
    this.reads += 1;
    const checked = this.check('readCa');
    if (!checked.ok) return checked;
    const ca = this.cas.get(name);
    return ca === undefined ? failed('ingress-invalid', `Secret "${name}" does not exist`) : ok(ca);
  }
}

class MemoryLedger extends Failures implements LedgerStore {
  entries = new Map<string, LedgerEntry>();
  version = 0;
  readonly #watchers = new Set<(message: SupervisorMessage) => void>();

  /** Every change is told a little later, also to who made it. */
  watch(hear: (message: SupervisorMessage) => void): () => void {
    this.#watchers.add(hear);
    return () => void this.#watchers.delete(hear);
  }

  async put(entry: LedgerEntry, signal?: AbortSignal): Promise<Result<LedgerEntry>> {
    const checked = this.#check('put', signal);
    if (!checked.ok) return checked;
    const stored = this.entries.get(entry.host);
    if (stored !== undefined && stored.resourceVersion !== entry.resourceVersion) {
      // As the real one: a creation meets what is there, and what says the same is our own write.
      const same = isDeepStrictEqual({ ...stored, resourceVersion: '' }, { ...entry, resourceVersion: '' });
      if (entry.resourceVersion === '' || same) return ok(stored);
      return failed('kube-conflict', 'the ledger entry was changed meanwhile');
    }
    const written = { ...entry, resourceVersion: String(++this.version) };
    this.entries.set(entry.host, written);
    this.#tell({ type: 'ledger.present', entry: written });
    return ok(written);
  }

  async remove({ host, resourceVersion }: LedgerEntry, signal?: AbortSignal): Promise<Result<void>> {
    const checked = this.#check('remove', signal);
    const stored = this.entries.get(host);
    if (!checked.ok || stored === undefined) return checked;
    if (stored.resourceVersion !== resourceVersion) return failed('kube-conflict', 'changed meanwhile');
    this.entries.delete(host);
    this.#tell({ type: 'ledger.removed', host, resourceVersion: String(++this.version) });
    return ok(undefined);
  }

  #check(operation: string, signal?: AbortSignal): Result<void> {
    return signal?.aborted === true ? failed('stopped', 'given up') : this.check(operation);
  }

  #tell(message: SupervisorMessage): void {
    for (const hear of this.#watchers) queueMicrotask(() => hear(message));
  }
}

export interface MemoryRun {
  readonly request: TunnelRunRequest;
  routes: RouteTable;
  /** Connections of it at the edge. */
  registered: number;
  stopping: boolean;
  hear: (fact: RunFact) => void;
}

class MemoryRunner implements TunnelRunner {
  readonly runs: MemoryRun[] = [];
  /** Every start there ever was, by host. */
  readonly started: string[] = [];
  /** Hosts whose last serving run was stopped, as often as that happened. */
  readonly closed: string[] = [];
  /** Hosts of which nothing should run that has no run. */
  readonly cleared: string[] = [];
  autoRegister = true;
  autoEnd = true;

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void) {
    const run: MemoryRun = { request, routes: request.routes, registered: 0, stopping: false, hear };
    this.runs.push(run);
    this.started.push(request.host);
    if (this.autoRegister) queueMicrotask(() => this.register(run));
    return {
      updateRoutes: (routes: RouteTable) => {
        run.routes = routes;
      },
      stop: () => {
        const didServe = this.isServed(request.host);
        run.stopping = true;
        if (didServe && !this.isServed(request.host)) this.closed.push(request.host);
        if (this.autoEnd) queueMicrotask(() => this.end(run, null));
      },
      kill: () => this.end(run, null),
    };
  }

  register(run: MemoryRun, registered = run.request.haConnections): void {
    run.registered = registered;
    run.hear({ type: 'connections', registered });
  }

  /** By a run that was not asked to stop. */
  isServed(host: string): boolean {
    return this.runs.some((run) => run.request.host === host && run.registered > 0 && !run.stopping);
  }

  clear(host: string): void {
    this.cleared.push(host);
  }

  of(host: string): MemoryRun | undefined {
    return this.runs.find((run) => run.request.host === host);
  }

  hosts(): string[] {
    return this.runs.map((run) => run.request.host).sort();
  }

  end(run: MemoryRun, fault: Fault | null): void {
    const index = this.runs.indexOf(run);
    if (index < 0) return;
    this.runs.splice(index, 1);
    run.hear({ type: 'ended', fault });
  }

  endAll(): void {
    for (const run of [...this.runs]) this.end(run, null);
  }
}

class MemorySink extends Failures implements IngressSink {
  readonly status = new Map<string, readonly string[]>();
  readonly events: string[] = [];

  async publish(ingress: { name: string }, hostnames: readonly string[]): Promise<Result<void>> {
    const checked = this.check('publish');
    if (checked.ok) this.status.set(ingress.name, hostnames);
    return checked;
  }

  event(ingress: { name: string }, note: { reason: string; message: string }): void {
    this.events.push(`${ingress.name} ${note.reason}`);
  }

  take(): string[] {
    return this.events.splice(0);
  }
}

/** An Ingress that leads each host to the Service `web`, port 80, unless told otherwise. */
export function ingress(key: string, hosts: readonly string[], over: Partial<IngressSpec> = {}): IngressSpec {
  return {
    key,
    uid: `uid-${key}`,
    createdAtMs: 1,
    hosts: hosts.map((host) => ({ host, paths: [rule()] })),
    unservable: [],
    settings: {
      mode: 'worker',
      replicas: 1,
      haConnections: 4,
      noBackend: 'close',
      dns: 'managed',
      originVia: 'service',
      origin: defaultOriginSettings,
      access: null,
    },
    asksForTls: false,
    publishedHostnames: [],
    problems: [],
    refused: false,
    ...over,
  };
}

export function rule(service = 'web', port: BackendPort = { by: 'number', number: 80 }) {
  return { path: '/', match: 'prefix' as const, backend: { service, port } };
}

export const present = (spec: IngressSpec): SupervisorMessage => ({ type: 'ingress.present', spec });
export const removed = (key: string): SupervisorMessage => ({ type: 'ingress.removed', key });
export const synced: SupervisorMessage = { type: 'world.synced' };

export function service(name = 'web', port = 80, clusterIp = '10.0.0.1'): SupervisorMessage {
  const ports = [{ name: 'http', port }];
  return {
    type: 'service.present',
    service: { name, uid: name, type: 'ClusterIP', clusterIp, externalName: null, ports },
  };
}

export function slice(name = 'web-1', of = 'web', readyAddresses = ['10.1.0.1']): SupervisorMessage {
  return {
    type: 'slice.present',
    slice: { name, service: of, ports: [{ name: 'http', port: 8080 }], readyAddresses },
  };
}
