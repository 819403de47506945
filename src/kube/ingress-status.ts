import type { IngressRef } from '../actors/ports.ts';
import { ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import { type IngressRules, parseIngress, statusEntriesOf } from './parse-ingress.ts';
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
 * under way while the Ingress changes hands comes too late. Of one that is not ours any more only what we wrote is
 * taken back: another controller's names are `*.cfargotunnel.com`, too. An Ingress that is gone is success.
 */
export async function publishStatus(
  client: KubeClient,
  { name, uid }: IngressRef,
  { hostnames, known }: { readonly hostnames: readonly string[]; readonly known: readonly string[] },
  { ingress: rules, isForeign }: StatusRules,
  signal: AbortSignal,
): Promise<Result<void>> {
  const ingress = { resource: 'ingresses', name } as const;
  const written = new Set([...known, ...hostnames]);
  for (let attempt = 1; ; attempt++) {
    const found = await client.call({ method: 'GET', ...ingress }, signal);
    if (!found.ok) return found.fault.code === 'kube-not-found' ? ok(undefined) : found;
    const meta = parseMeta(found.value);
    // One of the same name that was created since.
    if (meta?.uid !== uid) return ok(undefined);
    const there = statusEntriesOf((found.value as { status?: unknown }).status);
    const isOurs = parseIngress(found.value, rules).kind === 'ours';
    const left = there.filter(({ hostname }) => (isOurs ? isForeign(hostname) : !written.has(hostname)));
    const wanted = isOurs ? [...left, ...hostnames.map((hostname) => ({ hostname }))] : left;
    const names = new Set(wanted.map(({ hostname }) => hostname));
    if (names.size === there.length && there.every(({ hostname }) => names.has(hostname)))
      return ok(undefined);
    const body = {
      metadata: { uid, resourceVersion: meta.resourceVersion },
      status: { loadBalancer: { ingress: wanted } },
    };
    const patch = { method: 'PATCH', ...ingress, subresource: 'status', body } as const;
    const patched = await client.call(patch, signal);
    if (patched.ok || patched.fault.code === 'kube-not-found') return ok(undefined);
    if (patched.fault.code !== 'kube-conflict' || attempt >= maxAttempts) return patched;
  }
}
