import { randomBytes } from 'node:crypto';

/** Zones and their DNS records. In memory; bounded by the record quota of a zone. */
export class ZoneStore {
  readonly zones: Zone[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  addZone(accountId: string, name: string, id: string = identifier()): Zone {
    const zone: Zone = {
      id,
      name: name.toLowerCase(),
      accountId,
      createdAtMs: this.#now(),
      records: new Map(),
    };
    this.zones.push(zone);
    return zone;
  }

  zone(id: string): Zone | undefined {
    return this.zones.find((zone) => zone.id === id);
  }

  put(zone: Zone, content: RecordContent, replaces?: DnsRecord): DnsRecord {
    const now = this.#now();
    const record: DnsRecord = {
      ...content,
      id: replaces?.id ?? identifier(),
      createdAtMs: replaces?.createdAtMs ?? now,
      modifiedAtMs: now,
    };
    zone.records.set(record.id, record);
    return record;
  }

  /**
   * The tunnel that a public name leads to: a proxied CNAME to `<id>.cfargotunnel.com` at the name, else at the
   * closest wildcard above it.
   */
  tunnelForHost(host: string): string | null {
    const name = host.toLowerCase();
    const zone = this.zones.filter((candidate) => within(name, candidate.name)).sort(byLength)[0];
    if (zone === undefined) return null;
    const records = [...zone.records.values()];
    for (let at = name; within(at, zone.name); at = `*.${parentOf(at)}`) {
      const here = records.filter((record) => record.name === at && addressTypes.has(record.type));
      const target = here[0]?.content ?? '';
      if (here.length > 0)
        return here[0]?.proxied && target.endsWith(suffix) ? target.slice(0, -suffix.length) : null;
    }
    return null;
  }
}

export interface Zone {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  readonly createdAtMs: number;
  readonly records: Map<string, DnsRecord>;
}

export interface RecordContent {
  readonly type: string;
  /** Full name in lower case. */
  readonly name: string;
  readonly content: string;
  readonly proxied: boolean;
  readonly ttl: number;
  readonly comment: string | null;
  readonly tags: readonly string[];
  readonly priority?: number;
}

export interface DnsRecord extends RecordContent {
  readonly id: string;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
}

/** Types of which only one kind may stand at a name beside a CNAME. */
export const addressTypes: ReadonlySet<string> = new Set(['A', 'AAAA', 'CNAME']);

/** Is `name` the zone or below it? Whole labels only: `notexample.com` is not within `example.com`. */
export function within(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

function parentOf(name: string): string {
  const base = name.startsWith('*.') ? name.slice(2) : name;
  return base.slice(base.indexOf('.') + 1);
}

function byLength(one: Zone, other: Zone): number {
  return other.name.length - one.name.length;
}

/** 32 hexadecimal digits, as Cloudflare's ids are. */
function identifier(): string {
  return randomBytes(16).toString('hex');
}

const suffix = '.cfargotunnel.com';
