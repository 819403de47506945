import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readControllerConfig } from '../../src/config.ts';
import { type Controller, runController } from '../../src/controller.ts';
import { createLog } from '../../src/log.ts';
import type { CloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import type { Edge } from '../../src/sandbox/edge/edge.ts';
import type { Faults } from '../../src/sandbox/kube-api/fault-switches.ts';
import type { KubeApi } from '../../src/sandbox/kube-api/kube-api.ts';
import { startWorld, type World } from '../../src/sandbox/world.ts';
import { eventually } from './eventually.ts';
import { type KubeObject, type KubeUser, kubeUser } from './kube-user.ts';
import { LeapingClock } from './leaping-clock.ts';
import { WorkerThreads } from './worker-threads.ts';

const namespace = 'town';
/** Longer than any backoff that a test walks into. */
const patienceMs = 25_000;

interface SeenEvent {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * A whole town on loopback: Kubernetes API, Cloudflare API, edge, cluster IPs, origins, and a controller that is
 * configured by its flags as any other. A test does what users do and looks at what they see.
 */
export class Town {
  readonly user: KubeUser;
  readonly threads = new WorkerThreads();
  /** Of all its controllers; threads and pods have time of their own. */
  readonly clock = new LeapingClock();
  readonly log: string[] = [];
  readonly #world: World;
  readonly #origins = new Map<string, Server>();
  #controller: Controller | null = null;
  #kubeconfig: string | null = null;

  /** What pods wrote. */
  readonly podLines: readonly string[];

  constructor(world: World, podLines: readonly string[]) {
    this.podLines = podLines;
    this.#world = world;
    this.user = kubeUser(world.kubernetes, namespace);
  }

  get cloudflare(): CloudflareApi {
    return this.#world.cloudflare;
  }

  get edge(): Edge {
    return this.#world.edge;
  }

  get kubeFaults(): Faults {
    return this.#world.kubernetes.faults;
  }

  /** Tells of what a controller under a Role asks for; the function ends that. */
  get onDecision(): KubeApi['onDecision'] {
    return this.#world.kubernetes.onDecision;
  }

  /** From now on commands act as this service account of the town, with no more than its Roles allow. */
  async actAs(account: string): Promise<void> {
    const { kubernetes, files } = this.#world;
    const token = await this.user.token(account);
    const config = JSON.parse(kubernetes.kubeconfig(namespace));
    for (const { user } of config.users) user.token = token;
    this.#kubeconfig = join(files.directory, `kubeconfig-${account}`);
    await writeFile(this.#kubeconfig, JSON.stringify(config), { mode: 0o600 });
  }

  /** How any command reaches this town's Kubernetes and Cloudflare. */
  get accessFlags(): readonly string[] {
    const { kubeconfig, originCert } = this.#world.files;
    return [
      `--kubeconfig=${this.#kubeconfig ?? kubeconfig}`,
      `--origincert=${originCert}`,
      `--api-url=${this.cloudflare.url}`,
    ];
  }

  /** Of a controller in this town. */
  get controllerFlags(): readonly string[] {
    const { tunnelAddress } = this.edge;
    return [
      ...this.accessFlags,
      `--cacert=${this.#world.files.edgeCa}`,
      `--edge=${tunnelAddress}`,
      `--edge=${tunnelAddress}`,
      '--ha-connections=2',
      '--metrics=127.0.0.1:0',
      '--grace-period=5s',
    ];
  }

  async startController(...flags: readonly string[]): Promise<void> {
    this.#controller = await this.runController(...flags);
  }

  /** One more controller; the caller stops it. */
  async runController(...flags: readonly string[]): Promise<Controller> {
    // Its threads write by themselves, past the log that is kept here.
    const quiet = '--log-level=error';
    const config = readControllerConfig([...this.controllerFlags, quiet, ...flags], {}, false);
    if (!config.ok) throw new Error(config.fault.message);
    const log = createLog({ level: 'debug', format: 'json' }, { write: (line) => void this.log.push(line) });
    return runController(config.value, log, this.clock);
  }

  async stopController(): Promise<void> {
    await this.#controller?.stop();
    this.#controller = null;
  }

  /** Port of an origin on every loopback address that answers each request with its name, and its address. */
  async origin(name: string, withAddress = false): Promise<number> {
    let server = this.#origins.get(name);
    if (server === undefined) {
      server = createServer(({ socket }, response) => {
        response.end(withAddress ? `${name} ${socket.localAddress}` : name);
      });
      this.#origins.set(name, server);
      await new Promise<void>((resolve) => server!.listen(0, '0.0.0.0', resolve));
    }
    return (server.address() as AddressInfo).port;
  }

  /** One request through the edge's front door. */
  get(host: string, path = '/', headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return ask(this.edge.frontUrl, path, { host, ...headers });
  }

  /** One request to the controller's own listener. */
  ops(path: string): Promise<Answer> {
    return ask(this.#controller!.metricsUrl, path, {});
  }

  /** Waits until the host answers so. */
  async answers(host: string, path: string, body: string): Promise<void> {
    let last = '';
    await this.until(`${host}${path} answers ${body}`, async () => {
      const answer = await this.get(host, path);
      last = `${answer.status} ${answer.body}`;
      return answer.status === 200 && answer.body === body;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; the last answer was ${last}; log:\n${this.log.slice(-25).join('')}`);
    });
  }

  async until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
    await eventually(what, look, { withinMs: patienceMs, everyMs: 20 });
  }

  /** Its controllers' clock goes five times as fast while this lasts, which waits for one of their longer periods. */
  async hastened<T>(wait: Promise<T>): Promise<T> {
    const leaping = setInterval(() => this.clock.leap(80), 20);
    try {
      return await wait;
    } finally {
      clearInterval(leaping);
    }
  }

  /** The names that lead to a tunnel. */
  hosts(): readonly string[] {
    return this.#records()
      .filter((record) => record.type === 'CNAME')
      .map((record) => record.name)
      .sort();
  }

  tunnelIds(): readonly string[] {
    return this.cloudflare.tunnels.live(this.cloudflare.accountId).map((tunnel) => tunnel.id);
  }

  /** The id of the tunnel that the host's record leads to. */
  tunnelOf(host: string): string | null {
    return this.cloudflare.zones.tunnelForHost(host);
  }

  /** Registered connections of a host's tunnel. */
  connections(host: string): number {
    return this.connectionIds(host).length;
  }

  /** Of all tunnels, or of one host's. */
  connectionIds(host?: string): readonly string[] {
    const tunnel = host === undefined ? undefined : this.tunnelOf(host);
    return this.edge
      .connections()
      .filter(({ tunnelId, state }) => state === 'serving' && (tunnel === undefined || tunnelId === tunnel))
      .map(({ id }) => id);
  }

  /** Those of tunnels that are not asked to end. */
  async pods(): Promise<readonly KubeObject[]> {
    const pods = await this.user.list('Pod');
    return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Reasons of the Events on an Ingress. */
  async reasons(ingress: string): Promise<readonly string[]> {
    return (await this.#events(ingress)).map(({ reason }) => reason);
  }

  async messages(ingress: string, reason: string): Promise<readonly string[]> {
    const events = await this.#events(ingress);
    return events.filter((event) => event.reason === reason).map(({ message }) => message);
  }

  async status(ingress: string): Promise<readonly string[]> {
    const object = (await this.user.get('Ingress', ingress)) as {
      status?: { loadBalancer?: { ingress?: { hostname: string }[] } };
    } | null;
    return object?.status?.loadBalancer?.ingress?.map(({ hostname }) => hostname) ?? [];
  }

  /** A new API token in the mounted file; the old one is worth nothing any more. */
  async rotateCredentials(): Promise<void> {
    const token = randomBytes(20).toString('hex');
    this.cloudflare.setToken(token, { tunnels: true, dns: true, zones: true });
    this.cloudflare.setToken(this.cloudflare.token, null);
    const [zone] = this.cloudflare.zones.zones;
    const content = { zoneID: zone?.id, accountID: this.cloudflare.accountId, apiToken: token };
    const base64 = Buffer.from(JSON.stringify(content)).toString('base64');
    const name = 'ARGO TUNNEL TOKEN';
    await this.writeCert(`-----BEGIN ${name}-----\n${base64}\n-----END ${name}-----\n`);
  }

  /** The account's certificate as a user puts it into the cluster. */
  async certSecret(name: string): Promise<KubeObject> {
    const cert = await readFile(this.#world.files.originCert);
    const data = { 'cert.pem': cert.toString('base64') };
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data };
  }

  /** Where the account's certificate is mounted. */
  get certFile(): string {
    return this.#world.files.originCert;
  }

  /** Null removes the file. */
  async writeCert(text: string | null): Promise<void> {
    const path = this.#world.files.originCert;
    if (text === null) await rm(path);
    else await writeFile(path, text);
  }

  /** Waits until no tunnel, record, Secret or connection is left. */
  async nothingLeft(): Promise<void> {
    await this.until('nothing is left at Cloudflare and in the ledger', async () => {
      const secrets = await this.user.list('Secret');
      return (
        this.tunnelIds().length + this.#records().length + secrets.length + this.connectionIds().length === 0
      );
    });
  }

  async stop(): Promise<void> {
    await this.stopController();
    this.threads.close();
    for (const server of this.#origins.values()) {
      server.closeAllConnections();
      server.close();
    }
    await this.#world.stop();
  }

  async #events(ingress: string): Promise<readonly SeenEvent[]> {
    const events = (await this.user.list('Event')) as unknown as readonly SeenEvent[];
    return events.filter(({ involvedObject }) => involvedObject.name === ingress);
  }

  #records() {
    return this.cloudflare.zones.zones.flatMap((zone) => [...zone.records.values()]);
  }
}

export async function startTown(): Promise<Town> {
  const podLines: string[] = [];
  const onPodLine = (_pod: string, line: string): void => void podLines.push(line);
  return new Town(await startWorld({ namespace, onPodLine }), podLines);
}

function ask(url: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const sent = request({ hostname, port, path, headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}
