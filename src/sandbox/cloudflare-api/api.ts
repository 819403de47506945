import { type Answer, type ApiRequest, noRoute, page, refusal, success, unroutable } from './envelope.ts';
import { answerRecords, answerTunnelRoute, type RecordLimits } from './record-routes.ts';
import { answerTunnels, type TunnelLimits } from './tunnel-routes.ts';
import type { TunnelStore } from './tunnel-store.ts';
import type { Zone, ZoneStore } from './zone-store.ts';

/** What the imitation holds; one account, as one `cert.pem` names one. */
export interface ApiWorld {
  readonly account: { readonly id: string; readonly name: string };
  readonly tunnels: TunnelStore;
  readonly zones: ZoneStore;
  readonly limits: TunnelLimits & RecordLimits;
}

/** What one API token may do; the account's own permissions are not imitated further than this. */
export interface TokenGrants {
  readonly tunnels: boolean;
  readonly dns: boolean;
  /** Zone:Read. Without it the list of zones is empty and a single zone is refused. */
  readonly zones: boolean;
}

/** One call of a known token. Knows nothing of sockets, limits and faults. */
export function answer(world: ApiWorld, grants: TokenGrants, request: ApiRequest): Answer {
  const [area, id, ...rest] = request.path;
  switch (area) {
    case 'user':
      return id === 'tokens' && rest[0] === 'verify' ? verified : noRoute(request);
    case 'accounts':
      return id === undefined
        ? listAccounts(world, request)
        : answerAccount(world, grants, id, rest, request);
    case 'zones':
      if (id === undefined) return listZones(world, grants, request);
      return answerZone(world, grants, id, rest, request);
    default:
      return noRoute(request);
  }
}

function answerAccount(
  world: ApiWorld,
  grants: TokenGrants,
  accountId: string,
  rest: readonly string[],
  request: ApiRequest,
): Answer {
  const [area, ...inside] = rest;
  if (accountId !== world.account.id) return authenticationError;
  if (area === 'tokens' && inside[0] === 'verify') return verified;
  if (area !== 'cfd_tunnel') return noRoute(request);
  if (!grants.tunnels) return authenticationError;
  return answerTunnels(world.tunnels, world.limits, accountId, inside, request);
}

function answerZone(
  world: ApiWorld,
  grants: TokenGrants,
  zoneId: string,
  rest: readonly string[],
  request: ApiRequest,
): Answer {
  const zone = world.zones.zone(zoneId);
  if (zone === undefined) return unroutable(request);
  const [area, id, part] = rest;
  if (area === undefined && request.method === 'GET') {
    return grants.zones ? success(zoneBody(world, zone)) : authenticationError;
  }
  if (!grants.dns) return authenticationError;
  if (area === 'dns_records') return answerRecords(world.zones, world.limits, zone, id, request);
  if (area === 'tunnels' && id !== undefined && part === 'routes') {
    const tunnel = world.tunnels.get(zone.accountId, id);
    if (tunnel === undefined || tunnel.deletedAtMs !== null) return refusal(404, 1003, 'Tunnel not found');
    return answerTunnelRoute(world.zones, zone, tunnel.id, request);
  }
  return noRoute(request);
}

function listZones(world: ApiWorld, grants: TokenGrants, request: ApiRequest): Answer {
  if (request.method !== 'GET') return noRoute(request);
  const { query } = request;
  const zones = world.zones.zones.filter(
    (zone) =>
      grants.zones &&
      (!query.has('name') || zone.name === query.get('name')?.toLowerCase()) &&
      (!query.has('account.id') || zone.accountId === query.get('account.id')) &&
      (!query.has('status') || query.get('status') === 'active'),
  );
  return page(
    zones.map((zone) => zoneBody(world, zone)),
    query,
    { perPage: 20, maxPerPage: 50 },
  );
}

function listAccounts(world: ApiWorld, request: ApiRequest): Answer {
  if (request.method !== 'GET') return noRoute(request);
  return page([world.account], request.query, { perPage: 20, maxPerPage: 50 });
}

function zoneBody(world: ApiWorld, zone: Zone): object {
  return {
    id: zone.id,
    name: zone.name,
    status: 'active',
    type: 'full',
    paused: false,
    account: world.account,
    name_servers: ['ada.ns.cloudflare.com', 'bob.ns.cloudflare.com'],
    created_on: new Date(zone.createdAtMs).toISOString(),
  };
}

const verified = success({ id: 'ed17574386854bf78a67040be0a770b0', status: 'active' });

/** The answer to a token that is unknown or may not do this. The real API sends 401 or 403 with this code. */
export const authenticationError = refusal(403, 10000, 'Authentication error');
