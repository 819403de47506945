import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Case } from './cases.ts';
import { type ConnectorName, type ContestantName, cloudflared, hostOf, ours } from './contestants.ts';
import type { Placement } from './cpus.ts';
import type { EdgeAddresses, EdgeOrder } from './edge.ts';
import type { Measured } from './generator/load.ts';
import type { GeneratorOrder } from './generator.ts';
import { freePort, nginxOrigin } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { Part, pinned } from './orders.ts';
import type { Rounds } from './summary.ts';

/** Dial, register and be ready, also on a busy machine. */
const connectWithinMs = 30_000;
/** Between two turns, so that what the one before has cancelled is over. */
const settleMs = 100;
/** After 1,000 sockets are open, until their memory is asked for. */
const holdMs = 500;

/** One who is measured: where its requests go, and the process that they cost. */
interface Contestant {
  readonly name: ContestantName;
  readonly port: number;
  readonly host: string;
  readonly pid: number | null;
}

/** The processes that every case shares, and what the cases of one bench need. Owns them until `stop`. */
export class Bench {
  readonly #options: BenchOptions;
  readonly #placement: Placement;
  /** A folder of its own, which its owner removes. */
  readonly #folder: string;
  readonly #parts = new Set<Part<never, unknown>>();
  #connectors = 0;
  #isStopped = false;

  constructor(options: BenchOptions, placement: Placement, folder: string) {
    this.#options = options;
    this.#placement = placement;
    this.#folder = folder;
  }

  /** Measures one case with connectors started for it: the contestants take turns in every round. */
  async measure(benchCase: Case, progress: (text: string) => void): Promise<readonly Rounds[]> {
    try {
      const world = await this.#world(benchCase);
      const results = world.contestants.map(({ name }) => ({ contestant: name, rounds: [] as Measured[] }));
      for (let round = 0; round <= this.#options.rounds; round++) {
        for (let turn = 0; turn < results.length; turn++) {
          const index = (round + turn) % results.length;
          const contestant = world.contestants[index]!;
          progress(`${benchCase.name} ${round === 0 ? 'warm-up' : `round ${round}`} ${contestant.name}`);
          const measured = await world.generator.ask(this.#order(benchCase, contestant));
          // The first round is for the compilers and for pools.
          if (round > 0 || measured.failed > 0) results[index]!.rounds.push(measured);
          await sleep(settleMs);
        }
      }
      return results;
    } finally {
      await this.#endAll();
    }
  }

  /** Ends every process that is still there; a case that is under way rejects. Idempotent. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#endAll();
  }

  async #endAll(): Promise<void> {
    // In the reverse order of their start: a connector leaves while the edge is still there.
    for (const part of [...this.#parts].reverse()) {
      await part.stop();
      this.#parts.delete(part);
    }
  }

  async #world({ kind, haConnections }: Case) {
    const generator = this.#start<GeneratorOrder, Measured>('generator');
    const edge = this.#start<EdgeOrder, EdgeAddresses | null>('edge');
    const originPort = await this.#origin(kind);
    const addresses = await edge.ask({ type: 'addresses' });
    if (addresses === null) throw new Error('the edge did not say where it listens');
    const contestants: Contestant[] = [{ name: 'direct', port: originPort, host: '127.0.0.1', pid: null }];
    for (const name of this.#connectorNames()) {
      const tunnelId = randomUUID();
      const folder = join(this.#folder, `${name}-${++this.#connectors}`);
      mkdirSync(folder);
      const connector = {
        folder,
        ca: addresses.ca,
        tunnelPort: addresses.tunnelPort,
        originPort,
        haConnections,
      };
      const { profile, cloudflared: program } = this.#options;
      const argv =
        name === 'warp-ingress'
          ? ours({ ...connector, tunnelId }, profile)
          : cloudflared(program ?? '', { ...connector, tunnelId });
      const part = this.#start<'pid', number>('program', pinned(argv, this.#placement.connector));
      const pid = await part.ask('pid');
      await registered(name, edge.ask({ type: 'connections', tunnelId, count: haConnections }), part);
      contestants.push({ name, port: addresses.frontPort, host: hostOf(tunnelId), pid });
    }
    return { generator, contestants };
  }

  #connectorNames(): readonly ConnectorName[] {
    return this.#options.cloudflared === null ? ['warp-ingress'] : ['warp-ingress', 'cloudflared'];
  }

  async #origin(kind: Case['kind']): Promise<number> {
    if (this.#options.nginx === null || kind === 'idle')
      return this.#start<'listen', number>('origin').ask('listen');
    const port = await freePort();
    const folder = join(this.#folder, `nginx-${this.#connectors}`);
    const argv = nginxOrigin(this.#options.nginx, folder, port);
    await this.#start<'pid', number>('program', pinned(argv, this.#placement.others)).ask('pid');
    return port;
  }

  #order(benchCase: Case, { port, host, pid }: Contestant): GeneratorOrder {
    const common = { port, host, pid };
    if (benchCase.kind === 'idle') {
      return { type: 'idle', ...common, path: '/socket', sockets: benchCase.sockets, holdMs };
    }
    const { method, path, bodyBytes, concurrency } = benchCase;
    const { warmMs, windowMs } = this.#options;
    return { type: 'load', ...common, method, path, bodyBytes, concurrency, warmMs, windowMs };
  }

  #start<O, A>(entry: string, argv: readonly string[] = []): Part<O, A> {
    if (this.#isStopped) throw new Error('the bench was stopped');
    const part = new Part<O, A>(entry, argv, this.#placement.others);
    this.#parts.add(part as Part<never, unknown>);
    return part;
  }
}

/** Waits for the registration, but not longer than the connector lives, nor for ever. */
async function registered(
  name: string,
  done: Promise<unknown>,
  connector: Part<'pid', number>,
): Promise<void> {
  const over = new AbortController();
  const late = sleep(connectWithinMs, null, { signal: over.signal }).then(() => {
    throw new Error(`${name} did not register within ${connectWithinMs / 1000} s`);
  });
  try {
    await Promise.race([done, connector.gone(over.signal), late]);
  } finally {
    over.abort();
  }
}
