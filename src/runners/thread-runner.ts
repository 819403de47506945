import { randomUUID } from 'node:crypto';
import type { RunFact, TunnelRun, TunnelRunner, TunnelRunRequest } from '../actors/ports.ts';
import { type Fault, fault, unreachable } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';
import type { EdgeSettings, FromThread, RunId, TunnelCounts, TunnelCredentials } from '../tunnel/link.ts';
import { parseTunnelToken } from '../tunnel/token.ts';
import { type PlacementLimits, placeTunnel } from './placement.ts';
import { HostThread, threadHeapMb } from './thread-pool.ts';
import { ThreadRun } from './thread-run.ts';

export interface ThreadRunnerOptions extends PlacementLimits {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly logLevel: string;
  /** Where the keys of Access teams are; null is each team's own host. */
  readonly accessCertsUrl: string | null;
  /** The region is the token's, if this one is empty. */
  readonly edge: EdgeSettings;
  readonly graceMs: number;
  /** The compiled `workers/tunnel-thread`; tests give another. */
  readonly workerFile?: URL;
  readonly heapMb?: number;
  onCounts(host: string, counts: TunnelCounts): void;
  /** How many tunnels a thread hosts; null when it is gone. */
  onThread(thread: string, tunnels: number | null): void;
}

export interface ThreadRunner extends TunnelRunner {
  /** Stops every run and resolves when no thread is left; bounded by the grace period and some slack. */
  close(): Promise<void>;
}

/**
 * Runs tunnels in worker threads. A thread that throws, exits, spins or runs out of heap is one `ended` fact
 * for each tunnel on it, and nothing to anybody else; what starts next gets another thread. Threads that host
 * nothing end.
 */
export function createThreadRunner(options: ThreadRunnerOptions): ThreadRunner {
  return new RunnerOverThreads(options);
}

const defaultWorkerFile = new URL('../../workers/tunnel-thread.js', import.meta.url);

interface Host {
  readonly id: string;
  readonly thread: HostThread;
  readonly runs: Map<RunId, ThreadRun>;
}

class RunnerOverThreads implements ThreadRunner {
  readonly #options: ThreadRunnerOptions;
  /** The same for every tunnel of this process, as cloudflared does it. */
  readonly #connectorId = randomUUID();
  /** Threads that take tunnels. */
  readonly #hosts = new Map<string, Host>();
  /** Threads that are not gone yet, with those that end. */
  readonly #threads = new Set<HostThread>();
  #nextThread = 1;
  #nextRun = 1;
  #closed: PromiseWithResolvers<void> | null = null;

  constructor(options: ThreadRunnerOptions) {
    this.#options = options;
  }

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun {
    const run = new ThreadRun(`run-${this.#nextRun++}`, request.host, this.#options, hear);
    const problem = this.#place(run, request);
    // Never before the caller has what it asked for.
    if (problem !== null) queueMicrotask(() => run.fail(problem));
    return run;
  }

  close(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>();
    for (const { runs } of [...this.#hosts.values()]) for (const run of [...runs.values()]) run.stop();
    this.#resolveWhenEmpty();
    return this.#closed.promise;
  }

  #place(run: ThreadRun, request: TunnelRunRequest): Fault | null {
    if (this.#closed !== null) return fault('stopped', 'the runner is closing');
    const token = parseTunnelToken(request.tunnel.token);
    if (!token.ok) return token.fault;
    const connections = Array.from({ length: request.haConnections }, (_, connIndex) => connIndex);
    const loads = Array.from(this.#hosts.values(), ({ id, runs }) => ({ id, tunnels: runs.size }));
    const parts = placeTunnel(connections, loads, this.#options);
    if (parts === null) {
      return fault('threads-exhausted', `all ${loads.length} threads are full; see --max-threads`);
    }
    const { credentials, region } = token.value;
    for (const part of parts) {
      const host = (part.thread === null ? undefined : this.#hosts.get(part.thread)) ?? this.#startThread();
      host.runs.set(run.id, run);
      run.add({
        thread: host.thread,
        leave: () => this.#leave(host, run),
      });
      this.#tellLoad(host);
      this.#send(host, run, request, credentials, region, part.connections);
    }
    return null;
  }

  #send(
    host: Host,
    run: ThreadRun,
    request: TunnelRunRequest,
    credentials: TunnelCredentials,
    region: string,
    connections: readonly number[],
  ): void {
    const { edge, graceMs } = this.#options;
    host.thread.send({
      type: 'tunnel.start',
      spec: {
        run: run.id,
        host: request.host,
        credentials,
        connectorId: this.#connectorId,
        connections,
        edge: { ...edge, region: edge.region === '' ? region : edge.region },
        graceMs,
        routes: request.routes,
      },
    });
  }

  #startThread(): Host {
    const { clock, log, logLevel, accessCertsUrl } = this.#options;
    const { workerFile = defaultWorkerFile, heapMb = threadHeapMb } = this.#options;
    const id = String(this.#nextThread++);
    const runs = new Map<RunId, ThreadRun>();
    const thread = new HostThread(
      { workerFile, logLevel, accessCertsUrl, heapMb, clock },
      {
        message: (message) => this.#receive(runs, thread, message),
        ended: (cause) => {
          this.#hosts.delete(id);
          this.#threads.delete(thread);
          this.#options.onThread(id, null);
          const fields = { thread: id, tunnels: runs.size };
          if (cause !== null) log.warn({ ...fields, code: cause.code, detail: cause.message }, 'thread lost');
          else log.info(fields, 'thread ended');
          for (const run of [...runs.values()]) run.partEnded(thread, cause);
          this.#resolveWhenEmpty();
        },
      },
    );
    const host = { id, thread, runs };
    this.#hosts.set(id, host);
    this.#threads.add(thread);
    log.info({ thread: id }, 'thread started');
    return host;
  }

  #receive(runs: Map<RunId, ThreadRun>, thread: HostThread, message: FromThread): void {
    if (message.type === 'thread.ready' || message.type === 'thread.pong') return;
    const run = runs.get(message.run);
    if (run === undefined) return;
    switch (message.type) {
      case 'connection.registered':
        return run.registered(message.connIndex);
      case 'connection.lost':
        return run.lost(message.connIndex, message.fault);
      case 'tunnel.counts':
        return this.#options.onCounts(run.host, message.counts);
      case 'tunnel.ended':
        return run.partEnded(thread, message.ending.how === 'failed' ? message.ending.fault : null);
      default:
        return unreachable(message);
    }
  }

  #leave(host: Host, run: ThreadRun): void {
    host.runs.delete(run.id);
    if (!this.#hosts.has(host.id)) return;
    this.#tellLoad(host);
    if (host.runs.size > 0) return;
    this.#hosts.delete(host.id);
    host.thread.close();
  }

  #tellLoad({ id, runs }: Host): void {
    this.#options.onThread(id, runs.size);
  }

  #resolveWhenEmpty(): void {
    if (this.#threads.size === 0) this.#closed?.resolve();
  }
}
