import type { Cloudflare } from '../actors/ports.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import { type ApiResult, failureOf } from './api-failure.ts';
import { type Area, Availability } from './availability.ts';
import { shareOfBudget } from './budget.ts';
import { type ApiCall, ApiClient, type CallHooks } from './client.ts';
import type { Credentials } from './credentials.ts';
import { ensureDns, removeDns } from './dns.ts';
import { MarkedHosts } from './marked-hosts.ts';
import { TunnelQuota, type TunnelQuotaOptions } from './tunnel-quota.ts';
import { ensureTunnel, removeTunnel } from './tunnels.ts';
import { ZoneDirectory } from './zones.ts';

export interface CloudflareAdapterOptions {
  /** The credentials mounted now (`CredentialStore.current`). */
  readonly credentials: () => Result<Credentials>;
  /** API base (`--api-url`); null is Cloudflare's. */
  readonly apiUrl: string | null;
  readonly clock: Clock;
  /** In [0, 1); for jitter. */
  readonly random?: () => number;
  /** How many processes use these credentials; each keeps to its share of the calls. One, if left out. */
  readonly processes?: number;
  readonly hooks?: AdapterHooks;
  /** Cloudflare's API was away and is back: what failed meanwhile may go on, at the pace of the budget. */
  readonly returned?: () => void;
  /** Hears when the account nears its limit of tunnels. */
  readonly log?: TunnelQuotaOptions['log'];
}

/** Every method is cheap and never throws. */
export interface AdapterHooks extends CallHooks {
  /** Tunnels of the account, whosever they are. */
  tunnelsCounted(tunnels: number): void;
}

export interface CredentialsView {
  readonly accountId: string;
  /** Names, in no order. */
  readonly zones: readonly string[];
  readonly tunnels: number;
}

/** The port `Cloudflare` over Cloudflare's API. One for the whole process, because it holds the call budget. */
export interface CloudflareAdapter extends Cloudflare {
  /** What the credentials can see: a zone at least, and the account's tunnels. Two calls. */
  check(signal: AbortSignal): Promise<Result<CredentialsView>>;
  /** Calls that may be made now. */
  readonly budgetRemaining: number;
  /** Counts the account's tunnels, now and once an hour, until `stopCounting`. */
  startCounting(): void;
  stopCounting(): void;
  /** Gives up what waits; idempotent. */
  close(): void;
}

export function createCloudflare(options: CloudflareAdapterOptions): CloudflareAdapter {
  const hooks = options.hooks ?? { called: () => {}, tunnelsCounted: () => {} };
  const { credentials, apiUrl, clock, random = Math.random, processes = 1, returned = () => {} } = options;
  const log = options.log ?? { info: () => {}, warn: () => {}, error: () => {} };
  const budget = shareOfBudget(clock.monotonic(), processes);
  const probe = async (area: Area, signal: AbortSignal): Promise<ApiResult<unknown>> => {
    const own = credentials();
    return own.ok ? api.call(probeOf(area, own.value.accountId), signal) : failureOf(own.fault);
  };
  const availability = new Availability({ clock, random, log, processes, probe, returned });
  const api = new ApiClient({ credentials, apiUrl, clock, random, hooks, budget, availability });
  const quota = new TunnelQuota({
    api,
    credentials,
    clock,
    log,
    counted: (tunnels) => hooks.tunnelsCounted(tunnels),
  });
  const zones = new ZoneDirectory(api, clock);
  const marks = new MarkedHosts(api, clock);
  const using = async <T>(work: (credentials: Credentials) => Promise<Result<T>>): Promise<Result<T>> => {
    const own = credentials();
    return own.ok ? work(own.value) : own;
  };
  return {
    ensureTunnel: (request, signal) =>
      using(async (own) => {
        const ensured = await ensureTunnel(api, own, request, signal);
        if (!ensured.ok) return { ok: false, fault: await quota.explain(ensured.fault) };
        if (ensured.value.isNew) quota.created();
        return ok(ensured.value.tunnel);
      }),
    removeTunnel: (removal, signal) =>
      using(async (own) => {
        const removed = await removeTunnel(api, own, removal, signal);
        if (removed.ok) quota.removed();
        return removed;
      }),
    ensureDns: (request, signal) => using((own) => ensureDns(api, zones, marks, own, request, signal)),
    removeDns: (removal, signal) => using((own) => removeDns(api, zones, own, removal, signal)),
    check: (signal) =>
      using(async (own) => {
        const seen = await zones.all(own, signal);
        if (!seen.ok) return seen;
        if (seen.value.length === 0) return failed('credentials-invalid', noZones);
        const count = await quota.read();
        if (!count.ok) return count;
        const names = seen.value.map(({ name }) => name);
        return ok({ accountId: own.accountId, zones: names, tunnels: count.value });
      }),
    get budgetRemaining() {
      return api.budgetRemaining;
    },
    startCounting: () => quota.start(),
    stopCounting: () => quota.stop(),
    close: () => {
      quota.close();
      zones.close();
      marks.close();
      availability.close();
      api.close();
    },
  };
}

/** What is cheapest to ask of either; with a token that may not, the refusal is answer enough. */
function probeOf(area: Area, accountId: string): ApiCall<unknown> {
  const common = { priority: 'close', repeatable: false, isProbe: true } as const;
  switch (area) {
    case 'tunnels':
      return {
        ...common,
        op: 'tunnels.probe',
        send: (sdk, options) =>
          sdk.zeroTrust.tunnels.cloudflared.list(
            { account_id: accountId, is_deleted: false, page: 1, per_page: 1 },
            options,
          ),
      };
    case 'dns':
      return {
        ...common,
        op: 'zones.probe',
        send: (sdk, options) =>
          sdk.zones.list({ account: { id: accountId }, page: 1, per_page: fewestZones }, options),
      };
  }
}

/** Cloudflare gives no fewer. */
const fewestZones = 5;

const noZones =
  'the credentials see no zone of their account: expected an API token with Zone:Read and DNS:Edit for the zones of the hosts';
