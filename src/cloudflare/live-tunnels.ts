import type { ApiResult } from './api-failure.ts';
import { type SeenTunnel, tunnelOf } from './api-objects.ts';
import type { ApiClient } from './client.ts';

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

/** With all its connections a tunnel may take 25 kB of an answer. */
const tunnelsPerPage = 100;
