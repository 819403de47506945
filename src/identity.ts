import { type ControllerConfig, defaultIngressClass } from './config.ts';
import { failed, ok, type Result } from './fault.ts';
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
  if (!uid.ok) {
    const { code, message } = uid.fault;
    if (code !== 'kube-forbidden') return uid;
    return failed(code, `${message}; its UID is our identity: expected the right to read it, or --identity`);
  }
  return ok(ingressClass === defaultIngressClass ? uid.value : `${uid.value}.${ingressClass}`);
}
