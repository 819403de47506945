import { promises as dns, type LookupAddress } from 'node:dns';
import { once } from 'node:events';

/** One SRV record (RFC 2782). */
export interface ServiceRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** What discovery asks of DNS. Both reject when there is no answer, and as soon as the signal is aborted. */
export interface EdgeResolver {
  services(name: string, signal: AbortSignal): Promise<readonly ServiceRecord[]>;
  /** IPv4 and IPv6 addresses in the order of preference. */
  addresses(host: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** The operating system's resolver; `/etc/hosts` counts for addresses. */
export const systemResolver: EdgeResolver = {
  async services(name, signal) {
    const resolver = new dns.Resolver({ timeout: 5000, tries: 2 });
    const records = await untilAborted(resolver.resolveSrv(name), signal, () => resolver.cancel());
    return records.map(({ name, port, priority, weight }) => ({ name, port, priority, weight }));
  },
  async addresses(host, signal) {
    const found: LookupAddress[] = await untilAborted(dns.lookup(host, { all: true }), signal);
    return found.map(({ address }) => address);
  },
};

/** Asks `first`; if that fails, `second` (cloudflared: DNS over TLS when the system's resolver fails). */
export function withFallback(first: EdgeResolver, second: EdgeResolver): EdgeResolver {
  return {
    services: (name, signal) => first.services(name, signal).catch(() => second.services(name, signal)),
    addresses: (host, signal) => first.addresses(host, signal).catch(() => second.addresses(host, signal)),
  };
}

async function untilAborted<T>(answer: Promise<T>, signal: AbortSignal, cancel = (): void => {}): Promise<T> {
  signal.throwIfAborted();
  const done = new AbortController();
  const aborted = once(signal, 'abort', { signal: done.signal }).then(
    () => {
      cancel();
      throw new Error('given up');
    },
    () => answer,
  );
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    done.abort();
  }
}
