import { type Answer, type ApiRequest, noRoute, objectOf, page, refusal, success } from './envelope.ts';
import { collision, fullName, recordFrom } from './record-rules.ts';
import { addressTypes, type DnsRecord, type Zone, type ZoneStore } from './zone-store.ts';

export interface RecordLimits {
  /** Records a zone. */
  readonly maxRecords: number;
}

/** `/zones/{zone}/dns_records…`; `id` is what follows. */
export function answerRecords(
  store: ZoneStore,
  limits: RecordLimits,
  zone: Zone,
  id: string | undefined,
  request: ApiRequest,
): Answer {
  if (id === undefined) {
    if (request.method === 'GET') return list(zone, request.query);
    if (request.method === 'POST') return write(store, limits, zone, request.body, undefined);
    return noRoute(request);
  }
  if (id === 'batch' && request.method === 'POST') return batch(store, limits, zone, request.body);
  const record = zone.records.get(id);
  if (record === undefined) return noSuchRecord;
  if (request.method === 'GET') return success(recordBody(record));
  if (request.method === 'DELETE') {
    zone.records.delete(record.id);
    return success({ id: record.id });
  }
  if (request.method === 'PATCH' || request.method === 'PUT') {
    return change(store, limits, zone, request.body, record, request.method);
  }
  return noRoute(request);
}

/**
 * One transaction: deletes, patches, puts, posts, in this order and each list in its own. At the first error
 * nothing is changed, and that error is the answer (documentation, Batch record changes; API reference, Batch
 * DNS Records). How an empty batch and one that is too large are answered is not documented.
 */
function batch(store: ZoneStore, limits: RecordLimits, zone: Zone, body: unknown): Answer {
  const request = objectOf(body);
  if (request === null) return badBody;
  const lists = batchLists.map((list) => [list, request[list] ?? []] as const);
  if (!lists.every(([, items]) => Array.isArray(items))) return badBody;
  if (lists.flatMap(([, items]) => items).length > maxBatchedChanges) {
    return refusal(400, 9207, `A batch may have at most ${maxBatchedChanges} changes.`);
  }
  const before = [...zone.records];
  const done: Record<string, unknown[]> = {};
  for (const [list, items] of lists) {
    done[list] = [];
    for (const item of items as readonly unknown[]) {
      const answered = batched(store, limits, zone, list, item);
      if (!answered.body.success) {
        zone.records.clear();
        for (const [id, record] of before) zone.records.set(id, record);
        return answered;
      }
      done[list].push(answered.body.result);
    }
  }
  return success(done);
}

function batched(
  store: ZoneStore,
  limits: RecordLimits,
  zone: Zone,
  list: (typeof batchLists)[number],
  item: unknown,
): Answer {
  if (list === 'posts') return write(store, limits, zone, item, undefined);
  const record = zone.records.get(String(objectOf(item)?.id));
  if (record === undefined) return noSuchRecord;
  if (list !== 'deletes') return change(store, limits, zone, item, record, list === 'puts' ? 'PUT' : 'PATCH');
  zone.records.delete(record.id);
  return success(recordBody(record));
}

function change(
  store: ZoneStore,
  limits: RecordLimits,
  zone: Zone,
  body: unknown,
  record: DnsRecord,
  method: 'PATCH' | 'PUT',
): Answer {
  const fields = objectOf(body);
  // PUT says the whole record: what is left out falls back to its default, not to what was there.
  const whole = { ttl: 1, proxied: false, comment: null, tags: [], ...fields };
  return write(store, limits, zone, method === 'PUT' && fields !== null ? whole : body, record);
}

