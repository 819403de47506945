import { isIP } from 'node:net';
import { type FaultCode, failed, faultOf, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import type { EdgeAddress, EdgeRegions } from './edge-addresses.ts';
import type { EdgeResolver, ServiceRecord } from './edge-resolver.ts';
import type { EdgeSettings } from './link.ts';

/** Bound of one whole discovery, milliseconds. */
export const discoveryTimeoutMs = 30_000;

/** Most addresses of one region that are kept; the edge names about ten. */
const maxAddressesPerRegion = 64;

/**
 * Where the edge is (protocol page section 3): the static addresses if there are any, else by SRV, which must
 * name two targets or more: the first is region 1, the second region 2. Bounded by `discoveryTimeoutMs` and by `signal`;
 * the fault is `edge-discovery`.
 */
export async function discoverEdge(
  settings: EdgeSettings,
  deps: { readonly resolver: EdgeResolver; readonly clock: Clock; readonly random: () => number },
  signal?: AbortSignal,
): Promise<Result<EdgeRegions>> {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort();
  const timer = deps.clock.after(discoveryTimeoutMs, giveUp);
  signal?.addEventListener('abort', giveUp);
  try {
    const found =
      settings.addresses.length > 0
        ? await resolveStatic(settings.addresses, deps.resolver, abort.signal)
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

/** Even positions are region 1, odd ones region 2. Each occurrence is an address of its own. */
async function resolveStatic(
  addresses: readonly string[],
  resolver: EdgeResolver,
  signal: AbortSignal,
): Promise<Result<EdgeRegions>> {
  const regions: [EdgeAddress[], EdgeAddress[]] = [[], []];
  for (const [index, text] of addresses.entries()) {
    const target = parseHostPort(text);
    if (target === null) return failed(discoveryCode, `the edge address "${text}" is not host:port`);
    const [ip] = isIP(target.host) > 0 ? [target.host] : await resolver.addresses(target.host, signal);
    if (ip === undefined) return failed(discoveryCode, `the edge address "${text}" has no IP address`);
    regions[index % 2 === 0 ? 0 : 1].push({ ip, port: target.port });
  }
  return ok(regions);
}

async function resolveService(
  region: string,
  deps: { readonly resolver: EdgeResolver; readonly random: () => number },
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
