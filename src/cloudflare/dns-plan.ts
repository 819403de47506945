import { tunnelHostname } from '../domain/host.ts';
import type { SeenRecord } from './api-objects.ts';
import { type OwnerMark, parseMark } from './owner-mark.ts';

/**
 * What to do with a host's records, given those that are there. Pure.
 *
 * Of whom a CNAME is: ours if it leads to our tunnel, or if our mark or our ledger knows its id. So a record
 * that somebody made after ours was deleted is not ours, even beside our old mark. An A or AAAA record is never
 * ours.
 *
 * Order of the writes: the CNAME first, because two of them cannot stand at one name, which makes it the claim;
 * then the mark with its id. In between, the CNAME leads to our tunnel and is ours by that. Removal goes the
 * same way: traffic first, then the mark.
 */
export interface DnsScene {
  /** Records at the host's own name. */
  readonly records: readonly SeenRecord[];
  /** Records at the name of its owner mark. */
  readonly marks: readonly SeenRecord[];
}

export interface DnsWish {
  readonly host: string;
  readonly identity: string;
  readonly tunnelId: string;
  /** Id of our CNAME as the ledger has it. */
  readonly knownCnameId: string | null;
  /** The host is the zone's own name, where NS records are ordinary. */
  readonly apex: boolean;
}

export type PublishStep =
  /** Not ours; `message` says what was found. */
  | { readonly type: 'conflict'; readonly message: string }
  | {
      readonly type: 'publish';
      readonly cname: { readonly write: Write; readonly id: string | null };
      /** Id of our mark if there is one, and what it says now. */
      readonly mark: { readonly id: string; readonly says: OwnerMark } | null;
      /** Further marks of ours, left by an interruption. */
      readonly surplus: readonly string[];
    };

export type Write = 'none' | 'create' | 'update';

export function planPublication(scene: DnsScene, wish: DnsWish): PublishStep {
  const marks = marksIn(scene, wish.host);
  const ours = marks.filter(({ says }) => says.owner === wish.identity);
  const theirs = marks.find(({ says }) => says.owner !== wish.identity);
  const blocking = scene.records.find((record) => blocks(record, wish.apex));
  if (blocking !== undefined) return conflict(wish.host, describe(blocking), theirs?.says.owner);
  const [cname, another] = scene.records.filter((record) => record.type === 'CNAME');
  if (cname !== undefined && (another !== undefined || !isOurs(cname, marks, wish))) {
    return conflict(wish.host, describe(cname), theirs?.says.owner);
  }
  // A mark without a record is a claim in the making, or the rest of one: not ours to judge.
  if (cname === undefined && theirs !== undefined) {
    return conflict(wish.host, `a TXT owner mark (${theirs.id})`, theirs.says.owner);
  }
  const kept = ours.find(({ says }) => says.record === cname?.id) ?? ours[0] ?? null;
  return {
    type: 'publish',
    cname: { write: writeFor(cname, wish.tunnelId), id: cname?.id ?? null },
    mark: kept,
    surplus: ours.filter((mark) => mark !== kept).map((mark) => mark.id),
  };
}

/** Ids to delete, in this order. Only what is ours and leads to our tunnel; the mark goes with the last of it. */
export function planRemoval(scene: DnsScene, wish: DnsWish): readonly string[] {
  const marks = marksIn(scene, wish.host);
  const cnames = scene.records.filter((record) => record.type === 'CNAME');
  const leaving = cnames.filter((record) => leadsTo(record, wish.tunnelId) && isOurs(record, marks, wish));
  const ours = marks.filter(({ says }) => says.owner === wish.identity);
  // The host has moved on to a newer tunnel of ours: the mark is that one's now.
  const moved = cnames.some(
    (record) =>
      !leaving.includes(record) &&
      record.content.endsWith(tunnelHostname('')) &&
      ours.some(({ says }) => says.record === record.id),
  );
  return [...leaving.map((record) => record.id), ...(moved ? [] : ours.map((mark) => mark.id))];
}

/** The two records that the ledger names are a CNAME of the host, wherever it leads, and our mark on it. */
export function isPublished(
  cname: SeenRecord | null,
  mark: SeenRecord | null,
  { host, identity }: Pick<DnsWish, 'host' | 'identity'>,
): boolean {
  if (cname?.type !== 'CNAME' || cname.name !== host || mark?.type !== 'TXT') return false;
  const says = parseMark(mark.content);
  return says?.owner === identity && says.host === host && says.record === cname.id;
}

function leadsTo(record: SeenRecord, tunnelId: string): boolean {
  return record.type === 'CNAME' && record.content.toLowerCase() === tunnelHostname(tunnelId);
}

export function writeFor(cname: SeenRecord | undefined, tunnelId: string): Write {
  if (cname === undefined) return 'create';
  return leadsTo(cname, tunnelId) && cname.proxied ? 'none' : 'update';
}

interface SeenMark {
  readonly id: string;
  readonly says: OwnerMark;
}

function marksIn(scene: DnsScene, host: string): readonly SeenMark[] {
  return scene.marks.flatMap((record) => {
    const says = record.type === 'TXT' ? parseMark(record.content) : null;
    return says?.host === host ? [{ id: record.id, says }] : [];
  });
}

function isOurs(cname: SeenRecord, marks: readonly SeenMark[], wish: DnsWish): boolean {
  const naming = marks.filter(({ says }) => says.record === cname.id);
  if (naming.some(({ says }) => says.owner === wish.identity)) return true;
  if (naming.length > 0) return false;
  return cname.id === wish.knownCnameId || leadsTo(cname, wish.tunnelId);
}

/** Types that cannot stand beside a CNAME at Cloudflare (code 81053). */
function blocks(record: SeenRecord, apex: boolean): boolean {
  return record.type === 'A' || record.type === 'AAAA' || (record.type === 'NS' && !apex);
}

function describe(record: SeenRecord): string {
  return `a record ${record.type} ${record.content}`;
}

function conflict(host: string, found: string, owner: string | undefined): PublishStep {
  const whose = owner === undefined ? 'that is not ours' : `of the install "${owner}"`;
  return { type: 'conflict', message: `${host} has ${found} ${whose}; it was not touched: ${remedy}` };
}

const remedy = 'remove it, or set the annotation cloudflare-warp/dns to off';
