import type { Cloudflare } from '../actors/ports.ts';
import type { Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import { ApiClient, type CallHooks } from './client.ts';
import type { Credentials } from './credentials.ts';
import { ensureDns, removeDns } from './dns.ts';
import { LiveTunnels } from './live-tunnels.ts';
import { MarkedHosts } from './marked-hosts.ts';
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
  readonly hooks?: CallHooks;
}

/** The port `Cloudflare` over Cloudflare's API. One for the whole process, because it holds the call budget. */
export interface CloudflareAdapter extends Cloudflare {
  /** Gives up what waits; idempotent. */
  close(): void;
}

export function createCloudflare(options: CloudflareAdapterOptions): CloudflareAdapter {
  const api = new ApiClient({
    credentials: options.credentials,
    apiUrl: options.apiUrl,
    clock: options.clock,
    random: options.random ?? Math.random,
    hooks: options.hooks ?? { called: () => {}, budgetRemaining: () => {} },
  });
  const zones = new ZoneDirectory(api, options.clock);
  const marks = new MarkedHosts(api, options.clock);
  const tunnels = new LiveTunnels(api, options.clock);
  const using = async <T>(work: (credentials: Credentials) => Promise<Result<T>>): Promise<Result<T>> => {
    const credentials = options.credentials();
    return credentials.ok ? work(credentials.value) : credentials;
  };
  return {
    ensureTunnel: (request, signal) => using((own) => ensureTunnel(api, own, request, signal)),
    removeTunnel: (removal, signal) => using((own) => removeTunnel(api, own, removal, signal)),
    tunnelExists: (tunnel, signal) => using((own) => tunnels.has(own, tunnel, signal)),
    ensureDns: (request, signal) => using((own) => ensureDns(api, zones, marks, own, request, signal)),
    removeDns: (removal, signal) => using((own) => removeDns(api, zones, own, removal, signal)),
    close: () => {
      zones.close();
      marks.close();
      tunnels.close();
      api.close();
    },
  };
}
