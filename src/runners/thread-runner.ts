import type { RunFact, TunnelRun, TunnelRunner, TunnelRunRequest } from '../actors/ports.ts';
import { type Fault, fault, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';
import type { EdgeSettings, TunnelCounts } from '../tunnel/link.ts';
import { OpenFiles } from './open-files.ts';
import { PartMoves } from './part-moves.ts';
import { type Apart, type Circumstances, type Place, partsOf, placePart } from './placement.ts';
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
  /** Hosts whose tunnels are kept apart because threads died under them, and with whom they share threads. */
  quarantined(): ReadonlyMap<string, Apart>;
  /** Stops every run and resolves when no thread is left; bounded by the grace period and some slack. */
  close(): Promise<void>;
}

/**
 * Runs tunnels in worker threads, each in two parts on two threads unless isolation is strict. A thread that
 * throws, exits, spins or runs out of heap costs each tunnel on it the connections that were there, which are
 * started again elsewhere; a tunnel that has no other part gets one `ended` fact. A tunnel that was on the dead
 * threads again and again is put into a thread of its own, or onto some that suspects share. Threads that host nothing
 * end.
 */
export function createThreadRunner(options: ThreadRunnerOptions): ThreadRunner {
  return new RunnerOverThreads(options);
}

const defaultWorkerFile = new URL('../../workers/tunnel-thread.js', import.meta.url);

class RunnerOverThreads implements ThreadRunner {
  readonly #options: ThreadRunnerOptions;
  readonly #runs = new Set<ThreadRun>();
  readonly #threads: ThreadSet;
  readonly #openFiles: OpenFiles;
  readonly #quarantine: Quarantine;
  readonly #moves: PartMoves;
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
        ready: () => this.#takeTurns(),
        gone: () => {
          this.#takeTurns();
          this.#resolveWhenEmpty();
        },
      },
    );
    this.#quarantine = new Quarantine({
      clock: options.clock,
      log: options.log,
      present: () => Array.from(this.#runs, ({ tunnel, request }) => ({ tunnel, host: request.host })),
      judged: () => {
        for (const run of this.#runs) this.#tellCompany(run);
        this.#moves.verdictChanged(this.#circumstances().sharedThreads);
      },
    });
    this.#moves = new PartMoves({
      clock: options.clock,
      runs: this.#runs,
      threads: this.#threads,
      companyOf: (tunnel) => this.#quarantine.companyOf(tunnel),
      placeFor: (run) => this.#bestPlace(run, false),
    });
  }

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun {
    const { clock, graceMs } = this.#options;
    const options: ThreadRunOptions = {
      clock,
      graceMs,
      place: (from, connections, lost) => this.#place(from, connections, lost),
      mustWait: (from, lost) => this.#mustWait(from, lost),
    };
    const run = new ThreadRun(`run-${this.#nextRun++}`, request, options, (fact) => {
      if (fact.type === 'ended') this.#runs.delete(run);
      hear(fact);
    });
    this.#runs.add(run);
    const problem = this.#begin(run);
    // Never before the caller has what it asked for.
    queueMicrotask(() => (problem === null ? this.#tellCompany(run) : run.fail(problem)));
    return run;
  }

  /** A thread does not outlive its process. */
  clear(): void {}

  close(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>();
    this.#quarantine.close();
    this.#moves.close();
    for (const run of [...this.#runs]) run.stop();
    this.#resolveWhenEmpty();
    return this.#closed.promise;
  }

  #tellCompany(run: ThreadRun): void {
    run.quarantined(this.#quarantine.companyOf(run.tunnel) !== 'any');
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
    const { clock, edge } = this.#options;
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
        routes: run.routes,
      },
    });
    return null;
  }

  /**
   * Threads for those in quarantine start one after the other: many at once would take the processor from all others. To
   * share what so many threads have lost new ones are needed at once.
   */
  #mustWait(run: ThreadRun, lost: boolean): boolean {
    if (!this.#threads.isStarting) return false;
    const place = this.#bestPlace(run, lost);
    return place?.kind === 'new' && place.company !== 'any';
  }

  #takeTurns(): void {
    for (const run of [...this.#runs]) run.takeTurn();
  }

  #hostFor(run: ThreadRun, lost: boolean): Host | null {
    const place = this.#bestPlace(run, lost);
    if (place === null) return null;
    return place.kind === 'new'
      ? this.#threads.spawn(place.company)
      : (this.#threads.hosts.get(place.id) ?? null);
  }

  #bestPlace({ tunnel }: ThreadRun, lost: boolean): Place | null {
    const hosts = [...this.#threads.hosts.values()];
    const company = this.#quarantine.companyOf(tunnel);
    const part = { tunnel, company, lost };
    const circumstances = this.#circumstances();
    if (company === 'nobody' || this.#threads.maySpawn) return placePart(part, hosts, circumstances);
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
    const { suspects, suspectThreads } = this.#quarantine;
    return { limits: this.#options, sharedThreads: threads, suspectThreads, suspects };
  }

  #receive(tenant: Tenant, message: TenantMessage): void {
    const { run, part } = tenant;
    switch (message.type) {
      case 'connection.registered':
        return run.registered(part, message.connIndex);
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

  quarantined(): ReadonlyMap<string, Apart> {
    const apart = new Map<string, Apart>();
    for (const { tunnel, request } of this.#runs) {
      const company = this.#quarantine.companyOf(tunnel);
      if (company !== 'any') apart.set(request.host, company);
    }
    return apart;
  }

  #accuse(tunnels: ReadonlySet<string>): void {
    const { sharedThreads } = this.#circumstances();
    const shared = Math.max(this.#threads.countFor('any'), sharedThreads);
    // The only tunnel has no neighbours that would have to be saved from it.
    const threads = this.#runs.size > 1 ? Math.max(0, this.#options.maxThreads - shared) : 0;
    this.#quarantine.accuse(tunnels, {
      threads,
      tunnelsPerThread: Math.ceil((2 * this.#runs.size) / sharedThreads),
    });
  }

  #resolveWhenEmpty(): void {
    if (this.#threads.isEmpty) this.#closed?.resolve();
  }
}
