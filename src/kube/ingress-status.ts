import type { IngressRef } from '../actors/ports.ts';
import { isTunnelHostname } from '../domain/host.ts';
import { ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import { type IngressRules, parseIngress, publishedOf } from './parse-ingress.ts';
import { parseMeta } from './parse-meta.ts';

/** Others write the same object; after so many conflicts in a row the caller's backoff takes over. */
const maxAttempts = 5;

export interface StatusRules {
  /** Which Ingresses are ours. */
  readonly ingress: IngressRules;
  /** What in a status is another shard's. */
  isForeign(hostname: string): boolean;
}

/**
 * Makes `hostnames` our part of an Ingress' status and leaves there what is another shard's. The list is atomic to the
 * API server (also in server-side apply), so it is read, changed and written back under its version: a write that is
 * under way while the Ingress changes hands comes too late. Of one that is not ours any more our part is taken back,
 * unless somebody else has written there. An Ingress that is gone is success.
 */
export async function publishStatus(
  client: KubeClient,
  { name, uid }: IngressRef,
  hostnames: readonly string[],
  { ingress: rules, isForeign }: StatusRules,
  signal: AbortSignal,
): Promise<Result<void>> {
  const ingress = { resource: 'ingresses', name } as const;
  for (let attempt = 1; ; attempt++) {
    const found = await client.call({ method: 'GET', ...ingress }, signal);
    if (!found.ok) return found.fault.code === 'kube-not-found' ? ok(undefined) : found;
    const meta = parseMeta(found.value);
    // One of the same name that was created since.
    if (meta?.uid !== uid) return ok(undefined);
    const there = publishedOf((found.value as { status?: unknown }).status);
    const isOurs = parseIngress(found.value, rules).kind === 'ours';
    if (!isOurs && !there.every(isTunnelHostname)) return ok(undefined);
    const wanted = new Set([...there.filter(isForeign), ...(isOurs ? hostnames : [])]);
    if (wanted.size === there.length && there.every((hostname) => wanted.has(hostname))) return ok(undefined);
    const body = {
      metadata: { uid, resourceVersion: meta.resourceVersion },
      status: { loadBalancer: { ingress: Array.from(wanted, (hostname) => ({ hostname })) } },
    };
    const patch = { method: 'PATCH', ...ingress, subresource: 'status', body } as const;
    const patched = await client.call(patch, signal);
    if (patched.ok || patched.fault.code === 'kube-not-found') return ok(undefined);
    if (patched.fault.code !== 'kube-conflict' || attempt >= maxAttempts) return patched;
  }
}
