import type { DnsRemoval, DnsRequest } from '../actors/ports.ts';
import { tunnelHostname } from '../domain/host.ts';
import type { DnsRecords } from '../domain/ledger.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { ApiFailure, ApiResult } from './api-failure.ts';
import { recordOf, type SeenRecord, type SeenZone } from './api-objects.ts';
import { type ApiClient, misshapen, type Priority } from './client.ts';
import type { Credentials } from './credentials.ts';
import {
  type DnsScene,
  type PublishStep,
  planPublication,
  planRemoval,
  type Write,
  writeFor,
} from './dns-plan.ts';
import { markContent, markName } from './owner-mark.ts';
import type { ZoneDirectory } from './zones.ts';

/**
 * Publishes a host. One call when the ledger's record is as it should be, two when only its target differs,
 * else two looks and a write for each of the records that is not there yet.
 */
export async function ensureDns(
  api: ApiClient,
  zones: ZoneDirectory,
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

/** Takes a host's records away. Four calls when both are there. */
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
  for (const id of ids) {
    const deleted = await deleteRecord(api, zone.id, id, signal);
    if (!deleted.ok) return deleted;
  }
  return ok(undefined);
}

/** The way of few calls: the CNAME that the ledger names. Null when it is not there (any more). */
async function keepKnown(
  api: ApiClient,
  request: DnsRequest,
  known: DnsRecords,
  signal: AbortSignal,
): Promise<Result<DnsRecords> | null> {
  const answer = await api.call<unknown>(
    {
      op: 'dns.get',
      priority: 'tend',
      repeatable: true,
      send: (sdk, options) => sdk.dns.records.get(known.cnameId, { zone_id: known.zoneId }, options),
    },
    signal,
  );
  // Gone, or in a zone that is gone: the long way finds out what is true. A zone that is somebody else's now
  // may be refused instead; a real failure of the credentials shows on the long way too.
  if (!answer.ok) {
    return answer.status === 404 || answer.fault.code === 'credentials-invalid' ? null : answer;
  }
  const cname = recordOf(answer.value);
  if (cname?.type !== 'CNAME' || cname.name !== request.host) return null;
  if (writeFor(cname, request.tunnelId) === 'none') return ok(known);
  const written = await writeCname(api, known.zoneId, request, 'update', cname.id, signal);
  if (written.ok) return ok(known);
  return written.status === 404 ? null : written;
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
    const written = await writeCname(api, zone.id, request, step.cname.write, cnameId, signal);
    if (!written.ok) return conflictOr(written, request.host);
    const record = recordOf(written.value);
    if (record === null) return misshapen('dns.create', 'record');
    cnameId = record.id;
  }
  let txtId = step.mark?.id ?? null;
  if (txtId === null || step.mark?.says.record !== cnameId) {
    const mark = { owner: request.identity, host: request.host, record: cnameId };
    const body = {
      type: 'TXT',
      name: markName(request.host, zone.name),
      content: markContent(mark),
      ttl: 1,
    } as const;
    const written = await write(api, zone.id, body, txtId, signal);
    if (!written.ok) return written;
    const record = recordOf(written.value);
    if (record === null) return misshapen('dns.create', 'record');
    txtId = record.id;
  }
  for (const id of step.surplus) {
    const deleted = await deleteRecord(api, zone.id, id, signal);
    if (!deleted.ok) return deleted;
  }
  return ok({ zoneId: zone.id, cnameId, txtId });
}

function writeCname(
  api: ApiClient,
  zoneId: string,
  request: DnsRequest,
  how: Write,
  id: string | null,
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  const content = tunnelHostname(request.tunnelId);
  // A ttl of 1 is "automatic", the only one that proxied records have.
  const body = { type: 'CNAME', name: request.host, content, proxied: true, ttl: 1 } as const;
  return write(api, zoneId, body, how === 'update' ? id : null, signal);
}

type RecordBody =
  | {
      readonly type: 'CNAME';
      readonly name: string;
      readonly content: string;
      readonly proxied: true;
      readonly ttl: 1;
    }
  | { readonly type: 'TXT'; readonly name: string; readonly content: string; readonly ttl: 1 };

/** Creates, or changes in place the record of that id: PATCH, which leaves people's comments and tags alone. */
function write(
  api: ApiClient,
  zoneId: string,
  body: RecordBody,
  id: string | null,
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  if (id === null) {
    return api.call<unknown>(
      {
        op: 'dns.create',
        priority: 'create',
        repeatable: false,
        send: (sdk, options) => sdk.dns.records.create({ zone_id: zoneId, ...body }, options),
      },
      signal,
    );
  }
  return api.call<unknown>(
    {
      op: 'dns.update',
      priority: 'create',
      repeatable: true,
      send: (sdk, options) => sdk.dns.records.edit(id, { zone_id: zoneId, ...body }, options),
    },
    signal,
  );
}

async function deleteRecord(
  api: ApiClient,
  zoneId: string,
  id: string,
  signal: AbortSignal,
): Promise<Result<void>> {
  const answer = await api.call<unknown>(
    {
      op: 'dns.delete',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) => sdk.dns.records.delete(id, { zone_id: zoneId }, options),
    },
    signal,
  );
  return answer.ok || answer.status === 404 || answer.codes.includes(noSuchRecordCode)
    ? ok(undefined)
    : answer;
}

async function look(
  api: ApiClient,
  zone: SeenZone,
  host: string,
  priority: Priority,
  signal: AbortSignal,
): Promise<ApiResult<DnsScene>> {
  const records = await recordsAt(api, zone.id, host, priority, signal);
  if (!records.ok) return records;
  const marks = await recordsAt(api, zone.id, markName(host, zone.name), priority, signal);
  if (!marks.ok) return marks;
  return { ok: true, value: { records: records.value, marks: marks.value } };
}

async function recordsAt(
  api: ApiClient,
  zoneId: string,
  name: string,
  priority: Priority,
  signal: AbortSignal,
): Promise<ApiResult<SeenRecord[]>> {
  const records = await api.list(
    {
      op: 'dns.list',
      priority,
      perPage: 100,
      send: (sdk, paging, options) =>
        sdk.dns.records.list({ zone_id: zoneId, name: { exact: name }, ...paging }, options),
      parse: recordOf,
    },
    signal,
  );
  if (!records.ok) return records;
  // The filter is asked for, not trusted.
  return { ok: true, value: records.value.filter((record) => record.name === name) };
}

/** What stood in the way only showed at the write: a race, or something that the list of records does not hold. */
function conflictOr(failure: ApiFailure, host: string): Result<never> {
  if (!failure.codes.some((code) => conflictCodes.has(code))) return failure;
  return failed('dns-conflict', `${host} cannot be published: ${failure.fault.message}`);
}

/** Records of that name exist: A, AAAA or CNAME (81053), CNAME (81054), NS (81056), the same one (81057, 81058). */
const conflictCodes = new Set([81053, 81054, 81056, 81057, 81058]);
const noSuchRecordCode = 81044;
