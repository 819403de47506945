import type { DnsRemoval, DnsRequest } from '../actors/ports.ts';
import type { DnsRecords } from '../domain/ledger.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { ApiFailure } from './api-failure.ts';
import { recordOf, type SeenRecord, type SeenZone } from './api-objects.ts';
import { type ApiClient, misshapen } from './client.ts';
import type { Credentials } from './credentials.ts';
import { isPublished, type PublishStep, planPublication, planRemoval, writeFor } from './dns-plan.ts';
import { deleteRecords, look, writeCname, writeMark } from './dns-records.ts';
import type { MarkedHosts } from './marked-hosts.ts';
import type { ZoneDirectory } from './zones.ts';

/**
 * Publishes a host. Two calls when the ledger's records are as they should be, three when only the target differs,
 * two when nothing is there yet; else two looks and a write for each of the records that is not as it should be.
 */
export async function ensureDns(
  api: ApiClient,
  zones: ZoneDirectory,
  marks: MarkedHosts,
  credentials: Credentials,
  request: DnsRequest,
  signal: AbortSignal,
): Promise<Result<DnsRecords>> {
  if (request.known !== null) {
    const kept = await keepKnown(api, request, request.known, signal);
    if (kept !== null) return kept;
  }
  const zone = await zones.zoneFor(credentials, request.host, signal);
  if (!zone.ok) return zone;
  if (request.known === null) {
    const created = await publishNew(api, marks, credentials, zone.value, request, signal);
    if (created !== null) return created;
  }
  const scene = await look(api, zone.value, request.host, 'create', signal);
  if (!scene.ok) return scene;
  const { host, identity, tunnelId } = request;
  const apex = host === zone.value.name;
  const step = planPublication(scene.value, {
    host,
    identity,
    tunnelId,
    knownCnameId: request.known?.cnameId ?? null,
    apex,
  });
  if (step.type === 'conflict') return failed('dns-conflict', step.message);
  return publish(api, zone.value, request, step, signal);
}

/** Takes a host's records away. Three calls when both are there: two looks, because only what is still ours goes. */
export async function removeDns(
  api: ApiClient,
  zones: ZoneDirectory,
  credentials: Credentials,
  removal: DnsRemoval,
  signal: AbortSignal,
): Promise<Result<void>> {
  // The ledger's zone first: a longer one may have been added since.
  const found =
    removal.known === null
      ? await zones.zoneFor(credentials, removal.host, signal)
      : await zones.zoneById(credentials, removal.known.zoneId, signal);
  if (!found.ok) return found.fault.code === 'zone-unknown' ? ok(undefined) : found;
  const zone = found.value;
  if (zone === null) return ok(undefined);
  const scene = await look(api, zone, removal.host, 'close', signal);
  if (!scene.ok) return scene.status === 404 ? ok(undefined) : scene;
  const ids = planRemoval(scene.value, {
    host: removal.host,
    identity: removal.identity,
    tunnelId: removal.tunnelId,
    knownCnameId: removal.known?.cnameId ?? null,
    apex: removal.host === zone.name,
  });
  return deleteRecords(api, zone.id, ids, signal);
}

/** The way of few calls: the records that the ledger names. Null when one of them is not there (any more). */
async function keepKnown(
  api: ApiClient,
  request: DnsRequest,
  known: DnsRecords,
  signal: AbortSignal,
): Promise<Result<DnsRecords> | null> {
  const cname = await getKnown(api, known.zoneId, known.cnameId, signal);
  if (cname === null || !cname.ok) return cname;
  const mark = await getKnown(api, known.zoneId, known.txtId, signal);
  if (mark === null || !mark.ok) return mark;
  if (cname.value === null || !isPublished(cname.value, mark.value, request)) return null;
  if (writeFor(cname.value, request.tunnelId) === 'none') return ok(known);
  const written = await writeCname(api, known.zoneId, request, known.cnameId, signal);
  if (written.ok) return ok(known);
  return written.status === 404 ? null : written;
}

