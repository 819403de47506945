import { runTunnelPod } from '../workers/tunnel-pod.ts';
import type { TunnelConfig, TunnelSource } from './config/tunnel.ts';
import { type Fault, FaultError, faultOf, isCloudflareAway } from './fault.ts';
import type { Logger } from './log.ts';
import { createTunnelMetrics } from './ops/tunnel-metrics.ts';
import type { Running } from './running.ts';
import { type Backoff, backoffDelayMs } from './time/backoff.ts';
import { sleep, systemClock } from './time/clock.ts';

type FromCert = Extract<TunnelSource, { from: 'origincert' }>;

/** Cloudflare's API may be away for a while, as everywhere. */
const findBackoff: Backoff = { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 0 };

/**
 * `warp-ingress tunnel`. With a certificate the tunnel is looked for first, at Cloudflare's API; only then is the client
 * of that loaded. Rejects with a `FaultError` when it cannot start with these settings.
 */
export async function runTunnel(config: TunnelConfig, log: Logger): Promise<Running> {
  const { source } = config;
  const metrics = createTunnelMetrics(config.hostname);
  if (source.from !== 'origincert') return runTunnelPod({ ...config, source }, metrics, log);
  const stopping = new AbortController();
  const ended = Promise.withResolvers<Fault | null>();
  const find = (): Promise<string> => findToken(config, source, log, stopping.signal);
  const started = runTunnelPod({ ...config, source: { from: 'search', find } }, metrics, log);
  started
    .then((running) => running.ended)
    .then(ended.resolve, (thrown: unknown) =>
      ended.resolve(stopping.signal.aborted ? null : faultOf(thrown)),
    );
  return {
    ended: ended.promise,
    async stop() {
      stopping.abort();
      await started.then((running) => running.stop()).catch(() => {});
    },
  };
}

async function findToken(
  { hostname: host, apiUrl }: TunnelConfig,
  { path, tunnel }: FromCert,
  log: Logger,
  signal: AbortSignal,
): Promise<string> {
  const { findTunnelToken } = await import('./cloudflare/find-tunnel.ts');
  for (let attempt = 0; ; attempt++) {
    const token = await findTunnelToken({ certPath: path, tunnel, host, apiUrl, clock: systemClock }, signal);
    if (token.ok) return token.value;
    const { code, message: detail, retryAfterMs = 0 } = token.fault;
    if (!isCloudflareAway(token.fault)) throw new FaultError(token.fault);
    const retryInMs = Math.max(retryAfterMs, backoffDelayMs(findBackoff, attempt, Math.random()));
    log.warn({ code, detail, retryInMs }, 'tunnel not found yet');
    await sleep(systemClock, retryInMs, signal);
  }
}
