import { type Answer, type ApiRequest, noRoute, objectOf, page, refusal, success } from './envelope.ts';
import type { StoredTunnel, TunnelConnection, TunnelStore } from './tunnel-store.ts';

export interface TunnelLimits {
  /** Tunnels an account. */
  readonly maxTunnels: number;
}

/** `/accounts/{account}/cfd_tunnel…`; `rest` is what follows `cfd_tunnel`. */
export function answerTunnels(
  store: TunnelStore,
  limits: TunnelLimits,
  accountId: string,
  rest: readonly string[],
  request: ApiRequest,
): Answer {
  const [id, part, extra] = rest;
  if (id === undefined) {
    if (request.method === 'GET') return list(store, accountId, request.query);
    if (request.method === 'POST') return create(store, limits, accountId, request.body);
    return noRoute(request);
  }
  const tunnel = store.get(accountId, id);
  if (tunnel === undefined) return refusal(404, 1003, 'Tunnel not found');
  switch (`${request.method} ${part ?? ''}`) {
    case 'GET ':
      return success(tunnelBody(tunnel));
    case 'PATCH ':
      return edit(store, tunnel, request.body);
    case 'DELETE ':
      return remove(store, tunnel, request.query.get('cascade') === 'true');
    case 'GET token':
      return tunnel.deletedAtMs === null
        ? success(connectorToken(tunnel))
        : refusal(404, 1003, 'Tunnel not found');
    case 'GET connections':
      return success(connectors(tunnel));
    case 'DELETE connections':
      store.cleanup(tunnel, request.query.get('client_id'));
      return success({});
    case 'POST management':
      return extra === undefined ? noRoute(request) : success('sandbox.management.token');
    default:
      return noRoute(request);
  }
}

function create(store: TunnelStore, limits: TunnelLimits, accountId: string, body: unknown): Answer {
  const request = objectOf(body);
  const name = request?.name;
  if (typeof name !== 'string' || name.trim() === '') return refusal(400, 1001, 'Tunnel name is required');
  if (uuid.test(name)) return refusal(400, 1001, 'Tunnel name must not be a UUID');
  if (store.live(accountId).some((tunnel) => tunnel.name === name)) return nameTaken;
  // The real code of this refusal is not documented; the text is what a client can go by.
  if (store.live(accountId).length >= limits.maxTunnels) {
    return refusal(403, 1044, 'You have reached the maximum number of tunnels for this account');
  }
  const secret = secretOf(request?.tunnel_secret);
  if (secret === 'bad') return badSecret;
  const configSrc = request?.config_src ?? 'local';
  if (configSrc !== 'local' && configSrc !== 'cloudflare') return refusal(400, 1001, 'Invalid config_src');
  const tunnel = store.create({ accountId, name, secret, configSrc });
  return success({
    ...tunnelBody(tunnel),
    credentials_file: {
      AccountTag: accountId,
      TunnelID: tunnel.id,
      TunnelName: name,
      TunnelSecret: tunnel.secret.toString('base64'),
    },
    token: connectorToken(tunnel),
  });
}

function edit(store: TunnelStore, tunnel: StoredTunnel, body: unknown): Answer {
  const request = objectOf(body);
  const name = request?.name ?? tunnel.name;
  if (typeof name !== 'string' || name === '') return refusal(400, 1001, 'Tunnel name is required');
  const twin = store.live(tunnel.accountId).find((other) => other.name === name && other !== tunnel);
  if (twin !== undefined) return nameTaken;
  const secret = secretOf(request?.tunnel_secret);
  if (secret === 'bad') return badSecret;
  tunnel.name = name;
  if (secret !== null) tunnel.secret = secret;
  return success(tunnelBody(tunnel));
}

function remove(store: TunnelStore, tunnel: StoredTunnel, cascade: boolean): Answer {
  if (tunnel.deletedAtMs !== null) return refusal(404, 1003, 'Tunnel not found');
  if (tunnel.connections.size > 0 && !cascade) {
    return refusal(400, 1022, 'Cannot delete tunnel because it has active connections');
  }
  store.delete(tunnel);
  return success(tunnelBody(tunnel));
}

