import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../src/sandbox/free-port.ts';
import type { Case } from './cases.ts';
import {
  type Connector,
  type ConnectorWorld,
  cloudflared,
  hostOf,
  nameOf,
  type OriginAddress,
  ours,
  ownBuild,
} from './contestants.ts';
import type { Placement } from './cpus.ts';
import type { EdgeAddresses, EdgeOrder } from './edge.ts';
import type { LoadOrder, Measured } from './generator/load.ts';
import type { GeneratorOrder } from './generator.ts';
import { nginxOrigin } from './nginx.ts';
import type { BenchOptions } from './options.ts';
import { Part, pinned } from './orders.ts';
import type { OriginOrder } from './origin.ts';
import { socketPath } from './origin-paths.ts';
import { processUsage } from './process-usage.ts';
import type { RelayOrder, RelayWorld } from './relay.ts';
import type { Rounds } from './summary.ts';
import type { HostOrder } from './thread-host.ts';

/** Dial, register and be ready, also on a busy machine. */
const connectWithinMs = 30_000;
/** Between two turns, so that what the one before has cancelled is over. */
const settleMs = 100;
/** Connections of the bare relay: more than any case has clients. */
const relayPairs = 64;
/** After 1,000 sockets are open, until their memory is asked for. */
const holdMs = 500;

/** How many windows the turn that is thrown away has: at 1 MiB a window holds too few requests to compile all code. */
const warmUpWindows = 4;

/** One who is measured: where its requests go, and the processes that take its rounds in turns. */
interface Contestant {
  readonly name: string;
  readonly port: number;
  readonly protocol: LoadOrder['protocol'];
  readonly processes: readonly Measurable[];
}

/** One process, and the host whose requests it gets. It idles while another has the turn. */
interface Measurable {
  readonly host: string;
  readonly pid: number | null;
  /** What it had before the tunnel was there; counts for nothing. */
  readonly restBytes: number;
  /** What was seen of it so far. */
  readonly rounds: Measured[];
}

/** The processes that every case shares, and what the cases of one bench need. Owns them until `stop`. */
export class Bench {
  readonly #options: BenchOptions;
  readonly #placement: Placement;
  /** A folder of its own, which its owner removes. */
  readonly #folder: string;
  readonly #parts = new Set<Part<never, unknown>>();
  #started = 0;
  #isStopped = false;

  constructor(options: BenchOptions, placement: Placement, folder: string) {
    this.#options = options;
    this.#placement = placement;
    this.#folder = folder;
  }

