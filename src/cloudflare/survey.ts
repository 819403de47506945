import { ok, type Result } from '../fault.ts';
import { recordOf, type SeenRecord, type SeenTunnel, type SeenZone } from './api-objects.ts';
import type { ApiClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { listLiveTunnels } from './live-tunnels.ts';
import type { ZoneDirectory } from './zones.ts';

/** The account as its lists show it at one time: all that `plan` and `cleanup` look at. */
export interface Survey {
  readonly accountId: string;
  /** Every tunnel that is not deleted, whosever it is. */
  readonly tunnels: readonly SeenTunnel[];
  readonly zones: readonly SurveyedZone[];
}

export interface SurveyedZone {
  readonly zone: SeenZone;
  /** All of them; a fault where the credentials may not read them. Only of the zones that were asked for. */
  readonly records: Result<readonly SeenRecord[]>;
}

/**
 * Lists all zones, the records of those that `isOfInterest`, and all tunnels. A hundred tunnels, fifty zones
 * and a thousand records are a call each.
 */
export async function takeSurvey(
  api: ApiClient,
  directory: ZoneDirectory,
  credentials: Credentials,
  isOfInterest: (zone: SeenZone, all: readonly SeenZone[]) => boolean,
  signal: AbortSignal,
): Promise<Result<Survey>> {
  const { accountId } = credentials;
  const seen = await directory.all(credentials, signal);
  if (!seen.ok) return seen;
  const zones: SurveyedZone[] = [];
  for (const zone of seen.value) {
    const records = isOfInterest(zone, seen.value) ? await allRecords(api, zone, signal) : ok([]);
    // What is not allowed concerns this zone alone; what is not answered is no survey at all.
    if (!records.ok && records.fault.code !== 'credentials-invalid') return records;
    zones.push({ zone, records });
  }
  // The last of all, so that whatever a record leads to is here if it is there: a target that is not is taken for gone.
  const tunnels = await listLiveTunnels(api, accountId, signal);
  if (!tunnels.ok) return tunnels;
  return ok({ accountId, tunnels: tunnels.value, zones });
}

function allRecords(
  api: ApiClient,
  zone: SeenZone,
  signal: AbortSignal,
): Promise<Result<readonly SeenRecord[]>> {
  return api.list(
    {
      op: 'dns.list',
      priority: 'tend',
      perPage: recordsPerPage,
      send: (sdk, paging, options) => sdk.dns.records.list({ zone_id: zone.id, ...paging }, options),
      parse: recordOf,
    },
    signal,
  );
}

/** Cloudflare gives up to 5,000; a page of so many has about 600 kB. */
const recordsPerPage = 1_000;
