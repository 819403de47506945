import { refuse, wrong } from '../status.ts';

/** What a query asks of a write. */
export interface WriteQuery {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  readonly force: boolean;
}

const maxManagerLength = 128;

export function writeQuery(query: URLSearchParams, userAgent: string | undefined, kind: string): WriteQuery {
  const given = query.get('fieldManager') ?? '';
  const causes = [
    ...(given.length > maxManagerLength ? [wrong.tooLong('fieldManager', maxManagerLength)] : []),
    ...query
      .getAll('dryRun')
      .filter((value) => value !== 'All' && value !== '')
      .map((value) => wrong.unsupported('dryRun', [value], ['All'])),
  ];
  const validation = query.get('fieldValidation') || 'Warn';
  if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    causes.push(wrong.unsupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (causes.length > 0) throw refuse.invalid({ group: 'meta.k8s.io', kind }, '', causes);
  return {
    dryRun: query.getAll('dryRun').includes('All'),
    fieldManager: given || (userAgent ?? 'unknown').split('/')[0]!.slice(0, maxManagerLength),
    fieldValidation: validation as WriteQuery['fieldValidation'],
    force: query.get('force') === 'true',
  };
}

export type VersionMatch = '' | 'Exact' | 'NotOlderThan';

/** What a query asks of a list or watch. */
export interface ListQuery {
  readonly labels: string;
  readonly fields: string;
  /** Zero when there is no limit. */
  readonly limit: number;
  readonly continueToken: string;
  /** Null when absent; zero means any. */
  readonly resourceVersion: number | null;
  readonly match: VersionMatch;
  readonly timeoutSeconds: number | null;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean | null;
  readonly watch: boolean;
}

export function listQuery(query: URLSearchParams): ListQuery {
  const watch = flag(query, 'watch') ?? false;
  const match = query.get('resourceVersionMatch') ?? '';
  const sendInitialEvents = flag(query, 'sendInitialEvents');
  const forbid = (field: string, why: string) =>
    refuse.invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [wrong.forbidden(field, why)]);
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw refuse.invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      wrong.unsupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']),
    ]);
  }
  const resourceVersion = whole(query, 'resourceVersion');
  if (watch) {
    if (sendInitialEvents !== null && match !== 'NotOlderThan') {
      throw forbid(
        'resourceVersionMatch',
        `sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`,
      );
    }
    if (match !== '' && sendInitialEvents === null) {
      throw forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    }
    if (sendInitialEvents === true && flag(query, 'allowWatchBookmarks') !== true) {
      throw forbid('sendInitialEvents', 'sendInitialEvents requires setting allowWatchBookmarks to true');
    }
  } else {
    if (sendInitialEvents !== null)
      throw forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
    if (match !== '' && resourceVersion === null) {
      throw forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden unless resourceVersion is provided',
      );
    }
    if (match !== '' && query.get('continue')) {
      throw forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
    }
    if (match === 'Exact' && resourceVersion === 0) {
      throw forbid(
        'resourceVersionMatch',
        'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      );
    }
  }
  return {
    labels: query.get('labelSelector') ?? '',
    fields: query.get('fieldSelector') ?? '',
    limit: whole(query, 'limit') ?? 0,
    continueToken: query.get('continue') ?? '',
    resourceVersion,
    match: match as VersionMatch,
    timeoutSeconds: whole(query, 'timeoutSeconds'),
    bookmarks: flag(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents,
    watch,
  };
}

/** A whole number, or null where there is none. */
export function whole(query: URLSearchParams, name: string): number | null {
  const text = query.get(name) ?? '';
  if (text === '') return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  if (name === 'resourceVersion') {
    throw refuse.badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** As Go's parser of booleans in queries: empty is true, `0` and `false` are false. */
function flag(query: URLSearchParams, name: string): boolean | null {
  const text = query.get(name);
  return text === null ? null : text !== '0' && text.toLowerCase() !== 'false';
}
