import { cutsUuid, readingsOf } from '../domain/host.ts';
import { tokenClaims } from '../domain/tunnel-token.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import { ApiClient, misshapen } from './client.ts';
import { CredentialStore } from './credentials.ts';
import { listLiveTunnels } from './live-tunnels.ts';

export interface TunnelWish {
  readonly certPath: string;
  /** Name or id; null: the one tunnel of a controller that is for `host`. */
  readonly tunnel: string | null;
  readonly host: string;
  /** Null is Cloudflare's. */
  readonly apiUrl: string | null;
  readonly clock: Clock;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The connector token of a tunnel, with nothing but the account's certificate. A secret. Creates nothing. */
export async function findTunnelToken(wish: TunnelWish, signal: AbortSignal): Promise<Result<string>> {
  const { certPath, apiUrl, clock } = wish;
  const store = new CredentialStore({ source: { from: 'origincert', path: certPath }, clock });
  const hooks = { called: () => {} };
  const api = new ApiClient({
    credentials: () => store.current(),
    apiUrl,
    clock,
    random: Math.random,
    hooks,
  });
  try {
    await store.start();
    const credentials = store.required();
    if (!credentials.ok) return credentials;
    const { accountId } = credentials.value;
    const id = await findId(api, accountId, wish, signal);
    if (!id.ok) return id;
    const answer = await api.call<unknown>(
      {
        op: 'tunnels.token',
        priority: 'create',
        repeatable: true,
        send: (sdk, options) =>
          sdk.zeroTrust.tunnels.cloudflared.token.get(id.value, { account_id: accountId }, options),
      },
      signal,
    );
    if (!answer.ok) return answer;
    const token = answer.value;
    return typeof token === 'string' && tokenClaims(token)?.tunnelId === id.value
      ? ok(token)
      : misshapen('tunnels.token', 'token of that tunnel');
  } finally {
    api.close();
    store.close();
  }
}

async function findId(
  api: ApiClient,
  accountId: string,
  { tunnel, host }: TunnelWish,
  signal: AbortSignal,
): Promise<Result<string>> {
  if (tunnel !== null && uuid.test(tunnel)) return ok(tunnel.toLowerCase());
  const live = await listLiveTunnels(api, accountId, signal);
  if (!live.ok) return live;
  const found = live.value.filter(({ name }) =>
    tunnel === null ? hostsOf(name).includes(host) : name === tunnel,
  );
  const [first, ...others] = found;
  if (first === undefined) {
    const what = tunnel === null ? `tunnel for ${host}` : `tunnel named ${JSON.stringify(tunnel)}`;
    return failed(
      'cloudflare-refused',
      `the account has no ${what}: expected one that a controller has made`,
    );
  }
  // A connector of the wrong tunnel would answer its share of another host's requests with 404.
  if (others.length > 0 || (tunnel === null && hostsOf(first.name).length > 1)) {
    const names = found.map(({ name }) => name).join(', ');
    return failed(
      'config-invalid',
      `it is not clear which tunnel is for ${host} (${names}): expected --tunnel with the one that is`,
    );
  }
  return ok(first.id);
}

/**
 * The hosts that a tunnel of this name may be for. A namespace's UID is an identity as it is, or with a class behind its
 * dot, and neither the beginning of one nor cut.
 */
function hostsOf(name: string): readonly string[] {
  const readings = readingsOf(name);
  const longest = readings.at(-1)?.identity ?? '';
  const ofUid = readings.find(({ identity }) => uuid.test(identity));
  const possible =
    ofUid === undefined ? readings.filter(({ identity }) => !cutsUuid(identity, longest)) : [ofUid];
  return possible.map(({ host }) => host);
}