/**
 * Null when it is gone, or in a zone that is gone: the long way finds out what is true. A zone that is somebody
 * else's now may be refused instead; a real failure of the credentials shows on the long way too.
 */
async function getKnown(
  api: ApiClient,
  zoneId: string,
  id: string,
  signal: AbortSignal,
): Promise<Result<SeenRecord | null> | null> {
  const answer = await api.call<unknown>(
    {
      op: 'dns.get',
      // Mostly a mere look, but also of a host that is without its records, or whose tunnel is another one by now.
      priority: 'create',
      repeatable: true,
      send: (sdk, options) => sdk.dns.records.get(id, { zone_id: zoneId }, options),
    },
    signal,
  );
  if (answer.ok) return ok(recordOf(answer.value));
  return answer.status === 404 || answer.fault.code === 'credentials-invalid' ? null : answer;
}

/**
 * The way of few calls for a host of which nothing is known: its CNAME is created without a look, because
 * Cloudflare refuses it beside whatever stands in its way. That cannot be said of the mark, so a host that has
 * one goes the long way. Null when that has to be gone.
 */
async function publishNew(
  api: ApiClient,
  marks: MarkedHosts,
  credentials: Credentials,
  zone: SeenZone,
  request: DnsRequest,
  signal: AbortSignal,
): Promise<Result<DnsRecords> | null> {
  const marked = await marks.has(credentials, zone, request.host, signal);
  if (!marked.ok) return marked;
  if (marked.value) return null;
  const { host, identity } = request;
  const cname = await writeCname(api, zone.id, request, null, signal);
  if (!cname.ok) return isRefused(cname) ? null : cname;
  const cnameId = recordOf(cname.value)?.id;
  if (cnameId === undefined) return misshapen('dns.create', 'record');
  const mark = await writeMark(api, zone, { owner: identity, host, record: cnameId }, null, signal);
  if (!mark.ok) return isRefused(mark) ? null : mark;
  const txtId = recordOf(mark.value)?.id;
  if (txtId === undefined) return misshapen('dns.create', 'record');
  return ok({ zoneId: zone.id, cnameId, txtId });
}

/** Something is in the way, and a look tells what. A full zone may hide that ours is there already. */
function isRefused({ fault }: ApiFailure): boolean {
  return fault.code === 'cloudflare-refused' || fault.code === 'quota-exceeded';
}

async function publish(
  api: ApiClient,
  zone: SeenZone,
  request: DnsRequest,
  step: Extract<PublishStep, { type: 'publish' }>,
  signal: AbortSignal,
): Promise<Result<DnsRecords>> {
  let cnameId = step.cname.id;
  if (step.cname.write !== 'none' || cnameId === null) {
    const written = await writeCname(api, zone.id, request, cnameId, signal);
    if (!written.ok) return conflictOr(written, request.host);
    const record = recordOf(written.value);
    if (record === null) return misshapen('dns.create', 'record');
    cnameId = record.id;
  }
  let txtId = step.mark?.id ?? null;
  if (txtId === null || step.mark?.says.record !== cnameId) {
    const mark = { owner: request.identity, host: request.host, record: cnameId };
    const written = await writeMark(api, zone, mark, txtId, signal);
    if (!written.ok) return written;
    const record = recordOf(written.value);
    if (record === null) return misshapen('dns.create', 'record');
    txtId = record.id;
  }
  const tidied = await deleteRecords(api, zone.id, step.surplus, signal);
  if (!tidied.ok) return tidied;
  return ok({ zoneId: zone.id, cnameId, txtId });
}

/** What stood in the way only showed at the write: a race, or something that the list of records does not hold. */
function conflictOr(failure: ApiFailure, host: string): Result<never> {
  if (!failure.codes.some((code) => conflictCodes.has(code))) return failure;
  return failed('dns-conflict', `${host} cannot be published: ${failure.fault.message}`);
}

/** Records of that name exist: A, AAAA or CNAME (81053), CNAME (81054), NS (81056), the same one (81057, 81058). */
const conflictCodes = new Set([81053, 81054, 81056, 81057, 81058]);