  /**
   * Measures one case with connectors started for it: the contestants take turns in every round, and the processes of
   * each from round to round.
   */
  async measure(benchCase: Case, progress: (text: string) => void): Promise<readonly Rounds[]> {
    try {
      const { generator, contestants } = await this.#world(benchCase);
      const turn = async (contestant: Contestant, process: Measurable, what: string, windows: number) => {
        progress(`${benchCase.name} ${what} ${contestant.name}`);
        const seen = await generator.ask(this.#order(benchCase, contestant, process, windows));
        await sleep(settleMs);
        return withoutRest(seen, process.restBytes);
      };
      // For the compilers and for pools, of every process that is measured.
      for (const contestant of contestants) {
        for (const process of contestant.processes) {
          const windows = process.pid === null ? 1 : warmUpWindows;
          const measured = await turn(contestant, process, 'warm-up', windows);
          if (measured.failed > 0) process.rounds.push(measured);
        }
      }
      for (let round = 0; round < this.#options.rounds; round++) {
        for (let shift = 0; shift < contestants.length; shift++) {
          const contestant = contestants[(round + shift) % contestants.length]!;
          const process = contestant.processes[round % contestant.processes.length]!;
          process.rounds.push(await turn(contestant, process, `round ${round + 1}`, 1));
        }
      }
      return contestants.map(({ name, processes }) => ({
        contestant: name,
        processes: processes.map(({ rounds }) => rounds),
      }));
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

  async #world(benchCase: Case) {
    const { kind } = benchCase;
    const generator = this.#start<GeneratorOrder, Measured>('generator');
    const edge = this.#start<EdgeOrder, EdgeAddresses | null>('edge');
    const origin = await this.#origin(benchCase);
    const addresses = await edge.ask({ type: 'addresses' });
    if (addresses === null) throw new Error('the edge did not say where it listens');
    const contestants: Contestant[] = [];
    // Neither load generator nor relay speaks TLS to an origin.
    const isPlain = origin.originCa === null;
    if (isPlain) {
      const direct = { port: origin.originPort, protocol: 'http/1.1' } as const;
      contestants.push({ name: 'direct', ...direct, processes: [itself(null)] });
    }
    const front = frontFor(benchCase, addresses);
    for (const connector of this.#connectors()) {
      const processes: Measurable[] = [];
      while (processes.length < this.#options.processes) {
        processes.push(await this.#startConnector(connector, benchCase, edge, { ...addresses, ...origin }));
      }
      contestants.push({ name: nameOf(connector), ...front, processes });
    }
    if (this.#options.relay && kind === 'load' && isPlain) {
      const front = { port: addresses.relayFrontPort, protocol: 'http/1.1' } as const;
      const pid = await this.#startRelay(edge, { ...addresses, ...origin });
      contestants.push({ name: 'relay', ...front, processes: [itself(pid)] });
    }
    return { generator, contestants };
  }

  /** One process with a tunnel of its own, which is registered. */
  async #startConnector(
    connector: Connector,
    { kind, haConnections }: Case,
    edge: Part<EdgeOrder, EdgeAddresses | null>,
    shared: Omit<ConnectorWorld, 'folder' | 'tunnelId' | 'haConnections'>,
  ): Promise<Measurable> {
    const name = nameOf(connector);
    const tunnelId = randomUUID();
    const folder = join(this.#folder, `${name}-${++this.#started}`);
    mkdirSync(folder);
    const world: ConnectorWorld = { ...shared, folder, tunnelId, haConnections };
    const { part, pid, restBytes } =
      kind === 'hosted' && connector.kind === 'ours'
        ? await this.#startHosted(connector.build, world)
        : await this.#startProgram(connector, world);
    await registered(name, edge.ask({ type: 'connections', tunnelId, count: haConnections }), part);
    return { host: hostOf(tunnelId), pid, restBytes, rounds: [] };
  }

  async #startProgram(connector: Connector, world: ConnectorWorld) {
    const argv =
      connector.kind === 'ours'
        ? ours(connector.build, world, this.#options.profile)
        : cloudflared(connector.program, world);
    const part = this.#start<'pid', number>('program', pinned(argv, this.#placement.connector));
    return { part, pid: await part.ask('pid'), restBytes: 0 };
  }

  async #startHosted(build: string, world: ConnectorWorld) {
    const entry = join(build, 'bench', 'thread-host');
    const part = this.#start<HostOrder, number>(entry, [], this.#placement.connector);
    const pid = await part.ask({ type: 'pid' });
    await sleep(settleMs);
    const restBytes = processUsage(pid)?.rssBytes ?? 0;
    await part.ask({ type: 'run', world });
    return { part, pid, restBytes };
  }

  async #startRelay(
    edge: Part<EdgeOrder, EdgeAddresses | null>,
    world: Omit<RelayWorld, 'pairs'>,
  ): Promise<number> {
    const part = this.#start<RelayOrder, number>('relay', [], this.#placement.connector);
    await part.ask({ type: 'run', pairs: relayPairs, ...world });
    await registered('relay', edge.ask({ type: 'relays', count: relayPairs }), part);
    return part.ask({ type: 'pid' });
  }

  #connectors(): readonly Connector[] {
    const { builds, cloudflared: program } = this.#options;
    const own = { kind: 'ours', name: 'warp-ingress', build: ownBuild } as const;
    return [own, ...builds, ...(program === null ? [] : [{ kind: 'cloudflared', program } as const])];
  }

  async #origin({ kind, origin }: Case): Promise<OriginAddress> {
    if (this.#options.nginx === null || kind === 'idle' || origin === 'h2')
      return this.#start<OriginOrder, OriginAddress>('origin').ask(origin);
    const port = await freePort();
    const folder = join(this.#folder, `nginx-${this.#started}`);
    const argv = nginxOrigin(this.#options.nginx, folder, port);
    await this.#start<'pid', number>('program', pinned(argv, this.#placement.others)).ask('pid');
    return { originPort: port, originCa: null };
  }

  #order(
    benchCase: Case,
    { port, protocol }: Contestant,
    { host, pid }: Measurable,
    windows: number,
  ): GeneratorOrder {
    const common = { port, host, pid };
    if (benchCase.kind === 'idle') {
      return { type: 'idle', ...common, path: socketPath, sockets: benchCase.sockets, holdMs };
    }
    const { method, path, bodyBytes, concurrency } = benchCase;
    const { warmMs } = this.#options;
    const windowMs = windows * this.#options.windowMs;
    return { type: 'load', ...common, protocol, method, path, bodyBytes, concurrency, warmMs, windowMs };
  }

  #start<O, A>(
    entry: string,
    argv: readonly string[] = [],
    cpus: string | null = this.#placement.others,
  ): Part<O, A> {
    if (this.#isStopped) throw new Error('the bench was stopped');
    const part = new Part<O, A>(entry, argv, cpus);
    this.#parts.add(part as Part<never, unknown>);
    return part;
  }
}

/** Of those that know no hosts and are there once: the origin itself, and a relay. */
function itself(pid: number | null): Measurable {
  return { host: '127.0.0.1', pid, restBytes: 0, rounds: [] };
}

function frontFor(benchCase: Case, { frontPort, http2FrontPort }: EdgeAddresses) {
  return benchCase.kind !== 'idle' && benchCase.visitors === 'h2'
    ? ({ port: http2FrontPort, protocol: 'h2' } as const)
    : ({ port: frontPort, protocol: 'http/1.1' } as const);
}

function withoutRest(measured: Measured, restBytes: number): Measured {
  const { rssBytes } = measured;
  return { ...measured, rssBytes: rssBytes === null ? null : rssBytes - restBytes };
}

/** Waits for the registration, but not longer than the connector lives, nor for ever. */
async function registered(
  name: string,
  done: Promise<unknown>,
  connector: Pick<Part<never, number>, 'gone'>,
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
