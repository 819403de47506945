import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markContent, markName } from '../../src/cloudflare/owner-mark.ts';
import { tunnelHostname, tunnelName } from '../../src/domain/host.ts';
import { ledgerSecretBody } from '../../src/kube/ledger-secret.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { type CloudflareApi, startCloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import { type Edge, startEdge } from '../../src/sandbox/edge/edge.ts';
import type { JsonObject } from '../../src/sandbox/kube-api/json.ts';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/kube-api.ts';
import { secrets } from '../../src/sandbox/kube-api/resources/data.ts';
import type { ResourceDefinition } from '../../src/sandbox/kube-api/resources/definition.ts';
import { endpointSlices } from '../../src/sandbox/kube-api/resources/endpoints.ts';
import { ingresses } from '../../src/sandbox/kube-api/resources/ingress.ts';
import { services } from '../../src/sandbox/kube-api/resources/service.ts';
import { ingressOf, serviceOf, sliceOf, zoneName } from './manifests.ts';

const namespace = 'scale';
const identity = 'scale';
const silent = { dryRun: false, writer: null };

/** The world around the controller: both APIs, the edge, and one origin that all Services share. */
export interface Settlement {
  readonly kubernetes: KubeApi;
  readonly cloudflare: CloudflareApi;
  readonly edge: Edge;
  readonly folder: string;
  /** What points a controller here. */
  readonly flags: readonly string[];
  /** Connections that are registered now, in all and by tunnel. */
  readonly connections: () => number;
  /** Hears each host when the first connection of its tunnel registers. */
  onFirstConnection: (host: string) => void;
  /** Hears of each connection, known by its tunnel and number, that registers, unregisters and goes, or is lost. */
  onConnection: (change: 'opened' | 'left' | 'lost', connection: string) => void;
  /** Ingress, Service and EndpointSlice, as their user makes them. */
  add(name: string): void;
  /** What a controller would have left in the ledger and at Cloudflare for this Ingress. */
  addTunnel(name: string): void;
  changeIngress(name: string, path: string): void;
  changeSlice(name: string, address: string): void;
  removeIngress(name: string): void;
  stop(): Promise<void>;
}

