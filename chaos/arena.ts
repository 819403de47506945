import { createWriteStream, rmSync, type WriteStream } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { controllerArguments, freePort } from '../src/sandbox/controller-arguments.ts';
import { ControllerProcess } from '../src/sandbox/controller-process.ts';
import { startWorld, type World } from '../src/sandbox/world.ts';
import { endpointsOf, type Host, hostsNumbered, ingressOf, serviceOf } from './hosts.ts';
import { Owner } from './owner.ts';

export interface ArenaSettings {
  readonly hosts: number;
  readonly haConnections: number;
  /** Further flags of the controller. */
  readonly flags: readonly string[];
}

const namespace = 'arena';
const identity = 'arena';
const main = fileURLToPath(new URL('../src/main.js', import.meta.url));

/** The sandbox's world, a controller in it as a process of its own, and hosts. Owns all of it. */
export class Arena {
  readonly world: World;
  readonly owner: Owner;
  readonly hosts: readonly Host[];
  readonly haConnections: number;
  readonly controller: ControllerProcess;
  readonly metricsUrl: string;
  readonly logPath: string;
  /** Whose tunnels these are; part of their names. */
  readonly identity = identity;
  /** What the controller's process did besides running: ends and starts that nobody ordered. */
  readonly news: string[] = [];
  readonly #log: WriteStream;
  readonly #listeners = new Set<(line: string) => void>();
  readonly #startedMs = performance.now();
  readonly #removeFiles: () => void;

  constructor(world: World, settings: ArenaSettings, metricsPort: number) {
    this.world = world;
    this.owner = new Owner(world.kubernetes, namespace);
    this.hosts = hostsNumbered(settings.hosts);
    this.haConnections = settings.haConnections;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
    this.logPath = join(world.files.directory, 'controller.log');
    this.#log = createWriteStream(this.logPath, { mode: 0o600 });
    // Also when this process ends without asking; the controller's process is ended likewise by its owner.
    this.#removeFiles = () => rmSync(world.files.directory, { recursive: true, force: true });
    process.once('exit', this.#removeFiles);
    this.controller = new ControllerProcess({
      command: [
        main,
        ...controllerArguments(world),
        ...['--metrics', `127.0.0.1:${metricsPort}`, '--ha-connections', `${settings.haConnections}`],
        // The most that it can be made to say: no secret may be in it.
        ...[
          '--identity',
          identity,
          '--grace-period',
          '5s',
          '--log-level',
          'debug',
          '--log-format',
          'json',
          ...settings.flags,
        ],
      ],
      onLine: (line) => {
        this.#log.write(`${line}\n`);
        for (const listener of this.#listeners) listener(line);
      },
      onNews: (news) => this.news.push(news),
    });
  }

  /** Milliseconds since the arena was made; the one clock of a run. */
  now(): number {
    return performance.now() - this.#startedMs;
  }

  /** Hears each line of the controller's log; the answer ends it. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  applyHosts(): void {
    for (const host of this.hosts) {
      this.owner.apply(serviceOf(host), endpointsOf(host, this.world.origin.port), ingressOf(host));
    }
  }

  tunnelOf(host: string): string | null {
    return this.world.cloudflare.zones.tunnelForHost(host);
  }

  /** Connections of the host's tunnel that the edge would give a request to. */
  servingConnections(host: string): number {
    const tunnel = this.tunnelOf(host);
    return this.world.edge
      .connections()
      .filter(({ tunnelId, state }) => tunnelId === tunnel && state === 'serving').length;
  }

  async until(what: string, withinMs: number, look: () => boolean | Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!(await look())) {
      if (performance.now() > untilMs) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
      await sleep(50);
    }
  }

  /** Null when nobody answers. */
  async ops(path: string, withinMs = 5_000): Promise<{ status: number; body: string } | null> {
    try {
      const response = await fetch(this.metricsUrl + path, { signal: AbortSignal.timeout(withinMs) });
      return { status: response.status, body: await response.text() };
    } catch {
      return null;
    }
  }

  /** File descriptors of the controller's process by kind: `socket`, `pipe`, `file`, …; Linux only. */
  async descriptors(): Promise<ReadonlyMap<string, number>> {
    const kinds = new Map<string, number>();
    const folder = `/proc/${this.controller.view().pid}/fd`;
    for (const name of await readdir(folder).catch(() => [])) {
      const target = await readlink(join(folder, name)).catch(() => '');
      const kind = /^(\w+):/.exec(target)?.[1] ?? 'file';
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    return kinds;
  }

  /** Ends the controller and the log; the world stays to be looked at. Idempotent. */
  async stopController(): Promise<void> {
    await this.controller.stop();
    this.#log.end();
    await finished(this.#log).catch(() => {});
  }

  async stop(): Promise<void> {
    await this.stopController();
    await this.world.stop();
    process.removeListener('exit', this.#removeFiles);
  }
}

/** A signal ends this process by `exit`, so that what it started ends too. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
}

export async function openArena(settings: ArenaSettings): Promise<Arena> {
  const world = await startWorld({ namespace });
  try {
    return new Arena(world, settings, await freePort());
  } catch (error) {
    await world.stop();
    throw error;
  }
}
