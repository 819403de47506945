import type { Fault } from '../fault.ts';
import type { Logger } from '../log.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import type { FromThread, RunId } from '../tunnel/link.ts';
import type { Company, ThreadLoad } from './placement.ts';
import type { ThreadPart } from './thread-part.ts';
import { HostThread } from './thread-pool.ts';
import type { ThreadRun } from './thread-run.ts';

/** While threads die before they are ready, those that live take what comes. */
const startBackoff: Backoff = { baseMs: 1000, capMs: 30_000, healthyAfterMs: 0 };

export interface ThreadSetOptions {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly logLevel: string;
  readonly accessCertsUrl: string | null;
  readonly workerFile: URL;
  readonly heapMb: number;
  /** How many tunnels a thread hosts; null when it is gone. */
  onThread(thread: string, tunnels: number | null): void;
}

export interface ThreadSetEvents {
  message(tenant: Tenant, message: TenantMessage): void;
  /** A thread has loaded its code. */
  ready(): void;
  /** A thread died with these on it, once it was ready or (`started` false) before. */
  died(tenants: readonly Tenant[], cause: Fault, started: boolean): void;
  /** A thread is gone, whether it died or was closed. */
  gone(): void;
}

/** What a thread says of one of its tenants. */
export type TenantMessage = Exclude<FromThread, { readonly type: 'thread.ready' | 'thread.pong' }>;

export interface Tenant {
  readonly run: ThreadRun;
  readonly part: ThreadPart;
}

export interface Host extends ThreadLoad {
  readonly thread: HostThread;
  readonly tunnels: Map<string, number>;
  connections: number;
  company: Company;
  readonly tenants: Map<RunId, Tenant>;
}

/** The threads and who is on them. Owns the threads; one that hosts nothing any more is closed. */
export class ThreadSet {
  readonly #options: ThreadSetOptions;
  readonly #events: ThreadSetEvents;
  /** Threads that take parts. */
  readonly #hosts = new Map<string, Host>();
  /** Threads that are not gone yet, with those that end. */
  readonly #threads = new Set<HostThread>();
  #nextId = 1;
  #failedStarts = 0;
  #noStartUntilMs = 0;

  constructor(options: ThreadSetOptions, events: ThreadSetEvents) {
    this.#options = options;
    this.#events = events;
  }

  get hosts(): ReadonlyMap<string, Host> {
    return this.#hosts;
  }

  get isEmpty(): boolean {
    return this.#threads.size === 0;
  }

  /** How many threads are for such tunnels. */
  countFor(company: Company): number {
    return [...this.#hosts.values()].filter((host) => host.company === company).length;
  }

  /** One has been started and has not loaded its code yet. */
  get isStarting(): boolean {
    return [...this.#hosts.values()].some(({ thread }) => !thread.wasReady);
  }

  /** False for a while after threads could not even start. */
  get maySpawn(): boolean {
    return this.#options.clock.monotonic() >= this.#noStartUntilMs;
  }

  /** A new thread, which must get a tenant at once. */
  spawn(company: Company): Host {
    const { clock, log, logLevel, accessCertsUrl, workerFile, heapMb } = this.#options;
    const id = String(this.#nextId++);
    const tenants = new Map<RunId, Tenant>();
    const thread = new HostThread(
      { workerFile, logLevel, accessCertsUrl, heapMb, clock },
      {
        message: (message) => this.#receive(tenants, message),
        ending: () => this.#hosts.delete(id),
        ended: (cause) => this.#ended(host, cause),
      },
    );
    const host: Host = { id, thread, tunnels: new Map(), connections: 0, company, tenants };
    this.#hosts.set(id, host);
    this.#threads.add(thread);
    log.info({ thread: id, threads: this.#hosts.size, company }, 'thread started');
    return host;
  }

  enter(host: Host, tenant: Tenant): void {
    host.tenants.set(tenant.part.id, tenant);
    this.#count(host, tenant, 1);
  }

  /** The part has ended; its thread goes with the last one. */
  leave({ run, part }: Tenant): void {
    const host = this.hostOf(part);
    if (host === undefined) return;
    host.tenants.delete(part.id);
    this.#count(host, { run, part }, -1);
    if (host.tenants.size > 0) return;
    this.#hosts.delete(host.id);
    host.thread.close();
  }

  hostOf(part: ThreadPart): Host | undefined {
    for (const host of this.#hosts.values()) if (host.thread === part.thread) return host;
    return undefined;
  }

  #count(host: Host, { run, part }: Tenant, sign: 1 | -1): void {
    const change = sign * part.connections.length;
    const connections = (host.tunnels.get(run.tunnel) ?? 0) + change;
    if (connections > 0) host.tunnels.set(run.tunnel, connections);
    else host.tunnels.delete(run.tunnel);
    host.connections += change;
    this.#options.onThread(host.id, host.tunnels.size);
  }

  #receive(tenants: ReadonlyMap<RunId, Tenant>, message: FromThread): void {
    if (message.type === 'thread.ready') return this.#events.ready();
    if (message.type === 'thread.pong') return;
    this.#failedStarts = 0;
    const tenant = tenants.get(message.run);
    if (tenant !== undefined) this.#events.message(tenant, message);
  }

  #ended(host: Host, cause: Fault | null): void {
    const { id, thread, tenants } = host;
    this.#threads.delete(thread);
    this.#options.onThread(id, null);
    const fields = { thread: id, tunnels: host.tunnels.size, connections: host.connections };
    if (cause === null) {
      this.#options.log.info(fields, 'thread ended');
    } else {
      this.#options.log.warn({ ...fields, code: cause.code, detail: cause.message }, 'thread lost');
      if (!thread.wasReady) this.#startFailed();
      this.#events.died([...tenants.values()], cause, thread.wasReady);
    }
    this.#events.gone();
  }

  #startFailed(): void {
    const delayMs = backoffDelayMs(startBackoff, this.#failedStarts, 0.5);
    this.#failedStarts++;
    this.#noStartUntilMs = this.#options.clock.monotonic() + delayMs;
  }
}