/** `PUT /zones/{zone}/tunnels/{tunnel}/routes`, what `cloudflared tunnel route dns` calls. */
export function answerTunnelRoute(
  store: ZoneStore,
  zone: Zone,
  tunnelId: string,
  request: ApiRequest,
): Answer {
  const body = objectOf(request.body);
  if (request.method !== 'PUT' || body === null) return noRoute(request);
  if (body.type !== 'dns') return refusal(400, 1003, 'Only routes of type dns are imitated here');
  const name = fullName(body.user_hostname, zone);
  if (name === null) return refusal(400, 1003, 'Invalid hostname');
  const target = `${tunnelId}.cfargotunnel.com`;
  const here = [...zone.records.values()].filter(
    (record) => record.name === name && addressTypes.has(record.type),
  );
  const [record] = here;
  if (here.length === 1 && record?.content === target) return success({ cname: 'unchanged', name });
  if (here.length > 0 && body.overwrite_existing !== true) {
    const text = `Failed to create record ${name} with err An A, AAAA, or CNAME record with that host already exists.`;
    return refusal(400, 1003, text);
  }
  for (const old of here) zone.records.delete(old.id);
  store.put(zone, { type: 'CNAME', name, content: target, proxied: true, ttl: 1, comment: null, tags: [] });
  return success({ cname: here.length > 0 ? 'updated' : 'new', name });
}

function write(
  store: ZoneStore,
  limits: RecordLimits,
  zone: Zone,
  body: unknown,
  before: DnsRecord | undefined,
): Answer {
  const parsed = recordFrom(zone, body, before);
  if (!parsed.ok) return parsed.refusal;
  const clash = collision(zone, parsed.content, before);
  if (clash !== null) return clash;
  if (before === undefined && zone.records.size >= limits.maxRecords) {
    return refusal(400, 81045, 'The record quota has been exceeded.');
  }
  return success(recordBody(store.put(zone, parsed.content, before)));
}

function list(zone: Zone, query: URLSearchParams): Answer {
  const filters = [
    query.has('type') ? (record: DnsRecord) => record.type === query.get('type') : null,
    query.has('proxied') ? (record: DnsRecord) => String(record.proxied) === query.get('proxied') : null,
    textFilter(query, 'name', (record) => record.name),
    textFilter(query, 'content', (record) => record.content),
    textFilter(query, 'comment', (record) => record.comment ?? ''),
  ].filter((filter) => filter !== null);
  const any = query.get('match') === 'any' && filters.length > 0;
  const wanted = [...zone.records.values()].filter((record) =>
    any ? filters.some((matches) => matches(record)) : filters.every((matches) => matches(record)),
  );
  const order = query.get('order');
  if (order === 'name' || order === 'type' || order === 'content') {
    const sign = query.get('direction') === 'desc' ? -1 : 1;
    wanted.sort((one, other) => sign * one[order].localeCompare(other[order]));
  }
  return page(wanted.map(recordBody), query, { perPage: 100, maxPerPage: 50_000 });
}

/** `field=x`, `field.exact`, `.contains`, `.startswith`, `.endswith`; letters of either case are the same. */
function textFilter(
  query: URLSearchParams,
  field: string,
  of: (record: DnsRecord) => string,
): ((record: DnsRecord) => boolean) | null {
  const asked = (operator: string): string | undefined => query.get(`${field}${operator}`)?.toLowerCase();
  const exact = asked('') ?? asked('.exact');
  const [contains, starts, ends] = [asked('.contains'), asked('.startswith'), asked('.endswith')];
  if (exact === undefined && contains === undefined && starts === undefined && ends === undefined)
    return null;
  return (record) => {
    const text = of(record).toLowerCase();
    return (
      (exact === undefined || text === exact) &&
      (contains === undefined || text.includes(contains)) &&
      (starts === undefined || text.startsWith(starts)) &&
      (ends === undefined || text.endsWith(ends))
    );
  };
}

function recordBody(record: DnsRecord): object {
  const { createdAtMs, modifiedAtMs, ...content } = record;
  return {
    ...content,
    proxiable: addressTypes.has(record.type),
    settings: {},
    meta: {},
    created_on: new Date(createdAtMs).toISOString(),
    modified_on: new Date(modifiedAtMs).toISOString(),
  };
}

const batchLists = ['deletes', 'patches', 'puts', 'posts'] as const;
/** Of free plans. */
const maxBatchedChanges = 200;
const noSuchRecord = refusal(404, 81044, 'Record does not exist.');
const badBody = refusal(400, 9207, 'Request body is invalid.');
