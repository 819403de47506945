import { setTimeout as sleep } from 'node:timers/promises';
import type { ThreadMemory } from '../src/sandbox/process-memory.ts';
import type { Arena } from './arena.ts';
import { isForeignRecord, othersHost, takenHost } from './foreign.ts';
import type { Host } from './hosts.ts';
import type { Replica } from './replica.ts';
import type { Violation } from './verdict.ts';

/** What a process holds at a moment at which nothing is under way. */
export interface Holdings {
  readonly threads: number;
  readonly sockets: number;
  /** Of the main thread. */
  readonly timers: number;
  readonly heapBytes: number;
  /** Of the worker thread that has most of them; 0 where there is none. */
  readonly threadTimers: number;
  readonly threadHeapBytes: number;
}

/** Connections to the APIs that are kept for later: 16 to Kubernetes (`kube/client`), 6 to Cloudflare, and some of those who look. */
const moreSockets = 24;
/** While hosts serve, those are open before the trouble as well: then there were 1 to 17 less after it, in eight runs. */
const moreSocketsServing = 8;
const moreTimers = 10;
const askAgainMs = 200;
/** Code that was compiled, caches that are bounded: 1 to 2 MiB in twenty runs. What is kept for each of some hundred changes is more. */
const moreHeapBytes = 6 << 20;

export async function holdings(replica: Replica): Promise<Holdings> {
  const [main, ...workers] = await memoryOf(replica);
  const descriptors = await replica.descriptors();
  const most = (of: readonly number[]): number => Math.max(0, ...of);
  return {
    threads: workers.length,
    sockets: descriptors.get('socket') ?? 0,
    timers: main!.resources.Timeout ?? 0,
    heapBytes: main!.heapUsedBytes,
    threadTimers: most(workers.map(({ resources }) => resources.Timeout ?? 0)),
    threadHeapBytes: most(workers.map(({ heapUsedBytes }) => heapUsedBytes)),
  };
}

/** A thread that ends while it is asked gives no answer; then all are asked again. */
async function memoryOf(replica: Replica, attempts = 5): Promise<readonly ThreadMemory[]> {
  try {
    return await replica.process.threadMemory();
  } catch (error) {
    if (attempts === 1) throw error;
    await sleep(askAgainMs);
    return memoryOf(replica, attempts - 1);
  }
}

/** What is there that should not be, or the other way round, once all is quiet. */
export function misplaced(arena: Arena, wanted: readonly Host[]): readonly Violation[] {
  const { world, owner } = arena;
  const { cloudflare, edge } = world;
  const violations: Violation[] = [];
  const compare = (what: string, seen: readonly string[], expected: readonly string[]): void => {
    const surplus = without(seen, expected);
    const missing = without(expected, seen);
    if (surplus.length > 0) violations.push(`${what} left over: ${surplus.join(', ')}`);
    if (missing.length > 0) violations.push(`${what} missing: ${missing.join(', ')}`);
  };
  const hosts = wanted.map(({ host }) => host);
  const live = cloudflare.tunnels.live(cloudflare.accountId);
  // Where a host is somebody else's, its tunnel waits for the day on which it is not.
  const mayWait = wanted.length > 0 ? takenHost : null;
  const own = live.filter(({ name }) => !/somebody|office-vpn/.test(name) && !isOf(mayWait, name));
  compare(
    'tunnels',
    own.map(({ name }) => name.replace(`warp-${arena.identity}-`, '')),
    hosts,
  );
  const records = cloudflare.zones.zones
    .flatMap((zone) => [...zone.records.values()])
    .filter((record) => !isForeignRecord(record));
  compare(
    'CNAME records',
    records.filter(({ type }) => type === 'CNAME').map(({ name }) => name),
    hosts,
  );
  compare(
    'owner marks',
    records.filter(({ type }) => type === 'TXT').map(({ name }) => name),
    hosts.map((host) => `_cloudflare-warp.${host}`),
  );
  const ledger = owner
    .list('Secret')
    .filter(({ metadata }) => metadata.labels?.['cloudflare-warp/host-hash'] !== undefined)
    .map(({ metadata }) => metadata.annotations?.['cloudflare-warp/host'] ?? '')
    .filter((host) => host !== mayWait && host !== othersHost);
  compare('ledger Secrets', ledger, hosts);
  const inPods = wanted.filter(({ pods }) => pods > 0);
  const hostOf = ({ metadata }: { metadata: { annotations?: Record<string, string> } }): string =>
    metadata.annotations?.['cloudflare-warp/host'] ?? '';
  compare(
    'Deployments',
    owner.list('Deployment').map(hostOf),
    inPods.map(({ host }) => host),
  );
  compare(
    'pods',
    owner.list('Pod').map(hostOf),
    inPods.flatMap(({ host, pods }) => Array.from({ length: pods }, () => host)),
  );
  const serving = new Map<string, number>();
  for (const { tunnelId } of edge.connections()) serving.set(tunnelId, (serving.get(tunnelId) ?? 0) + 1);
  for (const host of wanted) {
    const tunnel = arena.tunnelOf(host.host) ?? '';
    const connections = serving.get(tunnel) ?? 0;
    serving.delete(tunnel);
    const expected = arena.connectionsOf(host);
    if (connections !== expected) {
      violations.push(`${host.host} has ${connections} connections instead of ${expected}`);
    }
  }
  for (const [tunnel, connections] of serving) {
    const name = cloudflare.tunnels.get(cloudflare.accountId, tunnel)?.name;
    if (!isOf(mayWait, name ?? '')) violations.push(`${connections} connections of ${name} left over`);
  }
  return violations;
}

