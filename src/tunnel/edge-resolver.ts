import { promises as dns, type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import type { Clock } from '../time/clock.ts';

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

/** Of a discovery's time, what the first resolver has before the second is asked, milliseconds. */
export const firstResolverMs = 10_000;

/**
 * Services come from `first`, or from `second` where that fails or is silent (cloudflared: DNS over TLS where the system's
 * resolver fails). Only the targets that `second` named last are looked up there, too: no other name leaves for it.
 */
export function withFallback(first: EdgeResolver, second: EdgeResolver, clock: Clock): EdgeResolver {
  const namedBySecond = new Set<string>();

  async function askFirst(name: string, signal: AbortSignal): Promise<readonly ServiceRecord[]> {
    const silence = new AbortController();
    const timer = clock.after(firstResolverMs, () => silence.abort());
    try {
      return await first.services(name, AbortSignal.any([signal, silence.signal]));
    } finally {
      timer.cancel();
    }
  }

  return {
    async services(name, signal) {
      try {
        const records = await askFirst(name, signal);
        for (const record of records) namedBySecond.delete(record.name);
        return records;
      } catch (failure) {
        if (signal.aborted) throw failure;
        const records = await second.services(name, signal).catch((error: unknown) => {
          throw new Error(`${messageOf(failure)}; ${messageOf(error)}`);
        });
        for (const record of records) namedBySecond.add(record.name);
        return records;
      }
    },
    addresses: (host, signal) => (namedBySecond.has(host) ? second : first).addresses(host, signal),
  };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
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
