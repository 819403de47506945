import { type ControllerConfig, defaultIngressClass } from './config.ts';
import { ok, type Result } from './fault.ts';
import type { KubeClient } from './kube/client.ts';

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
  if (!uid.ok) return uid;
  return ok(ingressClass === defaultIngressClass ? uid.value : `${uid.value}.${ingressClass}`);
}
