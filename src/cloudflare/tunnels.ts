import { randomBytes } from 'node:crypto';
import type { TunnelRemoval, TunnelRequest } from '../actors/ports.ts';
import type { TunnelIdentity } from '../domain/ledger.ts';
import { tokenClaims } from '../domain/tunnel-token.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { ApiFailure, ApiResult } from './api-failure.ts';
import { type SeenTunnel, tunnelOf } from './api-objects.ts';
import { type ApiClient, misshapen, type Priority } from './client.ts';
import type { Credentials } from './credentials.ts';

/**
 * Creates the tunnel, or finds the one of exactly that name when there is one. One call for a new tunnel, three
 * for a found one. A lost answer to the creation is mended by the next attempt, which meets the name and finds
 * it. A deleted tunnel's name is free again.
 */
export async function ensureTunnel(
  api: ApiClient,
  credentials: Credentials,
  request: TunnelRequest,
  signal: AbortSignal,
): Promise<Result<EnsuredTunnel>> {
  const { accountId } = credentials;
  const created = await createTunnel(api, accountId, request.name, signal);
  if (created.ok) {
    const tunnel = tunnelOf(created.value);
    if (tunnel === null) return misshapen('tunnels.create', 'tunnel');
    const identity = await identify(api, accountId, tunnel, signal);
    return identity.ok ? ok({ tunnel: identity.value, isNew: true }) : identity;
  }
  if (!mayExist(created)) return created;
  const found = await findTunnel(api, accountId, request.name, 'create', signal);
  if (!found.ok) return found;
  if (found.value === null) return created;
  const identity = await identify(api, accountId, found.value, signal);
  return identity.ok ? ok({ tunnel: identity.value, isNew: false }) : identity;
}

export interface EnsuredTunnel {
  readonly tunnel: TunnelIdentity;
  /** Created by this call. */
  readonly isNew: boolean;
}

/**
 * Whether a refused creation may mean that the tunnel is there. Nothing says what Cloudflare looks at first
 * when an account is full, so its limit may hide a taken name.
 */
function mayExist({ status, codes, fault }: ApiFailure): boolean {
  return status === 409 || codes.includes(nameTakenCode) || fault.code === 'quota-exceeded';
}

/** The tunnel is the ledger's, or the one of exactly that name. */
export async function removeTunnel(
  api: ApiClient,
  credentials: Credentials,
  removal: TunnelRemoval,
  signal: AbortSignal,
): Promise<Result<void>> {
  const deleteIt = removal.force ? deleteByForce : deleteUnused;
  if (removal.tunnel !== null) return deleteIt(api, removal.tunnel, signal);
  const found = await findTunnel(api, credentials.accountId, removal.name, 'close', signal);
  if (!found.ok) return found;
  if (found.value === null) return ok(undefined);
  return deleteIt(api, { accountId: credentials.accountId, id: found.value.id }, signal);
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

/**
 * One call as a rule. Cloudflare refuses what somebody is connected to; what else it might refuse is not documented, so
 * whatever it is and the tunnel still there, it counts as used: the removal by force comes later.
 */
async function deleteUnused(api: ApiClient, tunnel: TunnelId, signal: AbortSignal): Promise<Result<void>> {
  const deletion = await sendDeletion(api, tunnel, {}, signal);
  if (deletion.ok || deletion.status === 404) return ok(undefined);
  if (deletion.fault.code !== 'cloudflare-refused') return deletion;
  if (!deletion.codes.includes(inUseCode) && (await isGone(api, tunnel, signal))) return ok(undefined);
  return failed('tunnel-in-use', deletion.fault.message);
}

/** One call as a rule: the deletion takes the connections along, as that of `cloudflared tunnel delete --force`. */
async function deleteByForce(api: ApiClient, tunnel: TunnelId, signal: AbortSignal): Promise<Result<void>> {
  const deletion = await sendDeletion(api, tunnel, { cascade: true }, signal);
  if (deletion.ok || deletion.status === 404) return ok(undefined);
  if (deletion.fault.code !== 'cloudflare-refused') return deletion;
  if (await isGone(api, tunnel, signal)) return ok(undefined);
  const cleanup = await api.call<unknown>(
    {
      op: 'tunnels.cleanup',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.connections.delete(tunnel.id, accountOf(tunnel), options),
    },
    signal,
  );
  if (!cleanup.ok) return cleanup.status === 404 ? ok(undefined) : cleanup;
  const again = await sendDeletion(api, tunnel, { cascade: true }, signal);
  return again.ok || again.status === 404 ? ok(undefined) : again;
}

/** How Cloudflare refuses a tunnel that is deleted already is not documented either, so look whether it is. */
async function isGone(api: ApiClient, tunnel: TunnelId, signal: AbortSignal): Promise<boolean> {
  const seen = await api.call<unknown>(
    {
      op: 'tunnels.get',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) => sdk.zeroTrust.tunnels.cloudflared.get(tunnel.id, accountOf(tunnel), options),
    },
    signal,
  );
  return seen.ok ? tunnelOf(seen.value)?.deleted === true : seen.status === 404;
}

function sendDeletion(
  api: ApiClient,
  tunnel: TunnelId,
  query: { readonly cascade?: true },
  signal: AbortSignal,
): Promise<ApiResult<unknown>> {
  return api.call<unknown>(
    {
      op: 'tunnels.delete',
      priority: 'close',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.delete(tunnel.id, accountOf(tunnel), {
          ...options,
          query,
        }),
    },
    signal,
  );
}

type TunnelId = Pick<TunnelIdentity, 'accountId' | 'id'>;

function accountOf(tunnel: TunnelId): { account_id: string } {
  return { account_id: tunnel.accountId };
}

/** "You already have a tunnel with this name"; seen with HTTP 409 and, in older reports, 400. */
const nameTakenCode = 1013;
/** "Cannot delete tunnel because it has active connections". */
const inUseCode = 1022;
/** What cloudflared generates (protocol page, section 1.2). */
const secretBytes = 32;
