import type { ActorLog } from '../actors/ports.ts';
import { maxTunnelsPerAccount, warnFromTunnels } from '../domain/quota.ts';
import { type Fault, fault, type Result } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { type ApiResult, failureOf } from './api-failure.ts';
import type { ApiClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { SharedReading } from './shared-reading.ts';

export interface TunnelQuotaOptions {
  readonly api: ApiClient;
  readonly credentials: () => Result<Credentials>;
  readonly clock: Clock;
  readonly log: Pick<ActorLog, 'info' | 'warn' | 'error'>;
  /** After every count; cheap, never throws. */
  readonly counted: (tunnels: number) => void;
}

/**
 * How many tunnels the account has, whosever they are. One call counts them: at the start and every hour, and when
 * a creation is refused. In between our own creations and removals are counted along, which is near enough. Said
 * once when the number comes near the limit, and once when it is reached. Its owner calls `close`.
 */
export class TunnelQuota {
  readonly #options: TunnelQuotaOptions;
  readonly #reading: SharedReading<number>;
  readonly #closing = new AbortController();
  #tunnels: number | null = null;
  #level: Level = 'fine';
  #timer: Timer | null = null;
  #isCounting = false;

  constructor(options: TunnelQuotaOptions) {
    this.#options = options;
    this.#reading = new SharedReading('tunnels.count', options.clock, async (credentials, signal) => {
      const count = await countTunnels(options.api, credentials.accountId, signal);
      if (count.ok) this.#is(count.value);
      return count;
    });
  }

  /** Counts now and from time to time, until `stop`. */
  start(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#countOn();
  }

  /** Counts only when it is asked from now on. */
  stop(): void {
    this.#isCounting = false;
    this.#timer?.cancel();
  }

  created(): void {
    if (this.#tunnels !== null) this.#is(this.#tunnels + 1);
  }

  removed(): void {
    if (this.#tunnels !== null) this.#is(this.#tunnels - 1);
  }

  /**
   * What a refused creation means: Cloudflare does not document the code of "no more tunnels", so an account that
   * is full explains a refusal that nothing else does.
   */
  async explain(refused: Fault): Promise<Fault> {
    if (refused.code !== 'quota-exceeded' && refused.code !== 'cloudflare-refused') return refused;
    const tunnels = await this.#count(freshMs);
    if (tunnels === null || tunnels < maxTunnelsPerAccount) return refused;
    const text = `the account has all the ${maxTunnelsPerAccount} tunnels that Cloudflare allows, so this one cannot be created`;
    return fault(
      'quota-exceeded',
      `${text}: remove some (warp-ingress cleanup lists ours that are left over) or ask Cloudflare for more (${refused.message})`,
    );
  }

  /** Ends a count that is under way and all further ones. Idempotent. */
  close(): void {
    this.#closing.abort();
    this.stop();
    this.#reading.close();
  }

  /** The number, or why it cannot be told: that the credentials may not see tunnels, for one. */
  async read(maxAgeMs = freshMs): Promise<Result<number>> {
    const credentials = this.#options.credentials();
    if (!credentials.ok) return credentials;
    return this.#reading.get(credentials.value, maxAgeMs, this.#closing.signal);
  }

  #countOn(): void {
    this.#timer?.cancel();
    void this.#count(freshMs).then((tunnels) => {
      if (!this.#isCounting) return;
      const delayMs = tunnels === null ? retryMs : everyMs;
      this.#timer?.cancel();
      this.#timer = this.#options.clock.after(delayMs, () => this.#countOn());
    });
  }

  /** Null when it cannot be told. */
  async #count(maxAgeMs: number): Promise<number | null> {
    const count = await this.read(maxAgeMs);
    return count.ok ? count.value : null;
  }

  #is(tunnels: number): void {
    const { counted, log } = this.#options;
    this.#tunnels = tunnels;
    counted(tunnels);
    const level = levelOf(tunnels);
    if (level === this.#level) return;
    this.#level = level;
    const fields = { tunnels, limit: maxTunnelsPerAccount };
    if (level === 'full') log.error(fields, 'account has no tunnels left');
    else if (level === 'near') log.warn(fields, 'account nears its limit of tunnels');
    else log.info(fields, 'account has tunnels to spare again');
  }
}

type Level = 'fine' | 'near' | 'full';

function levelOf(tunnels: number): Level {
  if (tunnels >= maxTunnelsPerAccount) return 'full';
  return tunnels >= warnFromTunnels ? 'near' : 'fine';
}

/** The shortest page of the list says how many there are in all. */
async function countTunnels(
  api: ApiClient,
  accountId: string,
  signal: AbortSignal,
): Promise<ApiResult<number>> {
  const page = await api.call<{ readonly result_info?: unknown }>(
    {
      op: 'tunnels.count',
      priority: 'tend',
      repeatable: true,
      send: (sdk, options) =>
        sdk.zeroTrust.tunnels.cloudflared.list(
          { account_id: accountId, is_deleted: false, page: 1, per_page: 1 },
          options,
        ),
    },
    signal,
  );
  if (!page.ok) return page;
  const total = (page.value.result_info as { total_count?: unknown } | undefined)?.total_count;
  if (typeof total === 'number' && Number.isInteger(total)) return { ok: true, value: total };
  const text = "Cloudflare's answer to tunnels.count holds no number of tunnels";
  return failureOf(fault('cloudflare-refused', text));
}

const everyMs = 3_600_000;
const retryMs = 300_000;
/** Of several refusals at once one asks. */
const freshMs = 60_000;
