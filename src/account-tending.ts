import type { Leadership } from './actors/ports.ts';
import type { CredentialsView } from './cloudflare/adapter.ts';
import { type Fault, isCloudflareAway, type Result } from './fault.ts';
import type { Logger } from './log.ts';
import type { Clock, Timer } from './time/clock.ts';

export interface AccountTendingOptions {
  readonly cloudflare: {
    check(signal: AbortSignal): Promise<Result<CredentialsView>>;
    startCounting(): void;
    stopCounting(): void;
  };
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info'>;
  /** Something is to be made at Cloudflare anyway. */
  readonly isProvisioning: () => boolean;
  /** Why the credentials cannot do their work, or null; an API that is away says nothing about them. */
  readonly judged: (fault: Fault | null) => void;
}

export interface AccountTending {
  /** The world is known from now on: until then nobody asks Cloudflare anything. */
  start(): void;
  /** The credentials are other ones than before. */
  credentialsChanged(): void;
  /** Cloudflare's API was away, or wanted no calls, and is back. */
  cloudflareReturned(): void;
  /** Idempotent. */
  close(): void;
}

/**
 * What the leader asks Cloudflare for nobody's Ingress in particular: what the credentials can do, once for each
 * that arrive, and how many tunnels the account has. Never what serving waits for: with nothing to be made, the
 * first look is put off until all that is known has had time to serve, so that a restart makes no call before.
 */
export function tendAccount(options: AccountTendingOptions): AccountTending {
  const { cloudflare, leadership, clock, log, isProvisioning, judged } = options;
  const closing = new AbortController();
  let isStarted = false;
  /** These credentials have not been looked at. */
  let isDue = true;
  let putOff: Timer | null = null;
  /** So many looks have begun: only the last is believed, as one before it may be about other credentials. */
  let looks = 0;

  async function look(): Promise<void> {
    putOff?.cancel();
    cloudflare.startCounting();
    if (!isDue) return;
    isDue = false;
    const mine = ++looks;
    const view = await cloudflare.check(closing.signal);
    if (closing.signal.aborted || mine !== looks) return;
    // Nothing is known of them, so they are looked at as soon as it is back, of which nobody tells if it was soon.
    if (!view.ok && isCloudflareAway(view.fault)) {
      isDue = true;
      lookLater();
    }
    if (view.ok) log.info(view.value, 'credentials checked');
    const isAway = !view.ok && view.fault.code !== 'credentials-invalid';
    judged(view.ok || isAway ? null : view.fault);
  }

  function lookLater(): void {
    putOff?.cancel();
    if (leadership.isLeading) putOff = clock.after(quietMs, () => void look());
  }

  function rearrange(): void {
    putOff?.cancel();
    cloudflare.stopCounting();
    if (!isStarted || !leadership.isLeading || closing.signal.aborted) return;
    if (isProvisioning()) void look();
    else lookLater();
  }

  const deafen = leadership.onChange(rearrange);
  return {
    start() {
      isStarted = true;
      rearrange();
    },
    credentialsChanged() {
      isDue = true;
      if (isStarted && leadership.isLeading) void look();
    },
    cloudflareReturned() {
      if (isStarted && leadership.isLeading) void look();
    },
    close() {
      closing.abort();
      deafen();
      putOff?.cancel();
    },
  };
}

/** A thousand tunnels are up by then. */
const quietMs = 30_000;
