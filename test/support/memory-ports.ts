import { isDeepStrictEqual } from 'node:util';
import type { SupervisorMessage } from '../../src/actors/messages.ts';
import type {
  CaSecrets,
  Cloudflare,
  IngressSink,
  LedgerStore,
  RunFact,
  TunnelRunner,
  TunnelRunRequest,
} from '../../src/actors/ports.ts';
import type { LedgerEntry, StoredLedgerEntry } from '../../src/domain/ledger.ts';
import type { RouteTable } from '../../src/domain/routes.ts';
import { type Fault, type FaultCode, failed, fault, ok, type Result } from '../../src/fault.ts';

/** The actors' ports in memory: their state is for a test to look at, and their next calls for it to let fail. */
class Failures {
  readonly #next = new Map<string, Fault[]>();

  /** The next `times` calls of `operation` fail, with these words or always the same ones. */
  failNext(
    operation: string,
    code: FaultCode,
    times = 1,
    wordsOf: (attempt: number) => string = () => `${operation} failed`,
  ): void {
    const faults = Array.from({ length: times }, (_, attempt) => ({ code, message: wordsOf(attempt) }));
    this.#next.set(operation, [...(this.#next.get(operation) ?? []), ...faults]);
  }

  protected check(operation: string): Result<void> {
    const fault = this.#next.get(operation)?.shift();
    return fault === undefined ? ok(undefined) : { ok: false, fault };
  }
}

export class MemoryCloudflare extends Failures implements Cloudflare {
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

export class MemoryCaSecrets implements CaSecrets {
  readonly #tell: (message: SupervisorMessage) => void;
  readonly #cas = new Map<string, string>();
  readonly followed = new Set<string>();
  /** Nothing is told: as while the API server does not answer. */
  silent = false;
  /** What reading a Secret fails with, as while the API server refuses. */
  failure: Fault | null = null;

  constructor(tell: (message: SupervisorMessage) => void) {
    this.#tell = tell;
  }

  /** The Secret has this CA from now on; null: it is gone. */
  set(name: string, ca: string | null): void {
    if (ca === null) this.#cas.delete(name);
    else this.#cas.set(name, ca);
    if (this.followed.has(name)) this.#told(name);
  }

  follow(name: string): void {
    this.followed.add(name);
    this.#told(name);
  }

  forget(name: string): void {
    this.followed.delete(name);
  }

  #told(secret: string): void {
    if (this.silent) return;
    const ca = this.#cas.get(secret);
    const missing = fault('ingress-invalid', `Secret "${secret}" does not exist`);
    const refusal = this.failure ?? (ca === undefined ? missing : null);
    const result = refusal === null ? ok(ca!) : { ok: false as const, fault: refusal };
    queueMicrotask(() => this.#tell({ type: 'ca.read', secret, result }));
  }
}

export class MemoryLedger extends Failures implements LedgerStore {
  entries = new Map<string, StoredLedgerEntry>();
  version = 0;
  readonly #watchers = new Set<(message: SupervisorMessage) => void>();

  /** Every change is told a little later, also to who made it. */
  watch(hear: (message: SupervisorMessage) => void): () => void {
    this.#watchers.add(hear);
    return () => void this.#watchers.delete(hear);
  }

  async put(entry: LedgerEntry, signal?: AbortSignal): Promise<Result<StoredLedgerEntry>> {
    const checked = this.#check('put', signal);
    if (!checked.ok) return checked;
    const stored = this.entries.get(entry.host);
    if (stored !== undefined && stored.resourceVersion !== entry.resourceVersion) {
      // As the real one: a creation meets what is there, and what says the same is our own write.
      const same = isDeepStrictEqual(
        { ...stored, resourceVersion: null },
        { ...entry, resourceVersion: null },
      );
      if (entry.resourceVersion === null || same) return ok(stored);
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

  /** Somebody deletes or empties the Secret. */
  lose(host: string): void {
    if (this.entries.delete(host))
      this.#tell({ type: 'ledger.removed', host, resourceVersion: String(++this.version) });
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

export class MemoryRunner implements TunnelRunner {
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

export class MemorySink extends Failures implements IngressSink {
  readonly status = new Map<string, readonly string[]>();
  readonly events: string[] = [];

  /** Written, and the answer waits for this. */
  answer: Promise<void> = Promise.resolve();

  async publish(ingress: { name: string }, hostnames: readonly string[]): Promise<Result<void>> {
    const checked = this.check('publish');
    if (checked.ok) this.status.set(ingress.name, hostnames);
    await this.answer;
    return checked;
  }

  event(ingress: { name: string }, note: { reason: string; message: string }): void {
    this.events.push(`${ingress.name} ${note.reason}`);
  }

  take(): string[] {
    return this.events.splice(0);
  }
}
