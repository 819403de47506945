import { type CloudflareAdapter, createCloudflare } from '../../../src/cloudflare/adapter.ts';
import type { Credentials } from '../../../src/cloudflare/credentials.ts';
import type { Result } from '../../../src/fault.ts';
import {
  type CloudflareApi,
  type CloudflareApiSettings,
  startCloudflareApi,
} from '../../../src/sandbox/cloudflare-api/server.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';

/** The adapter and an imitation of Cloudflare's API, met over a real socket. `close` ends both. */
export interface Stage {
  readonly api: CloudflareApi;
  readonly cloudflare: CloudflareAdapter;
  /** Ends the adapter and begins with another one, as a process does that has been restarted. */
  restart(): void;
  /** What the adapter uses; a test rotates it. */
  readonly mounted: { now: Credentials };
  /** `op code` of each call since it was last asked. */
  counted(): string[];
  /** The account's tunnels as last told; null before. */
  readonly tunnels: number | null;
  /** Level and words of each line about the quota. */
  readonly log: readonly string[];
  close(): Promise<void>;
}

export async function openStage(
  settings: Partial<CloudflareApiSettings> = {},
  clock: Clock = systemClock,
): Promise<Stage> {
  const api = await startCloudflareApi({ port: 0, zones: ['example.com', 'sub.example.com'], ...settings });
  const mounted = {
    now: {
      accountId: api.accountId,
      apiToken: api.token,
      zoneId: null,
      apiUrl: null,
    } as Credentials,
  };
  let counted: string[] = [];
  let tunnels: number | null = null;
  const log: string[] = [];
  const heard = (level: string) => (_fields: object, message: string) => void log.push(`${level} ${message}`);
  const start = (): CloudflareAdapter =>
    createCloudflare({
      credentials: () => ({ ok: true, value: mounted.now }),
      apiUrl: api.url,
      clock,
      random: () => 0,
      hooks: {
        called: (op, code) => counted.push(`${op} ${code}`),
        tunnelsCounted: (count) => {
          tunnels = count;
        },
      },
      log: { info: heard('info'), warn: heard('warn'), error: heard('error') },
    });
  let cloudflare = start();
  return {
    api,
    get cloudflare() {
      return cloudflare;
    },
    restart: () => {
      cloudflare.close();
      cloudflare = start();
    },
    mounted,
    log,
    get tunnels() {
      return tunnels;
    },
    counted: () => {
      const sofar = counted;
      counted = [];
      return sofar;
    },
    close: async () => {
      cloudflare.close();
      await api.stop();
    },
  };
}

/** A signal for calls that nobody stops. */
export function running(): AbortSignal {
  return new AbortController().signal;
}

/** The value of what has to succeed. */
export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.fault.code}: ${result.fault.message}`);
  return result.value;
}

export function codeOf(result: Result<unknown>): string {
  return result.ok ? 'ok' : result.fault.code;
}
