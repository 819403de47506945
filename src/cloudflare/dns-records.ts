import { tunnelHostname } from '../domain/host.ts';
import { ok, type Result } from '../fault.ts';
import type { ApiResult } from './api-failure.ts';
import { recordOf, type SeenRecord, type SeenZone } from './api-objects.ts';
import type { ApiClient, Priority } from './client.ts';
import type { DnsScene } from './dns-plan.ts';
import { markContent, markName, type OwnerMark } from './owner-mark.ts';

/** What is at a host's name and at the name of its owner mark. Two calls. */
export async function look(
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

/** Creates the host's CNAME, or changes the one of that id. */
export function writeCname(
  api: ApiClient,
  zoneId: string,
  wish: { readonly host: string; readonly tunnelId: string },
  id: string | null,
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  const content = tunnelHostname(wish.tunnelId);
  // A ttl of 1 is "automatic", the only one that proxied records have.
  const body = { type: 'CNAME', name: wish.host, content, proxied: true, ttl: 1 } as const;
  return write(api, zoneId, body, id, signal);
}

/** Creates the owner mark, or changes the one of that id. */
export function writeMark(
  api: ApiClient,
  zone: SeenZone,
  mark: OwnerMark,
  id: string | null,
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  const body = {
    type: 'TXT',
    name: markName(mark.host, zone.name),
    content: markContent(mark),
    ttl: 1,
  } as const;
  return write(api, zone.id, body, id, signal);
}

/**
 * Deletes the records of these ids, several of them in one call: a batch is one transaction and executes its
 * deletions in the order given (Cloudflare's documentation, Batch record changes). Already gone is success.
 */
export async function deleteRecords(
  api: ApiClient,
  zoneId: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Result<void>> {
  if (ids.length > 1) {
    const batch = await api.call<unknown>(
      {
        op: 'dns.batch',
        priority: 'close',
        repeatable: true,
        send: (sdk, options) =>
          sdk.dns.records.batch({ zone_id: zoneId, deletes: ids.map((id) => ({ id })) }, options),
      },
      signal,
    );
    // A refused batch has changed nothing; the usual reason is that one of the records is gone already.
    if (batch.ok) return ok(undefined);
    if (batch.fault.code !== 'cloudflare-refused') return batch;
  }
  for (const id of ids) {
    const deleted = await deleteRecord(api, zoneId, id, signal);
    if (!deleted.ok) return deleted;
  }
  return ok(undefined);
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

const noSuchRecordCode = 81044;
