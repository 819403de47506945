import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tunnelName } from '../src/domain/host.ts';
import { controllerArguments } from '../src/sandbox/controller-arguments.ts';
import { freePort } from '../src/sandbox/free-port.ts';
import { numberAt } from '../src/sandbox/kube-api/json.ts';
import { leases } from '../src/sandbox/kube-api/resources/cluster.ts';
import { startWorld, type World } from '../src/sandbox/world.ts';
import { endpointsOf, type Host, hostsNumbered, ingressOf, serviceOf } from './hosts.ts';
import { Instances } from './instances.ts';
import { Owner } from './owner.ts';
import { Replica } from './replica.ts';

export interface ArenaSettings {
  readonly hosts: number;
  /** Of these, so many have their tunnels in pods: the first of them in one, the others in two. */
  readonly pods: number;
  /** Controllers side by side. */
  readonly replicas: number;
  readonly haConnections: number;
  /** Further flags of the controller. */
  readonly flags: readonly string[];
}

const namespace = 'arena';
const identity = 'arena';

/** The sandbox's world, controllers in it as processes of their own, and hosts. Owns all of it. */
export class Arena {
  readonly world: World;
  readonly owner: Owner;
  readonly hosts: readonly Host[];
  readonly haConnections: number;
  readonly replicas: readonly Replica[];
  /** The applications of hosts that are reached by their endpoints, one at a time for each. */
  readonly instances: Instances;
  /** What pods have written, each line with the pod's name before it. */
  readonly podLines: readonly string[];
  /** Whose tunnels these are; part of their names. */
  readonly identity = identity;
  /** What the controllers' processes did besides running: ends and starts that nobody ordered. */
  readonly news: string[] = [];
  /** When `now` was 0, as the controllers' logs count: milliseconds since the epoch. */
  readonly startedAtMs = Date.now();
  readonly #startedMs = performance.now();
  readonly #removeFiles: () => void;
  readonly #unsubscribe: () => void;
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(
    world: World,
    settings: ArenaSettings,
    metricsPorts: readonly number[],
    podLines: readonly string[],
    instances: Instances,
  ) {
    this.world = world;
    this.owner = new Owner(world.kubernetes, namespace);
    this.hosts = hostsNumbered(settings.hosts, settings.pods);
    this.haConnections = settings.haConnections;
    this.podLines = podLines;
    this.instances = instances;
    // Also when this process ends without asking; the controllers' processes are ended likewise by their owners.
    this.#removeFiles = () => rmSync(world.files.directory, { recursive: true, force: true });
    process.once('exit', this.#removeFiles);
    this.#unsubscribe = world.kubernetes.store.subscribe(({ storage }) => {
      if (storage === leases.storage) this.#renewedMs = this.now();
    });
    const args = [
      ...controllerArguments(world),
      ...['--ha-connections', `${settings.haConnections}`, '--identity', identity, '--grace-period', '5s'],
      // The most that it can be made to say: no secret may be in it.
      ...['--log-level', 'debug', '--log-format', 'json', ...settings.flags],
    ];
    this.replicas = metricsPorts.map(
      (metricsPort, index) =>
        new Replica({
          args,
          metricsPort,
          logPath: join(world.files.directory, `controller-${index}.log`),
          onNews: (news) => this.news.push(metricsPorts.length === 1 ? news : `replica ${index}: ${news}`),
        }),
    );
  }

  /** The only controller, or the first. */
  get first(): Replica {
    return this.replicas[0]!;
  }

  /** Milliseconds since the arena was made; the one clock of a run. */
  now(): number {
    return performance.now() - this.#startedMs;
  }

  startControllers(): void {
    for (const { process } of this.replicas) process.start();
  }

  async areReady(): Promise<boolean> {
    const answers = await Promise.all(this.replicas.map((replica) => replica.ops('/readyz')));
    return answers.every((answer) => answer?.status === 200);
  }

  applyHosts(): void {
    for (const host of this.hosts) {
      this.owner.apply(serviceOf(host), endpointsOf(host, this.portOf(host)), ingressOf(host));
    }
  }

  /** Where the host's application listens now. */
  portOf({ name }: Host): number {
    return this.instances.portOf(name) ?? this.world.origin.port;
  }

  tunnelOf(host: string): string | null {
    return this.world.cloudflare.zones.tunnelForHost(host);
  }

  hasTunnel({ host }: Host): boolean {
    const { tunnels, accountId } = this.world.cloudflare;
    return tunnels.live(accountId).some(({ name }) => name === tunnelName(identity, host));
  }

  /** Connections of the host's tunnel that the edge would give a request to. */
  servingConnections(host: string): number {
    const tunnel = this.tunnelOf(host);
    return this.world.edge
      .connections()
      .filter(({ tunnelId, state }) => tunnelId === tunnel && state === 'serving').length;
  }

  /** Connections that the host's tunnel should have: of each replica, or of each of its pods. */
  connectionsOf({ pods }: Host): number {
    return this.haConnections * (pods === 0 ? this.replicas.length : pods);
  }

  hasAllConnections(host: Host): boolean {
    return this.servingConnections(host.host) === this.connectionsOf(host);
  }

  /**
   * Its pods are all of one making, the last one: in the midst of a roll, old and new ones may have as many connections as
   * there should be. True where it has no pods.
   */
  isRolledOut({ host, pods }: Host): boolean {
    if (pods === 0) return true;
    const deployment = this.owner
      .list('Deployment')
      .find(({ metadata }) => metadata.annotations?.['cloudflare-warp/host'] === host);
    if (deployment === undefined) return false;
    const status = (key: string): number => numberAt(deployment, 'status', key) ?? 0;
    return (
      status('observedGeneration') === (deployment.metadata.generation ?? 1) &&
      ['replicas', 'updatedReplicas', 'readyReplicas'].every((key) => status(key) === pods)
    );
  }

  /** Somebody has renewed the Lease since. */
  isLedSince(ms: number): boolean {
    return this.#renewedMs >= ms;
  }

  async until(what: string, withinMs: number, look: () => boolean | Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!(await look())) {
      if (performance.now() > untilMs) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
      await sleep(50);
    }
  }

  /** Ends the controllers and their logs; the world stays to be looked at. Idempotent. */
  async stopControllers(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  async stop(): Promise<void> {
    await this.stopControllers();
    this.#unsubscribe();
    await this.instances.stop();
    await this.world.stop();
    process.removeListener('exit', this.#removeFiles);
  }
}

/** A signal ends this process by `exit`, so that what it started ends too. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
}

export async function openArena(settings: ArenaSettings): Promise<Arena> {
  const podLines: string[] = [];
  const world = await startWorld({
    namespace,
    onPodLine: (pod, line) => void podLines.push(`${pod} ${line}`),
  });
  const instances = new Instances();
  try {
    for (const { name, via } of hostsNumbered(settings.hosts, settings.pods)) {
      if (via === 'endpoints') await instances.replace(name);
    }
    const ports = await Promise.all(Array.from({ length: settings.replicas }, freePort));
    return new Arena(world, settings, ports, podLines, instances);
  } catch (error) {
    await instances.stop();
    await world.stop();
    throw error;
  }
}
