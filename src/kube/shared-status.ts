import type { IngressRef } from '../actors/ports.ts';
import { ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import { publishedOf } from './parse-ingress.ts';
import { parseMeta } from './parse-meta.ts';

/** Others write the same list; after so many conflicts in a row the caller's backoff takes over. */
const maxAttempts = 5;

/**
 * Makes `hostnames` our part of an Ingress' status and leaves there what is `foreign`, another shard's. The list is
 * atomic to the API server (also in server-side apply), so it is read, changed and written back under its version.
 * An Ingress that is gone is success.
 */
export async function publishBeside(
  client: KubeClient,
  { name, uid }: IngressRef,
  hostnames: readonly string[],
  isForeign: (hostname: string) => boolean,
  signal: AbortSignal,
): Promise<Result<void>> {
  const ingress = { resource: 'ingresses', name } as const;
  for (let attempt = 1; ; attempt++) {
    const found = await client.call({ method: 'GET', ...ingress }, signal);
    if (!found.ok) return found.fault.code === 'kube-not-found' ? ok(undefined) : found;
    const meta = parseMeta(found.value);
    if (meta?.uid !== uid) return ok(undefined);
    const there = publishedOf((found.value as { status?: unknown }).status);
    const wanted = new Set([...there.filter(isForeign), ...hostnames]);
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
