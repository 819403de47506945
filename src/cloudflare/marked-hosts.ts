import { ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import { recordOf, type SeenZone } from './api-objects.ts';
import type { ApiClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { markPrefix, parseMark } from './owner-mark.ts';
import { SharedReading } from './shared-reading.ts';

/**
 * Which hosts have an owner mark, whosever it is; read a zone at a time, so that a hundred new hosts cost one
 * look and not a hundred. It only says for which hosts a closer look is due: a host without a mark may have
 * got one since, and then its CNAME, made before the mark, stands in the way of ours.
 */
export class MarkedHosts {
  readonly #api: ApiClient;
  readonly #clock: Clock;
  /** By zone id: as many as the credentials can see. */
  readonly #readings = new Map<string, SharedReading<ReadonlySet<string>>>();

  constructor(api: ApiClient, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  async has(
    credentials: Credentials,
    zone: SeenZone,
    host: string,
    signal: AbortSignal,
  ): Promise<Result<boolean>> {
    const hosts = await this.#readingOf(zone.id).get(credentials, lifetimeMs, signal);
    return hosts.ok ? ok(hosts.value.has(host)) : hosts;
  }

  /** Ends the readings that are under way. Idempotent. */
  close(): void {
    for (const reading of this.#readings.values()) reading.close();
  }

  #readingOf(zoneId: string): SharedReading<ReadonlySet<string>> {
    const known = this.#readings.get(zoneId);
    if (known !== undefined) return known;
    const reading = new SharedReading('dns.list', this.#clock, async (_, signal) => {
      const hosts = await this.#api.list(
        {
          op: 'dns.list',
          priority: 'create',
          perPage: marksPerPage,
          send: (sdk, paging, options) =>
            sdk.dns.records.list(
              { zone_id: zoneId, type: 'TXT', name: { startswith: markPrefix }, ...paging },
              options,
            ),
          parse: markedHost,
        },
        signal,
      );
      return hosts.ok ? { ok: true, value: new Set(hosts.value) as ReadonlySet<string> } : hosts;
    });
    this.#readings.set(zoneId, reading);
    return reading;
  }
}

function markedHost(item: unknown): string | null {
  const record = recordOf(item);
  return record?.type === 'TXT' ? (parseMark(record.content)?.host ?? null) : null;
}

/** For a claim whose CNAME was deleted by hand, and our own rest of one: both are rare and may be a minute late. */
const lifetimeMs = 60_000;
/** Cloudflare gives up to 5,000; a page of so many marks has about 600 kB. */
const marksPerPage = 1_000;
