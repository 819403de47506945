import { budgetBesideController } from './cloudflare/budget.ts';
import { ApiClient } from './cloudflare/client.ts';
import { CredentialStore, type Credentials } from './cloudflare/credentials.ts';
import { ZoneDirectory } from './cloudflare/zones.ts';
import type { ControllerConfig } from './config.ts';
import type { Result } from './fault.ts';
import { readIdentity } from './identity.ts';
import { connectKube, type KubeClient } from './kube/client.ts';
import { systemClock } from './time/clock.ts';

/** What a command that runs once works with: one install, named by its identity, on both sides. */
export interface Install {
  readonly identity: string;
  readonly kube: KubeClient;
  readonly api: ApiClient;
  readonly zones: ZoneDirectory;
  readonly credentials: Credentials;
}

/**
 * Opens both sides, lets `work` work with them and closes them again, also when it throws. Nothing is waited for:
 * what a controller would try again is a fault here.
 */
export async function withInstall<T>(
  config: ControllerConfig,
  work: (install: Install) => Promise<Result<T>>,
  signal: AbortSignal,
): Promise<Result<T>> {
  const clock = systemClock;
  const kube = await connectKube(config, clock);
  if (!kube.ok) return kube;
  const store = new CredentialStore({ source: config.credentials, clock });
  const api = new ApiClient({
    credentials: () => store.current(),
    apiUrl: config.apiUrl,
    clock,
    random: Math.random,
    hooks: { called: () => {} },
    budget: budgetBesideController(clock.monotonic()),
  });
  const zones = new ZoneDirectory(api, clock);
  try {
    await store.start();
    const credentials = store.required();
    if (!credentials.ok) return credentials;
    const identity = await readIdentity(config, kube.value, signal);
    if (!identity.ok) return identity;
    return await work({
      identity: identity.value,
      kube: kube.value,
      api,
      zones,
      credentials: credentials.value,
    });
  } finally {
    zones.close();
    api.close();
    store.close();
    kube.value.close();
  }
}
