import { cutsUuid, readingsOf, tunnelHostname } from '../domain/host.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import type { SeenRecord, SeenTunnel, SeenZone } from './api-objects.ts';
import { planRemoval } from './dns-plan.ts';
import { sceneOf } from './dns-preview.ts';
import { markName, markPrefix, type OwnerMark, parseMark } from './owner-mark.ts';
import type { Survey } from './survey.ts';
import { longestZone } from './zones.ts';

/**
 * What an install has at Cloudflare that neither its ledger nor an Ingress knows: tunnels of its name and records
 * with its mark. Pure.
 *
 * A tunnel's name alone does not always say whose it is (`readingsOf`). Then only an owner mark does: one of ours
 * for that host, on a record that leads to that tunnel. A tunnel that could be another install's, and one that
 * somebody runs, is left alone, and so is what leads to it.
 */
export interface Leftovers {
  readonly hosts: readonly LeftHost[];
  readonly leftAlone: readonly LeftAlone[];
}

/** Everything of one host in one zone; what goes together. */
export interface LeftHost {
  readonly host: string;
  /** Null: no record of it is left. */
  readonly zone: SeenZone | null;
  /** Where its records lead; empty when that is nowhere of ours. */
  readonly tunnelId: string;
  /** Its mark and the record that the mark names; null for a record without a mark. */
  readonly mark: { readonly id: string; readonly record: string } | null;
  readonly records: readonly SeenRecord[];
  readonly tunnel: SeenTunnel | null;
}

export interface LeftAlone {
  readonly kind: 'tunnel' | 'records';
  readonly name: string;
  readonly id: string;
  readonly why: string;
}

export interface Owned {
  readonly identity: string;
  /** Of every identity. */
  readonly ledger: readonly LedgerEntry[];
  /** Every host that an Ingress of ours names. */
  readonly hosts: ReadonlySet<string>;
}

export function leftoversOf(survey: Survey, owned: Owned): Leftovers {
  const seen = indexOf(survey);
  const isOwned = ownedBy(owned);
  const leftAlone: LeftAlone[] = [];
  const tunnels = new Map<string, SeenTunnel>();
  for (const tunnel of survey.tunnels) {
    const verdict = judge(tunnel, seen, owned, isOwned);
    if (verdict.is === 'left') tunnels.set(verdict.host, tunnel);
    if (verdict.is === 'unclear')
      leftAlone.push({ kind: 'tunnel', name: tunnel.name, id: tunnel.id, why: verdict.why });
  }

  const hosts: LeftHost[] = [];
  for (const { zone, mark } of seen.marks.toSorted(
    (one, other) => namesRecord(seen, other) - namesRecord(seen, one),
  )) {
    const { host, owner, record } = mark.says;
    const isOurs = owner === owned.identity && mark.name === markName(host, zone.name) && !isOwned.host(host);
    // Of several marks of a host, left by interruptions, the one that names a record speaks for all.
    if (!isOurs || hosts.some((left) => left.host === host && left.zone?.id === zone.id)) continue;
    const cname = seen.records.get(record)?.find((found) => found.name === host);
    const tunnel = tunnels.get(host) ?? null;
    const target = cname === undefined ? null : tunnelIdOf(cname);
    if (target !== null && target !== tunnel?.id && seen.live.has(target)) {
      const why = `it leads to the tunnel ${target}, which is in use or not ours`;
      leftAlone.push({ kind: 'records', name: host, id: record, why });
      continue;
    }
    const tunnelId = target ?? tunnel?.id ?? '';
    const ours = { id: mark.id, record };
    const records = goingWith(seen, owned.identity, { host, zone, tunnelId, record });
    hosts.push({ host, zone, tunnelId, mark: ours, records, tunnel: target === tunnel?.id ? tunnel : null });
  }
  for (const [host, tunnel] of tunnels) {
    if (hosts.some((left) => left.tunnel === tunnel)) continue;
    const tunnelId = tunnel.id;
    // Without a mark: a publication that was interrupted.
    const zone = seen.leadingTo.get(tunnelId)?.find(({ record }) => record.name === host)?.zone ?? null;
    const records =
      zone === null ? [] : goingWith(seen, owned.identity, { host, zone, tunnelId, record: null });
    hosts.push({ host, zone, tunnelId, mark: null, records, tunnel });
  }
  return { hosts: hosts.toSorted((one, other) => (one.host < other.host ? -1 : 1)), leftAlone };
}

type Verdict =
  | { readonly is: 'owned' | 'foreign' }
  | { readonly is: 'left'; readonly host: string }
  | { readonly is: 'unclear'; readonly why: string };