/** Replicas that say that they are not ready, and for what they wait. */
export async function notReady({ replicas }: Arena): Promise<readonly Violation[]> {
  const answers = await Promise.all(replicas.map((replica) => replica.ops('/readyz')));
  return answers.flatMap((answer) => (answer?.status === 200 ? [] : [`not ready: ${answer?.body}`]));
}

/** Ingresses whose status does not name their tunnel. */
export function wrongStatus(arena: Arena): readonly Violation[] {
  return arena.owner.list('Ingress').flatMap((ingress) => {
    const host = arena.hosts.find(({ name }) => name === ingress.metadata.name)?.host;
    if (host === undefined) return [];
    const expected = `${arena.tunnelOf(host)}.cfargotunnel.com`;
    return JSON.stringify(ingress.status).includes(expected)
      ? []
      : [`status of ${ingress.metadata.name} is ${JSON.stringify(ingress.status)}, expected ${expected}`];
  });
}

/** Ingresses whose status still names a tunnel, although nobody wants theirs any more. */
export function addressesLeft(arena: Arena): readonly Violation[] {
  return arena.owner
    .list('Ingress')
    .filter(({ status }) => JSON.stringify(status ?? {}).includes('cfargotunnel.com'))
    .map(({ metadata, status }) => `status of ${metadata.name} is still ${JSON.stringify(status)}`);
}

/** What a process holds although it serves nothing any more, against what it held before it served anything. */
export function heldBack(before: Holdings, after: Holdings): readonly Violation[] {
  return surplus(before, after, [
    ['threads', 0],
    ['sockets', moreSockets],
    ['timers', moreTimers],
    ['heapBytes', moreHeapBytes],
  ]).map((what) => `${what} before it began`);
}

/**
 * What a process holds for hosts that are all whole, against what it held for the same ones before the trouble: what lies in a
 * worker thread shows only while that lives. How many threads there are quarantine decides.
 */
export function piledUp(before: Holdings, after: Holdings): readonly Violation[] {
  return surplus(before, after, [
    ['sockets', moreSocketsServing],
    ['timers', moreTimers],
    ['heapBytes', moreHeapBytes],
    ['threadTimers', moreTimers],
    ['threadHeapBytes', moreHeapBytes],
  ]).map((what) => `${what} before the trouble, for the same hosts`);
}

function surplus(
  before: Holdings,
  after: Holdings,
  limits: readonly (readonly [what: keyof Holdings, more: number])[],
): readonly string[] {
  return limits.flatMap(([what, more]) =>
    after[what] <= before[what] + more ? [] : [`${what}: ${after[what]}, and ${before[what]}`],
  );
}

function isOf(host: string | null, tunnelName: string): boolean {
  return host !== null && tunnelName.endsWith(`-${host}`);
}

function without(list: readonly string[], others: readonly string[]): readonly string[] {
  const left = [...others];
  return list.filter((entry) => {
    const at = left.indexOf(entry);
    if (at < 0) return true;
    left.splice(at, 1);
    return false;
  });
}
