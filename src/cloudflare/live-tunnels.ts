import type { TunnelIdentity } from '../domain/ledger.ts';
import { ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import type { ApiResult } from './api-failure.ts';
import { type SeenTunnel, tunnelOf } from './api-objects.ts';
import { type ApiClient, misshapen } from './client.ts';
import type { Credentials } from './credentials.ts';
import { SharedReading } from './shared-reading.ts';

/**
 * Which of the account's tunnels exist. "Yes" comes from a list that all hosts share and may be a minute late;
 * "no" is always asked anew of the tunnel itself, because who hears it makes a new one.
 */
export class LiveTunnels {
  readonly #api: ApiClient;
  readonly #reading: SharedReading<ReadonlySet<string>>;

  constructor(api: ApiClient, clock: Clock) {
    this.#api = api;
    this.#reading = new SharedReading('tunnels.list', clock, async ({ accountId }, signal) => {
      const live = await listLiveTunnels(api, accountId, signal);
      return live.ok ? { ok: true, value: new Set(live.value.map(({ id }) => id)) } : live;
    });
  }

  async has(
    credentials: Credentials,
    tunnel: Pick<TunnelIdentity, 'accountId' | 'id'>,
    signal: AbortSignal,
  ): Promise<Result<boolean>> {
    // A ledger may be older than the credentials and know of another account.
    if (tunnel.accountId === credentials.accountId) {
      const live = await this.#reading.get(credentials, lifetimeMs, signal);
      if (!live.ok) return live;
      if (live.value.has(tunnel.id)) return ok(true);
    }
    const seen = await this.#api.call<unknown>(
      {
        op: 'tunnels.get',
        priority: 'tend',
        repeatable: true,
        send: (sdk, options) =>
          sdk.zeroTrust.tunnels.cloudflared.get(tunnel.id, { account_id: tunnel.accountId }, options),
      },
      signal,
    );
    if (!seen.ok) return seen.status === 404 ? ok(false) : seen;
    const found = tunnelOf(seen.value);
    return found?.id === tunnel.id ? ok(!found.deleted) : misshapen('tunnels.get', 'tunnel of that id');
  }

  /** Ends a reading that is under way. Idempotent. */
  close(): void {
    this.#reading.close();
  }
}

/** All tunnels of the account, whosever they are. */
export async function listLiveTunnels(
  api: ApiClient,
  accountId: string,
  signal: AbortSignal,
): Promise<ApiResult<SeenTunnel[]>> {
  const listed = await api.list(
    {
      op: 'tunnels.list',
      priority: 'tend',
      perPage: tunnelsPerPage,
      send: (sdk, paging, options) =>
        sdk.zeroTrust.tunnels.cloudflared.list(
          { account_id: accountId, is_deleted: false, ...paging },
          options,
        ),
      parse: tunnelOf,
    },
    signal,
  );
  return listed.ok ? { ok: true, value: listed.value.filter(({ deleted }) => !deleted) } : listed;
}

const lifetimeMs = 60_000;
/** With all its connections a tunnel may take 25 kB of an answer. */
const tunnelsPerPage = 100;
