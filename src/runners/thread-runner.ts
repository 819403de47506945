import type { RunFact, TunnelRun, TunnelRunner, TunnelRunRequest } from '../actors/ports.ts';
import { type Fault, fault, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { EdgeSettings, TunnelCounts } from '../tunnel/link.ts';
import { OpenFiles } from './open-files.ts';
import { type Circumstances, partsOf, placePart } from './placement.ts';
import { Quarantine } from './quarantine.ts';
import { sharedThreads, type ThreadLimits } from './thread-count.ts';
import { ThreadPart } from './thread-part.ts';
import { threadHeapMb } from './thread-pool.ts';
import { ThreadRun, type ThreadRunOptions } from './thread-run.ts';
import { type Host, type Tenant, type TenantMessage, ThreadSet } from './thread-set.ts';

export interface ThreadRunnerOptions extends ThreadLimits {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly logLevel: string;
  /** Where the keys of Access teams are; null is each team's own host. */
  readonly accessCertsUrl: string | null;
  /** The region is in each tunnel's token. */
  readonly edge: Omit<EdgeSettings, 'region'>;
  readonly graceMs: number;
  /** The compiled `workers/tunnel-thread`; tests give another. */
  readonly workerFile?: URL;
  readonly heapMb?: number;
  onCounts(host: string, counts: TunnelCounts): void;
  /** How many tunnels a thread hosts; null when it is gone. */
  onThread(thread: string, tunnels: number | null): void;
}

export interface ThreadRunner extends TunnelRunner {
  /** Hosts whose tunnels are kept apart because threads died under them. */
  quarantined(): ReadonlySet<string>;
  /** Stops every run and resolves when no thread is left; bounded by the grace period and some slack. */
  close(): Promise<void>;
}

/**
 * Runs tunnels in worker threads, each in two parts on two threads unless isolation is strict. A thread that
 * throws, exits, spins or runs out of heap costs each tunnel on it the connections that were there, which are
 * started again elsewhere; a tunnel that has no other part gets one `ended` fact. A tunnel that was on the dead
 * threads again and again is put into a thread of its own. Threads that host nothing end.
 */
export function createThreadRunner(options: ThreadRunnerOptions): ThreadRunner {
  return new RunnerOverThreads(options);
}

/**
 * So often is looked for tunnels that had to go where they should not be (both parts on one thread, because no
 * other could be started), and so many of them are moved at a time, milliseconds.
 */
export const repairEveryMs = 10_000;
const movesPerRepair = 10;

const defaultWorkerFile = new URL('../../workers/tunnel-thread.js', import.meta.url);

class RunnerOverThreads implements ThreadRunner {
  readonly #options: ThreadRunnerOptions;
  readonly #runs = new Set<ThreadRun>();
  readonly #threads: ThreadSet;
  readonly #openFiles: OpenFiles;
  readonly #quarantine: Quarantine;
  #repair: Timer;
  #sharedThreads = 0;
  #nextRun = 1;
  #nextPart = 1;
  #closed: PromiseWithResolvers<void> | null = null;

  constructor(options: ThreadRunnerOptions) {
    this.#options = options;
    this.#openFiles = new OpenFiles(options.clock, options.log);
    const { workerFile = defaultWorkerFile, heapMb = threadHeapMb } = options;
    this.#threads = new ThreadSet(
      { ...options, workerFile, heapMb },
      {
        message: (tenant, message) => this.#receive(tenant, message),
        died: (tenants, cause, started) => this.#died(tenants, cause, started),
        gone: () => this.#resolveWhenEmpty(),
      },
    );
    this.#quarantine = new Quarantine({
      clock: options.clock,
      log: options.log,
      present: () => Array.from(this.#runs, ({ tunnel, request }) => ({ tunnel, host: request.host })),
      changed: (tunnels) => this.#quarantineChanged(tunnels),
    });
    this.#repair = this.#repairLater();
  }

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun {
    const { clock, graceMs } = this.#options;
    const options: ThreadRunOptions = {
      clock,
      graceMs,
      place: (from, connections, lost) => this.#place(from, connections, lost),
    };
    const run = new ThreadRun(`run-${this.#nextRun++}`, request, options, (fact) => {
      if (fact.type === 'ended') this.#runs.delete(run);
      hear(fact);
    });
    this.#runs.add(run);
    const problem = this.#begin(run);
    // Never before the caller has what it asked for.
    if (problem !== null) queueMicrotask(() => run.fail(problem));
    return run;
  }

  /** A thread does not outlive its process. */
  clear(): void {}

  close(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>();
    this.#quarantine.close();
    this.#repair.cancel();
    for (const run of [...this.#runs]) run.stop();
    this.#resolveWhenEmpty();
    return this.#closed.promise;
  }

  #begin(run: ThreadRun): Fault | null {
    const connections = Array.from({ length: run.request.haConnections }, (_, connIndex) => connIndex);
    for (const part of partsOf(connections, this.#options)) {
      const problem = this.#place(run, part, false);
      if (problem !== null) return problem;
    }
    return null;
  }

  #place(run: ThreadRun, connections: readonly number[], lost: boolean): Fault | null {
    if (this.#closed !== null) return fault('stopped', 'the runner is closing');
    const { token } = run;
    if (!token.ok) return token.fault;
    const host = this.#hostFor(run, lost);
    if (host === null) {
      return fault(
        'threads-exhausted',
        `all ${this.#threads.hosts.size} threads are full; see --max-threads`,
      );
    }
    const { clock, edge, graceMs } = this.#options;
    const { credentials, region } = token.value;
    const part = new ThreadPart(`${run.id}.${this.#nextPart++}`, connections, host.thread, clock);
    const urgent = run.parts.size === 0;
    this.#threads.enter(host, { run, part });
    run.begun(part);
    host.thread.send({
      type: 'tunnel.start',
      spec: {
        run: part.id,
        host: run.request.host,
        credentials,
        connectorId: run.connectorId,
        connections,
        urgent,
        edge: { ...edge, region },
        graceMs,
        routes: run.routes,
      },
    });
    return null;
  }

  #hostFor(run: ThreadRun, lost: boolean): Host | null {
    const place = this.#bestPlace(run, lost);
    if (place === null) return null;
    return place.kind === 'new'
      ? this.#threads.spawn(place.reserved)
      : (this.#threads.hosts.get(place.id) ?? null);
  }

  #bestPlace(run: ThreadRun, lost: boolean) {
    const hosts = [...this.#threads.hosts.values()];
    const alone = this.#quarantine.has(run.tunnel);
    const part = { tunnel: run.tunnel, alone, lost };
    const circumstances = this.#circumstances();
    if (part.alone || this.#threads.maySpawn) return placePart(part, hosts, circumstances);
    const limits = { ...circumstances.limits, maxThreads: hosts.length };
    // Nobody there to take it: then a thread must be tried all the same.
    return placePart(part, hosts, { ...circumstances, limits }) ?? placePart(part, hosts, circumstances);
  }

  #circumstances(): Circumstances {
    const { cores, maxThreads, tunnelsPerThread } = this.#options;
    const tunnels = this.#runs.size;
    const threads = sharedThreads(tunnels, this.#options);
    if (threads !== this.#sharedThreads && tunnelsPerThread !== 1) {
      this.#sharedThreads = threads;
      const fields = { tunnels, threads, cores, maxThreads, tunnelsPerThread };
      this.#options.log.info(fields, 'number of shared threads decided');
    }
    return { limits: this.#options, sharedThreads: threads, suspects: this.#quarantine.suspects };
  }

  #receive(tenant: Tenant, message: TenantMessage): void {
    const { run, part } = tenant;
    switch (message.type) {
      case 'connection.registered':
        run.registered(message.connIndex);
        this.#settle(run);
        return;
      case 'connection.lost':
        if (message.fault.code === 'files-exhausted') {
          this.#openFiles.exhausted(() => Array.from(this.#runs, ({ request }) => request.haConnections));
        }
        return run.lost(message.connIndex, message.fault);
      case 'access.keys':
        return run.access(message.problem);
      case 'tunnel.counts':
        return this.#options.onCounts(run.request.host, message.counts);
      case 'tunnel.ended':
        this.#threads.leave(tenant);
        return run.partEnded(part, message.ending);
      default:
        return unreachable(message);
    }
  }

  /** Judges first, so that what starts again already goes where it belongs. */
  #died(tenants: readonly Tenant[], cause: Fault, started: boolean): void {
    const tunnels = new Set(tenants.map(({ run }) => run.tunnel));
    if (started && tunnels.size > 0 && this.#options.tunnelsPerThread !== 1) this.#accuse(tunnels);
    for (const [index, { run, part }] of tenants.entries()) run.partLost(part, cause, index / tenants.length);
  }

  quarantined(): ReadonlySet<string> {
    const apart = [...this.#runs].filter(({ tunnel }) => this.#quarantine.has(tunnel));
    return new Set(apart.map(({ request }) => request.host));
  }

  #accuse(tunnels: ReadonlySet<string>): void {
    // The only tunnel has no neighbours that would have to be saved from it.
    const shared = Math.max(this.#hostsToShare(), this.#circumstances().sharedThreads);
    this.#quarantine.accuse(tunnels, this.#runs.size > 1 ? this.#options.maxThreads - shared : 0);
  }

  #quarantineChanged(changed: ReadonlySet<string>): void {
    const { sharedThreads } = this.#circumstances();
    for (const host of this.#threads.hosts.values()) {
      const tenants = [...host.tenants.values()];
      if (!host.reserved || tenants.some(({ run }) => this.#quarantine.has(run.tunnel))) continue;
      // A released tunnel leaves its thread, which makes room for another quarantine: but not one that cannot without
      // a gap, nor where a thread to share is missing.
      const canLeave = tenants.every(({ run }) => run.parts.size > 1);
      host.reserved = canLeave && this.#hostsToShare() >= sharedThreads;
    }
    for (const run of this.#runs) if (changed.has(run.tunnel)) this.#settle(run);
  }

  #hostsToShare(): number {
    return [...this.#threads.hosts.values()].filter(({ reserved }) => !reserved).length;
  }

  #repairLater(): Timer {
    return this.#options.clock.after(repairEveryMs, () => {
      let left = movesPerRepair;
      for (const run of this.#runs) if (left > 0 && this.#settle(run)) left--;
      this.#repair = this.#repairLater();
    });
  }

  /**
   * Moves a part that is where it should not be: outside of its tunnel's quarantine or still in it after release, or
   * beside the tunnel's other part without need. Only while all parts serve, and one at a time, so that the tunnel
   * always does. True if so.
   */
  #settle(run: ThreadRun): boolean {
    if (run.parts.size < 2 || !run.isSettled) return false;
    const parts = Array.from(run.parts, (part) => ({ part, host: this.#threads.hostOf(part) }));
    // One whose thread has just died is about to be lost.
    if (parts.some(({ host }) => host === undefined)) return false;
    const own = parts.find(({ host }) => host?.reserved)?.host;
    const isAlone = this.#quarantine.has(run.tunnel);
    const [misplaced] =
      own === undefined
        ? this.#betterElsewhere(run, parts)
        : parts.filter(({ host }) => (host === own) !== isAlone);
    if (misplaced === undefined || this.#bestPlace(run, false) === null) return false;
    run.move(misplaced.part);
    return true;
  }

  #betterElsewhere<P extends { readonly host: Host | undefined }>(run: ThreadRun, parts: readonly P[]): P[] {
    const [first] = parts;
    if (first === undefined) return [];
    const together = parts.every(({ host }) => host === first.host);
    if (!together && !this.#quarantine.has(run.tunnel)) return [];
    const place = this.#bestPlace(run, false);
    if (place?.kind === 'new') return place.reserved || together ? [first] : [];
    return place !== null && together && place.id !== first.host?.id ? [first] : [];
  }

  #resolveWhenEmpty(): void {
    if (this.#threads.isEmpty) this.#closed?.resolve();
  }
}
