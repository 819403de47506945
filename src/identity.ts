import { type ControllerConfig, defaultIngressClass } from './config.ts';
import { type Fault, failed, ok, type Result } from './fault.ts';
import type { KubeClient } from './kube/client.ts';
import type { Logger } from './log.ts';
import { type Backoff, backoffDelayMs } from './time/backoff.ts';
import { type Clock, sleep } from './time/clock.ts';

const backoff: Backoff = { baseMs: 1_000, capMs: 10_000, healthyAfterMs: 0 };

/**
 * Whose tunnels and records these are: `--identity`, or the namespace's UID, which no other cluster has. A
 * second controller of another class in the same namespace is another owner; the dot keeps the names of its tunnels
 * (`readingsOf`) apart from those of the first one's hosts.
 */
export async function readIdentity(
  config: Pick<ControllerConfig, 'identity' | 'ingressClass'>,
  client: KubeClient,
  signal: AbortSignal,
): Promise<Result<string>> {
  const { identity, ingressClass } = config;
  if (identity !== null) return ok(identity);
  const uid = await client.readNamespaceUid(signal);
  if (!uid.ok) {
    const { code, message } = uid.fault;
    if (code !== 'kube-forbidden') return uid;
    return failed(code, `${message}; its UID is our identity: expected the right to read it, or --identity`);
  }
  return ok(ingressClass === defaultIngressClass ? uid.value : `${uid.value}.${ingressClass}`);
}

interface Patience {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn'>;
  /** Why it cannot be read yet, after each attempt. */
  readonly unreadable: (fault: Fault) => void;
  readonly signal: AbortSignal;
}

/** Waits for the API server where the identity is to be read from it. Rejects once the signal is aborted. */
export async function identityOnceReadable(
  config: Pick<ControllerConfig, 'identity' | 'ingressClass'>,
  client: KubeClient,
  { clock, log, unreadable, signal }: Patience,
): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const identity = await readIdentity(config, client, signal);
    if (identity.ok) return identity.value;
    const { code, message: detail, retryAfterMs = 0 } = identity.fault;
    unreadable(identity.fault);
    const retryInMs = Math.max(backoffDelayMs(backoff, attempt, Math.random()), retryAfterMs);
    log.warn({ code, detail, retryInMs }, 'namespace not readable');
    await sleep(clock, retryInMs, signal);
  }
}