function list(store: TunnelStore, accountId: string, query: URLSearchParams): Answer {
  const prefix = query.get('include_prefix') ?? query.get('name_prefix');
  const existedAtMs = Date.parse(query.get('existed_at') ?? '');
  const wanted = (tunnel: StoredTunnel): boolean => {
    const deleted = tunnel.deletedAtMs !== null;
    if (query.has('is_deleted') && deleted !== (query.get('is_deleted') === 'true')) return false;
    if (query.has('name') && tunnel.name !== query.get('name')) return false;
    if (query.has('uuid') && tunnel.id !== query.get('uuid')) return false;
    if (prefix !== null && !tunnel.name.startsWith(prefix)) return false;
    if (query.has('exclude_prefix') && tunnel.name.startsWith(query.get('exclude_prefix') ?? ''))
      return false;
    if (query.has('status') && statusOf(tunnel) !== query.get('status')) return false;
    if (Number.isNaN(existedAtMs)) return true;
    return tunnel.createdAtMs <= existedAtMs && (tunnel.deletedAtMs ?? Infinity) > existedAtMs;
  };
  const tunnels = store.list(accountId).filter(wanted).map(tunnelBody);
  return page(tunnels, query, { perPage: 100, maxPerPage: 1000 });
}

/** Protocol page, section 1.3. */
function connectorToken(tunnel: StoredTunnel): string {
  const content = { a: tunnel.accountId, t: tunnel.id, s: tunnel.secret.toString('base64') };
  return Buffer.from(JSON.stringify(content)).toString('base64');
}

function tunnelBody(tunnel: StoredTunnel): object {
  const opened = [...tunnel.connections.values()].map((connection) => connection.openedAtMs);
  return {
    id: tunnel.id,
    account_tag: tunnel.accountId,
    name: tunnel.name,
    config_src: tunnel.configSrc,
    remote_config: tunnel.configSrc === 'cloudflare',
    tun_type: 'cfd_tunnel',
    status: statusOf(tunnel),
    created_at: timestamp(tunnel.createdAtMs),
    deleted_at: tunnel.deletedAtMs === null ? null : timestamp(tunnel.deletedAtMs),
    conns_active_at: opened.length > 0 ? timestamp(Math.min(...opened)) : null,
    conns_inactive_at: null,
    connections: [...tunnel.connections.values()].map(connectionBody),
    metadata: {},
  };
}

function statusOf(tunnel: StoredTunnel): string {
  return tunnel.connections.size > 0 ? 'healthy' : 'inactive';
}

function connectors(tunnel: StoredTunnel): object[] {
  const byClient = Map.groupBy(tunnel.connections.values(), (connection) => connection.clientId);
  return [...byClient].map(([id, connections]) => ({
    id,
    arch: connections[0]!.arch,
    version: connections[0]!.version,
    features: connections[0]!.features,
    run_at: timestamp(Math.min(...connections.map((connection) => connection.openedAtMs))),
    config_version: -1,
    conns: connections.map(connectionBody),
  }));
}

function connectionBody(connection: TunnelConnection): object {
  return {
    id: connection.id,
    uuid: connection.id,
    client_id: connection.clientId,
    client_version: connection.version,
    colo_name: connection.coloName,
    is_pending_reconnect: false,
    opened_at: timestamp(connection.openedAtMs),
    origin_ip: connection.originIp,
  };
}

/** Null: none was given. At least 32 bytes in base64 (API documentation, `tunnel_secret`). */
function secretOf(value: unknown): Buffer | null | 'bad' {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') return 'bad';
  const secret = Buffer.from(value, 'base64');
  return secret.length >= 32 ? secret : 'bad';
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

const nameTaken = refusal(
  409,
  1013,
  'You already have a tunnel with this name. Delete the existing tunnel, or choose a different name for your new tunnel',
);
const badSecret = refusal(400, 1001, 'Invalid tunnel secret: it must be at least 32 bytes, base64 encoded');
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
