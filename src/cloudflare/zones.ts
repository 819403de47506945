import { failed, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import { type ApiResult, failureOf } from './api-failure.ts';
import { type SeenZone, zoneOf } from './api-objects.ts';
import type { ApiClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { SharedReading } from './shared-reading.ts';

/**
 * The zones that the credentials can see, read once for all hosts and kept for `lifetimeMs`. A zone that
 * is not among them makes it look again, at most every `missLifetimeMs`, so that one added later is found.
 */
export class ZoneDirectory {
  readonly #reading: SharedReading<readonly SeenZone[]>;

  constructor(api: ApiClient, clock: Clock) {
    this.#reading = new SharedReading('zones.list', clock, (credentials, signal) =>
      readZones(api, credentials, signal),
    );
  }

  /** The zone of a host: the longest that the host ends with, by whole labels. */
  async zoneFor(credentials: Credentials, host: string, signal: AbortSignal): Promise<Result<SeenZone>> {
    const zones = await this.#with((seen) => longestZone(host, seen) !== null, credentials, signal);
    if (!zones.ok) return zones;
    const found = longestZone(host, zones.value);
    return found === null ? zoneUnknown(host, zones.value) : ok(found);
  }

  /** Every zone of the account that the credentials can see. */
  all(credentials: Credentials, signal: AbortSignal): Promise<Result<readonly SeenZone[]>> {
    return this.#reading.get(credentials, lifetimeMs, signal);
  }

  /** The zone of that id; null when the credentials cannot see it. */
  async zoneById(
    credentials: Credentials,
    id: string,
    signal: AbortSignal,
  ): Promise<Result<SeenZone | null>> {
    const byId = (zones: readonly SeenZone[]) => zones.find((zone) => zone.id === id) ?? null;
    const zones = await this.#with((seen) => byId(seen) !== null, credentials, signal);
    return zones.ok ? ok(byId(zones.value)) : zones;
  }

  /** What is known, read anew if the one that is looked for is not in it. */
  async #with(
    hasIt: (zones: readonly SeenZone[]) => boolean,
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<Result<readonly SeenZone[]>> {
    const known = await this.#reading.get(credentials, lifetimeMs, signal);
    return known.ok && !hasIt(known.value) ? this.#reading.get(credentials, missLifetimeMs, signal) : known;
  }

  /** Ends a reading that is under way. Idempotent. */
  close(): void {
    this.#reading.close();
  }
}

/** Pure. `*.example.com` lives in the zone of `example.com`. */
export function longestZone(host: string, zones: readonly SeenZone[]): SeenZone | null {
  const name = host.startsWith('*.') ? host.slice(2) : host;
  const covering = zones.filter((zone) => name === zone.name || name.endsWith(`.${zone.name}`));
  return covering.reduce<SeenZone | null>(
    (longest, zone) => (longest === null || zone.name.length > longest.name.length ? zone : longest),
    null,
  );
}

/**
 * Before all that waits: a removal may need it, and among a thousand creations it would come minutes later.
 *
 * A `cert.pem`'s token may be unable to list zones (refused, or an empty list). Then its own zone is asked for
 * by id; if that is refused too nobody can tell which hosts the zone covers.
 */
async function readZones(
  api: ApiClient,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<ApiResult<SeenZone[]>> {
  const listed = await api.list(
    {
      op: 'zones.list',
      priority: 'close',
      perPage: 50,
      send: (sdk, paging, options) =>
        sdk.zones.list({ account: { id: credentials.accountId }, ...paging }, options),
      parse: zoneOf,
    },
    signal,
  );
  // A tunnel serves only zones of its own account.
  const isOurs = (zone: SeenZone): boolean =>
    zone.accountId === '' || zone.accountId === credentials.accountId;
  if (listed.ok && listed.value.length > 0) return { ok: true, value: listed.value.filter(isOurs) };
  if (!listed.ok && listed.fault.code !== 'credentials-invalid') return listed;
  const { zoneId } = credentials;
  if (zoneId === null) return listed;
  const own = await api.call<unknown>(
    {
      op: 'zones.get',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) => sdk.zones.get({ zone_id: zoneId }, options),
    },
    signal,
  );
  if (!own.ok) return own;
  const zone = zoneOf(own.value);
  if (zone !== null) return { ok: true, value: [zone] };
  return failureOf({ code: 'cloudflare-refused', message: "Cloudflare's answer to zones.get holds no zone" });
}

/** What is told where no zone covers a host. */
export function zoneUnknown(host: string, zones: readonly SeenZone[]): Result<never> {
  return failed('zone-unknown', unknownText(host, zones));
}

function unknownText(host: string, zones: readonly SeenZone[]): string {
  if (zones.length === 0) {
    return `there is no zone for ${host}: the credentials see none at all; add the zone or give the token Zone / Zone / Read`;
  }
  const names = zones.map((zone) => zone.name).sort();
  const shown = names.slice(0, maxZonesNamed).join(', ');
  const rest = names.length > maxZonesNamed ? ` and ${names.length - maxZonesNamed} more` : '';
  return `there is no zone for ${host}; the credentials see ${shown}${rest}`;
}

const lifetimeMs = 10 * 60_000;
const missLifetimeMs = 30_000;
/** In a message; an account may have thousands. */
const maxZonesNamed = 10;
