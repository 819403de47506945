import { isIP } from 'node:net';
import { type FaultCode, failed, faultOf, ok, type Result } from '../fault.ts';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';
import type { EdgeAddress, EdgeRegions } from './edge-addresses.ts';
import type { EdgeResolver, ServiceRecord } from './edge-resolver.ts';
import type { EdgeSettings } from './link.ts';

/** Bound of one whole discovery, milliseconds. */
export const discoveryTimeoutMs = 30_000;

/** Most addresses of one region that are kept; the edge names about ten. */
const maxAddressesPerRegion = 64;

export interface DiscoveryDeps {
  readonly resolver: EdgeResolver;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * Where the edge is (protocol page section 3): the static addresses if there are any, else by SRV, which must
 * name two targets or more: the first is region 1, the second region 2. Bounded by `discoveryTimeoutMs` and by `signal`;
 * the fault is `edge-discovery`.
 */
export async function discoverEdge(
  settings: EdgeSettings,
  deps: DiscoveryDeps,
  signal?: AbortSignal,
): Promise<Result<EdgeRegions>> {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort();
  const timer = deps.clock.after(discoveryTimeoutMs, giveUp);
  signal?.addEventListener('abort', giveUp);
  try {
    const found =
      settings.addresses.length > 0
        ? await resolveStatic(settings.addresses, deps, abort.signal)
        : await resolveService(settings.region, deps, abort.signal);
    // The root as a target says that there is no such service (RFC 2782), and has no address.
    if (found.ok && found.value.flat().length === 0) return failed(discoveryCode, 'the edge has no address');
    return found;
  } catch (error) {
    const seen = abort.signal.aborted ? `no answer within ${discoveryTimeoutMs} ms` : faultOf(error).message;
    return failed(discoveryCode, `the edge could not be found: ${seen}`);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}

const discoveryCode: FaultCode = 'edge-discovery';

/**
 * Those at even positions are region 1, at odd ones region 2. Each occurrence is an address of its own. As by cloudflared
 * one whose name has no address is left out, as long as there are others.
 */
async function resolveStatic(
  addresses: readonly string[],
  { resolver, log }: DiscoveryDeps,
  signal: AbortSignal,
): Promise<Result<EdgeRegions>> {
  const targets: { text: string; host: string; port: number }[] = [];
  for (const text of addresses) {
    const target = parseHostPort(text);
    if (target === null) return failed(discoveryCode, `the edge address "${text}" is not host:port`);
    targets.push({ text, ...target });
  }
  const answers = await Promise.allSettled(
    targets.map(({ host }) => (isIP(host) > 0 ? [host] : resolver.addresses(host, signal))),
  );
  const found: EdgeAddress[] = [];
  const leftOut: { address: string; reason: string }[] = [];
  for (const [index, answer] of answers.entries()) {
    const { text, port } = targets[index]!;
    const ip = answer.status === 'fulfilled' ? answer.value[0] : undefined;
    if (ip !== undefined) found.push({ ip, port });
    else {
      const reason = answer.status === 'rejected' ? faultOf(answer.reason).message : 'no IP address';
      leftOut.push({ address: text, reason });
    }
  }
  if (found.length === 0)
    return failed(
      discoveryCode,
      leftOut.map(({ address, reason }) => `the edge address "${address}": ${reason}`).join('; '),
    );
  for (const fields of leftOut) log.warn(fields, 'edge address left out');
  return ok([found.filter((_, index) => index % 2 === 0), found.filter((_, index) => index % 2 === 1)]);
}

async function resolveService(
  region: string,
  deps: DiscoveryDeps,
  signal: AbortSignal,
): Promise<Result<EdgeRegions>> {
  const name = `_${region === '' ? '' : `${region}-`}v2-origintunneld._tcp.argotunnel.com`;
  const records = inServiceOrder(await deps.resolver.services(name, signal), deps.random);
  const [first, second] = records;
  if (first === undefined || second === undefined) {
    return failed(discoveryCode, `${name} names ${records.length} targets, expected two or more`);
  }
  const regions = await Promise.all(
    [first, second].map((record) => resolveTarget(record, deps.resolver, signal)),
  );
  return ok(regions as [EdgeAddress[], EdgeAddress[]]);
}

async function resolveTarget(
  target: ServiceRecord,
  resolver: EdgeResolver,
  signal: AbortSignal,
): Promise<EdgeAddress[]> {
  const addresses = await resolver.addresses(target.name, signal);
  return addresses.slice(0, maxAddressesPerRegion).map((ip) => ({ ip, port: target.port }));
}

/** By priority, within one priority by weighted chance (RFC 2782). */
export function inServiceOrder(records: readonly ServiceRecord[], random: () => number): ServiceRecord[] {
  const ordered: ServiceRecord[] = [];
  const left = records.toSorted((a, b) => a.priority - b.priority);
  while (left.length > 0) {
    const priority = left[0]?.priority;
    const same = left.filter((record) => record.priority === priority);
    const chosen = weightedPick(same, random());
    if (chosen === undefined) break;
    ordered.push(chosen);
    left.splice(left.indexOf(chosen), 1);
  }
  return ordered;
}

function weightedPick(records: readonly ServiceRecord[], random: number): ServiceRecord | undefined {
  let left = random * records.reduce((sum, record) => sum + record.weight, 0);
  for (const record of records) {
    left -= record.weight;
    if (left < 0) return record;
  }
  return records[0];
}

/** `host:port`, `1.2.3.4:7844` or `[::1]:7844`; null for anything else. */
export function parseHostPort(text: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port };
}
