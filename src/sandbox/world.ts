import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from './certificates.ts';
import { type CloudflareApi, startCloudflareApi } from './cloudflare-api/server.ts';
import { type Edge, startEdge } from './edge/edge.ts';
import { type KubeApi, startKubeApi } from './kube-api/kube-api.ts';
import { type SandboxNode, startNode } from './node/node.ts';
import { type SandboxOrigin, startOrigin } from './origin.ts';
import { startServiceProxy } from './service-proxy.ts';

export interface WorldSettings {
  /** Each 0, or left out, for a free one. */
  readonly ports?: {
    readonly kubernetes?: number;
    readonly cloudflareApi?: number;
    readonly edge?: number;
    readonly front?: number;
  };
  /** Names of the zones of the account. */
  readonly zones?: readonly string[];
  readonly namespace?: string;
  /** Hears what is wrong and does not end the world. */
  readonly onProblem?: (message: string) => void;
  /** Each line that a pod writes. */
  readonly onPodLine?: (pod: string, line: string) => void;
}

/** Everything that is outside the controller, on loopback. Owned by whoever started it. */
export interface World {
  readonly kubernetes: KubeApi;
  readonly cloudflare: CloudflareApi;
  readonly edge: Edge;
  readonly origin: OriginSwitch;
  readonly node: SandboxNode;
  readonly namespace: string;
  readonly files: WorldFiles;
  /** Ends all and removes its files. Idempotent. */
  stop(): Promise<void>;
}

/** In a directory of their own that only this user can read. */
export interface WorldFiles {
  readonly directory: string;
  readonly kubeconfig: string;
  /** The account's certificate, as `cloudflared tunnel login` writes it. */
  readonly originCert: string;
  /** What `--cacert` takes. */
  readonly edgeCa: string;
}

/** The sample application, which can go away and come back under the same address. */
export interface OriginSwitch {
  readonly url: string;
  readonly port: number;
  readonly isUp: boolean;
  down(): Promise<void>;
  up(): Promise<void>;
}

const defaultZones: readonly string[] = ['example.com', 'example.org', 'example.test'];

/** Starts all or nothing: what had been started is ended again when something cannot. */
export async function startWorld(settings: WorldSettings = {}): Promise<World> {
  const { ports = {}, namespace = 'default', onProblem = () => {}, onPodLine } = settings;
  const endings: (() => Promise<void> | void)[] = [];
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      const failures: unknown[] = [];
      // One that cannot be ended must not keep the listeners of the others open.
      for (const end of endings.reverse()) {
        try {
          await end();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    })();
    return stopping;
  };
  const owned = <T>(thing: T, end: (thing: T) => Promise<void> | void): T => {
    endings.push(() => end(thing));
    return thing;
  };
  try {
    const directory = owned(await mkdtemp(join(tmpdir(), 'warp-sandbox-')), (path) =>
      rm(path, { recursive: true, force: true }),
    );
    const kubernetes = owned(
      await startKubeApi({ port: ports.kubernetes ?? 0, namespaces: [namespace] }),
      (started) => started.stop(),
    );
    const zones = settings.zones ?? defaultZones;
    const cloudflare = owned(await startCloudflareApi({ port: ports.cloudflareApi ?? 0, zones }), (started) =>
      started.stop(),
    );
    const edge = owned(await startEdgeOf(cloudflare, ports.edge ?? 0, ports.front ?? 0), (started) =>
      started.stop(),
    );
    const unsubscribe = cloudflare.tunnels.onRevoked((tunnelId, clientId) => edge.revoke(tunnelId, clientId));
    endings.push(unsubscribe);
    const origin = owned(await startOriginSwitch(), (started) => started.down());
    owned(
      startServiceProxy({
        store: kubernetes.store,
        onProblem: (address, error) => onProblem(`the cluster IP ${address} leads nowhere: ${error.message}`),
      }),
      (started) => started.stop(),
    );
    const files: WorldFiles = {
      directory,
      kubeconfig: join(directory, 'kubeconfig'),
      originCert: join(directory, 'cert.pem'),
      edgeCa: join(directory, 'edge-ca.pem'),
    };
    await writeFile(files.kubeconfig, kubernetes.kubeconfig(namespace), { mode: 0o600 });
    await writeFile(files.originCert, cloudflare.certPem(), { mode: 0o600 });
    await writeFile(files.edgeCa, edge.caPem);
    const node = owned(
      startNode({
        api: kubernetes,
        directory: join(directory, 'pods'),
        ...(onPodLine && { onLine: onPodLine }),
      }),
      (started) => started.stop(),
    );
    return { kubernetes, cloudflare, edge, origin, node, namespace, files, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An edge that serves exactly the tunnels and names of this account, and keeps its account of connections. */
function startEdgeOf({ accountId, tunnels, zones }: CloudflareApi, port: number, frontPort: number) {
  return startEdge({
    port,
    frontPort,
    authority: createAuthority('edge-sandbox'),
    checkTunnel: (accountTag, tunnelId) => {
      const tunnel = accountTag === accountId ? tunnels.get(accountId, tunnelId) : undefined;
      if (tunnel === undefined || tunnel.deletedAtMs !== null) return null;
      return { secret: tunnel.secret, remotelyManaged: tunnel.configSrc === 'cloudflare' };
    },
    tunnelOf: (host) => zones.tunnelForHost(host),
    reports: {
      opened: ({ connectionId, registration, locationName, remoteAddress }) =>
        tunnels.connectionOpened(registration.tunnelId, {
          id: connectionId,
          ...registration.client,
          coloName: locationName,
          originIp: remoteAddress,
          openedAtMs: Date.now(),
        }),
      closed: ({ registration, connectionId }) =>
        tunnels.connectionClosed(registration.tunnelId, connectionId),
    },
  });
}

async function startOriginSwitch(): Promise<OriginSwitch> {
  let running: SandboxOrigin | null = await startOrigin();
  const { url, port } = running;
  // One change at a time: a stop that is under way ends before the next start.
  let turn: Promise<void> = Promise.resolve();
  const next = (change: () => Promise<void>): Promise<void> => {
    turn = turn.then(change, change);
    return turn;
  };
  return {
    url,
    port,
    get isUp() {
      return running !== null;
    },
    down: () =>
      next(async () => {
        await running?.stop();
        running = null;
      }),
    up: () =>
      next(async () => {
        running ??= await startOrigin({ port });
      }),
  };
}