function judge(
  tunnel: SeenTunnel,
  seen: Seen,
  { identity }: Owned,
  isOwned: ReturnType<typeof ownedBy>,
): Verdict {
  const readings = readingsOf(tunnel.name);
  const mine = readings.find((reading) => reading.identity === identity);
  if (mine === undefined) return { is: 'foreign' };
  const { host } = mine;
  if (isOwned.tunnel(tunnel) || isOwned.host(host)) return { is: 'owned' };
  const witnesses = seen.witnesses.get(tunnel.id) ?? [];
  if (witnesses.some((says) => says.owner !== identity || says.host !== host)) return { is: 'foreign' };
  const [other] = readings.filter((reading) => reading !== mine && !cutsUuid(reading.identity, identity));
  if (witnesses.length === 0 && other !== undefined) {
    const why = `it may be of the identity "${other.identity}" for ${other.host}, and no owner mark tells`;
    return { is: 'unclear', why };
  }
  const hidden = seen.hidden.find((zone) => longestZone(host, [zone]) !== null);
  if (hidden !== undefined) return { is: 'unclear', why: `the zone ${hidden.name} cannot be read` };
  if (tunnel.connections > 0) {
    return {
      is: 'unclear',
      why: `it has ${tunnel.connections} connections: something runs it, stop that first`,
    };
  }
  return { is: 'left', host };
}

function ownedBy({ identity, ledger, hosts }: Owned) {
  // A ledger of another identity vouches for its own tunnel, whatever the name may also mean.
  const ids = new Set(ledger.map(({ tunnel }) => tunnel?.id));
  const names = new Set(ledger.map(({ tunnelName }) => tunnelName));
  const own = new Set(ledger.filter((entry) => entry.identity === identity).map(({ host }) => host));
  return {
    tunnel: ({ id, name }: SeenTunnel): boolean => ids.has(id) || names.has(name),
    host: (host: string): boolean => own.has(host) || hosts.has(host),
  };
}

/** A survey as it is looked into here. */
interface Seen {
  readonly survey: Survey;
  readonly live: ReadonlySet<string>;
  readonly records: ReadonlyMap<string, readonly SeenRecord[]>;
  readonly marks: readonly ZonedMark[];
  /** By tunnel id: records that lead there. */
  readonly leadingTo: ReadonlyMap<string, readonly ZonedRecord[]>;
  /** By tunnel id: what marks say that name such a record. */
  readonly witnesses: ReadonlyMap<string, readonly OwnerMark[]>;
  /** Zones whose records may not be read. */
  readonly hidden: readonly SeenZone[];
}

interface ZonedRecord {
  readonly zone: SeenZone;
  readonly record: SeenRecord;
}

interface ZonedMark {
  readonly zone: SeenZone;
  readonly mark: { readonly id: string; readonly name: string; readonly says: OwnerMark };
}

function indexOf(survey: Survey): Seen {
  const all = survey.zones.flatMap(({ zone, records }) =>
    records.ok ? records.value.map((record): ZonedRecord => ({ zone, record })) : [],
  );
  const marks = all.flatMap(({ zone, record: { id, type, name, content } }): ZonedMark[] => {
    const says = type === 'TXT' && name.startsWith(markPrefix) ? parseMark(content) : null;
    return says === null ? [] : [{ zone, mark: { id, name, says } }];
  });
  const saysOf = Map.groupBy(marks, ({ mark }) => mark.says.record);
  const leadingTo = Map.groupBy(
    all.filter(({ record }) => tunnelIdOf(record) !== null),
    ({ record }) => tunnelIdOf(record) ?? '',
  );
  const witnesses = new Map(
    Array.from(leadingTo, ([id, records]) => [
      id,
      records.flatMap(({ record }) => (saysOf.get(record.id) ?? []).map(({ mark }) => mark.says)),
    ]),
  );
  return {
    survey,
    live: new Set(survey.tunnels.map(({ id }) => id)),
    records: Map.groupBy(
      all.map(({ record }) => record),
      ({ id }) => id,
    ),
    marks,
    leadingTo,
    witnesses,
    hidden: survey.zones.flatMap(({ zone, records }) => (records.ok ? [] : [zone])),
  };
}

function namesRecord(seen: Seen, { mark }: ZonedMark): number {
  return seen.records.has(mark.says.record) ? 1 : 0;
}

/** What a removal of that host takes away, in its order. */
function goingWith(
  { survey }: Seen,
  identity: string,
  left: {
    readonly host: string;
    readonly zone: SeenZone;
    readonly tunnelId: string;
    readonly record: string | null;
  },
): readonly SeenRecord[] {
  const { host, zone, tunnelId, record } = left;
  const scene = sceneOf(survey, zone, host);
  if (!scene.ok) return [];
  const all = [...scene.value.records, ...scene.value.marks];
  const ids = planRemoval(scene.value, {
    host,
    identity,
    tunnelId,
    knownCnameId: record,
    apex: host === zone.name,
  });
  return ids.flatMap((id) => all.filter((candidate) => candidate.id === id));
}

/** The tunnel that a record leads to; null when it leads elsewhere. */
function tunnelIdOf({ type, content }: SeenRecord): string | null {
  const suffix = tunnelHostname('');
  const target = content.toLowerCase();
  return type === 'CNAME' && target.endsWith(suffix) ? target.slice(0, -suffix.length) : null;
}