/** `tunnels`: how many the account may have; a real one has 1,000. */
export async function settle(tunnels: number): Promise<Settlement> {
  const folder = mkdtempSync(join(tmpdir(), 'warp-ingress-scale-'));
  const kubernetes = await startKubeApi({ namespaces: [namespace] });
  const cloudflare = await startCloudflareApi({
    port: 0,
    zones: [zoneName],
    maxTunnels: tunnels,
    maxRecords: 4 * tunnels,
  });
  const { accountId } = cloudflare;
  const origin = await startOrigin();
  const originPort = (origin.address() as AddressInfo).port;
  const tunnelOf = new Map<string, string>();
  const registered = new Map<string, number>();
  let connections = 0;

  const edge = await startEdge({
    authority: createAuthority('edge'),
    // Nothing of the wire is broken here, and open files are what there may be too few of.
    straight: true,
    checkTunnel: (_account, id) => {
      const tunnel = cloudflare.tunnels.get(accountId, id);
      if (tunnel === undefined || tunnel.deletedAtMs !== null) return null;
      return { secret: tunnel.secret, remotelyManaged: tunnel.configSrc === 'cloudflare' };
    },
    // The zone's own answer looks at every record of it.
    tunnelOf: (host) => tunnelOf.get(host) ?? cloudflare.zones.tunnelForHost(host),
    reports: {
      opened: ({ registration: { tunnelId, connIndex } }) => {
        connections++;
        settlement.onConnection('opened', `${tunnelId}/${connIndex}`);
        const before = registered.get(tunnelId) ?? 0;
        registered.set(tunnelId, before + 1);
        const tunnel = cloudflare.tunnels.get(accountId, tunnelId);
        const host = tunnel?.name.slice(tunnelName(identity, '').length);
        if (before === 0 && host !== undefined) setImmediate(() => settlement.onFirstConnection(host));
        return true;
      },
      closed: ({ registration: { tunnelId, connIndex }, hasUnregistered }) => {
        connections--;
        settlement.onConnection(hasUnregistered ? 'left' : 'lost', `${tunnelId}/${connIndex}`);
        registered.set(tunnelId, (registered.get(tunnelId) ?? 1) - 1);
      },
    },
  });
  const unsubscribe = cloudflare.tunnels.onRevoked((tunnelId, clientId) => edge.revoke(tunnelId, clientId));
  const [kubeconfig, originCert, edgeCa] = ['kubeconfig', 'cert.pem', 'edge-ca.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(kubeconfig, kubernetes.kubeconfig(namespace), { mode: 0o600 });
  writeFileSync(originCert, cloudflare.certPem(), { mode: 0o600 });
  writeFileSync(edgeCa, edge.caPem);

  const create = (definition: ResourceDefinition, object: object): void =>
    void kubernetes.registry.create(definition, namespace, structuredClone(object) as JsonObject, silent);
  const replace = (definition: ResourceDefinition, name: string, object: object): void =>
    void kubernetes.registry.update({ definition, namespace, name }, '', silent, (old) => {
      return { ...structuredClone(object), metadata: old.metadata } as unknown as JsonObject;
    });

  const settlement: Settlement = {
    kubernetes,
    cloudflare,
    edge,
    folder,
    flags: [
      ...['--kubeconfig', kubeconfig, '--namespace', namespace, '--identity', identity],
      ...['--origincert', originCert, '--api-url', cloudflare.url, '--cacert', edgeCa],
      // Straight to the endpoints, so that a change of them is a change of routes: the dearer way.
      ...['--origin-via', 'endpoints'],
      // The same address once per connection: a connector uses each one for one connection only.
      ...Array.from({ length: 4 }, () => ['--edge', edge.tunnelAddress]).flat(),
    ],
    connections: () => connections,
    onFirstConnection: () => {},
    onConnection: () => {},
    add(name) {
      create(services, serviceOf(name));
      create(endpointSlices, sliceOf(name, originPort));
      create(ingresses, ingressOf(name));
    },
    addTunnel(name) {
      const { host } = ingressOf(name).spec.rules[0]!;
      const tunnel = cloudflare.tunnels.create({
        accountId,
        name: tunnelName(identity, host),
        secret: null,
        configSrc: 'local',
      });
      const zone = cloudflare.zones.zones[0]!;
      const common = { ttl: 1, comment: null, tags: [] };
      const cname = cloudflare.zones.put(zone, {
        ...{ type: 'CNAME', name: host, content: tunnelHostname(tunnel.id), proxied: true },
        ...common,
      });
      const mark = markContent({ owner: identity, host, record: cname.id });
      const txt = cloudflare.zones.put(zone, {
        ...{ type: 'TXT', name: markName(host, zone.name), content: mark, proxied: false },
        ...common,
      });
      const token = { a: accountId, t: tunnel.id, s: tunnel.secret.toString('base64') };
      create(
        secrets,
        ledgerSecretBody({
          host,
          ingress: name,
          identity,
          tunnelName: tunnel.name,
          tunnel: { accountId, id: tunnel.id, token: Buffer.from(JSON.stringify(token)).toString('base64') },
          publishes: true,
          dns: { zoneId: zone.id, cnameId: cname.id, txtId: txt.id },
          resourceVersion: null,
        }),
      );
      kubernetes.registry.update({ definition: ingresses, namespace, name }, 'status', silent, (old) => ({
        ...old,
        status: { loadBalancer: { ingress: [{ hostname: tunnelHostname(tunnel.id) }] } },
      }));
      tunnelOf.set(host, tunnel.id);
    },
    changeIngress: (name, path) => replace(ingresses, name, ingressOf(name, path)),
    changeSlice: (name, address) => replace(endpointSlices, name, sliceOf(name, originPort, address)),
    removeIngress: (name) => void kubernetes.store.remove(ingresses.storage, namespace, name),
    async stop() {
      unsubscribe();
      await Promise.all([kubernetes.stop(), cloudflare.stop(), edge.stop()]);
      origin.closeAllConnections();
      origin.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return settlement;
}

/** On every loopback address; says which of them was asked. */
async function startOrigin(): Promise<Server> {
  const origin = createServer(({ socket }, response) => response.end(socket.localAddress));
  origin.keepAliveTimeout = 120_000;
  origin.listen(0, '0.0.0.0');
  await once(origin, 'listening');
  return origin;
}
