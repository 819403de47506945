import { randomBytes } from 'node:crypto';
import type { TunnelRemoval, TunnelRequest } from '../actors/ports.ts';
import type { TunnelIdentity } from '../domain/ledger.ts';
import { ok, type Result } from '../fault.ts';
import type { ApiResult } from './api-failure.ts';
import { type SeenTunnel, tokenClaims, tunnelOf } from './api-objects.ts';
import { type ApiClient, misshapen, type Priority } from './client.ts';
import type { Credentials } from './credentials.ts';

/**
 * Finds the tunnel of exactly that name or creates it. Two calls for a new tunnel, two for a found one. A lost
 * answer to the creation is mended by the next attempt, which finds the tunnel by its name.
 */
export async function ensureTunnel(
  api: ApiClient,
  credentials: Credentials,
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<Result<TunnelIdentity>> {
  const { accountId } = credentials;
  const found = await findTunnel(api, accountId, request.name, 'create', signal);
  if (!found.ok) return found;
  if (found.value !== null) return identify(api, accountId, found.value, signal);
  const created = await createTunnel(api, accountId, request.name, signal);
  if (created.ok) {
    const tunnel = tunnelOf(created.value);
    return tunnel === null ? misshapen('tunnels.create', 'tunnel') : identify(api, accountId, tunnel, signal);
  }
  if (created.status !== 409 && !created.codes.includes(nameTakenCode)) return created;
  // Somebody created it since we looked: most likely our own attempt whose answer was lost.
  const again = await findTunnel(api, accountId, request.name, 'create', signal);
  if (!again.ok) return again;
  return again.value === null ? created : identify(api, accountId, again.value, signal);
}

/** Closes its connections and deletes it. The tunnel is the ledger's, or the one of exactly that name. */
export async function removeTunnel(
  api: ApiClient,
  credentials: Credentials,
  removal: TunnelRemoval,
  signal: AbortSignal,
): Promise<Result<void>> {
  if (removal.tunnel !== null) return deleteTunnel(api, removal.tunnel, signal);
  const found = await findTunnel(api, credentials.accountId, removal.name, 'close', signal);
  if (!found.ok) return found;
  if (found.value === null) return ok(undefined);
  return deleteTunnel(api, { accountId: credentials.accountId, id: found.value.id }, signal);
}

async function findTunnel(
  api: ApiClient,
  accountId: string,
  name: string,
  priority: Priority,
  signal: AbortSignal,
): Promise<ApiResult<SeenTunnel | null>> {
  const tunnels = await api.list(
    {
      op: 'tunnels.list',
      priority,
      perPage: 100,
      send: (sdk, paging, options) =>
        sdk.zeroTrust.tunnels.cloudflared.list(
          { account_id: accountId, name, is_deleted: false, ...paging },
          options,
        ),
      parse: tunnelOf,
    },
    signal,
  );
  if (!tunnels.ok) return tunnels;
  // The filters are asked for, not trusted: a tunnel of another name is never ours.
  return { ok: true, value: tunnels.value.find((tunnel) => tunnel.name === name && !tunnel.deleted) ?? null };
}

function createTunnel(
  api: ApiClient,
  accountId: string,
  name: string,
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  const tunnelSecret = randomBytes(secretBytes).toString('base64');
  return api.call(
    {
      op: 'tunnels.create',
      priority: 'create',
      repeatable: false,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.create(
          { account_id: accountId, name, config_src: 'local', tunnel_secret: tunnelSecret },
          options,
        ),
    },
    signal,
  );
}

/** The tunnel with its connector token: the one in the answer to its creation, else asked for. */
async function identify(
  api: ApiClient,
  accountId: string,
  tunnel: SeenTunnel,
  signal: AbortSignal,
): Promise<Result<TunnelIdentity>> {
  const { id } = tunnel;
  if (tunnel.token !== null && tokenClaims(tunnel.token)?.tunnelId === id) {
    return ok({ accountId, id, token: tunnel.token });
  }
  const answer = await api.call<unknown>(
    {
      op: 'tunnels.token',
      priority: 'create',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.token.get(id, { account_id: accountId }, options),
    },
    signal,
  );
  if (!answer.ok) return answer;
  const token = answer.value;
  if (typeof token !== 'string' || tokenClaims(token)?.tunnelId !== id) {
    return misshapen('tunnels.token', 'token of that tunnel');
  }
  return ok({ accountId, id, token });
}

async function deleteTunnel(
  api: ApiClient,
  tunnel: Pick<TunnelIdentity, 'accountId' | 'id'>,
  signal: AbortSignal,
): Promise<Result<void>> {
  const account = { account_id: tunnel.accountId };
  const cleanup = await api.call<unknown>(
    {
      op: 'tunnels.cleanup',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.connections.delete(tunnel.id, account, options),
    },
    signal,
  );
  if (!cleanup.ok && cleanup.status === 404) return ok(undefined);
  // A refused cleanup does not matter: the deletion cascades. What stops it would stop the deletion too.
  if (!cleanup.ok && cleanup.fault.code !== 'cloudflare-refused') return cleanup;
  const deletion = await api.call<unknown>(
    {
      op: 'tunnels.delete',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.delete(tunnel.id, account, {
          ...options,
          query: { cascade: true },
        }),
    },
    signal,
  );
  if (deletion.ok || deletion.status === 404) return ok(undefined);
  if (deletion.fault.code !== 'cloudflare-refused') return deletion;
  // How Cloudflare refuses a tunnel that is deleted already is not documented, so look whether it is.
  const seen = await api.call<unknown>(
    {
      op: 'tunnels.get',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) => sdk.zeroTrust.tunnels.cloudflared.get(tunnel.id, account, options),
    },
    signal,
  );
  const gone = seen.ok ? tunnelOf(seen.value)?.deleted === true : seen.status === 404;
  return gone ? ok(undefined) : deletion;
}

/** "You already have a tunnel with this name"; seen with HTTP 409 and, in older reports, 400. */
const nameTakenCode = 1013;
/** What cloudflared generates (protocol page, section 1.2). */
const secretBytes = 32;
