import type { IngressKey, IngressSpec } from './ingress.ts';

/**
 * One host, one tunnel, one owner: of several Ingresses that name a host the oldest has it. Kubernetes counts
 * ages in seconds; of two of the same age the one that has the host keeps it, else the lower uid decides, so
 * that every replica decides alike.
 */
export function ownerOf(claimants: Iterable<IngressSpec>, incumbent: IngressKey | null): IngressKey | null {
  let owner: IngressSpec | null = null;
  for (const claimant of claimants) {
    if (owner === null || comesBefore(claimant, owner, incumbent)) owner = claimant;
  }
  return owner?.key ?? null;
}

function comesBefore(a: IngressSpec, b: IngressSpec, incumbent: IngressKey | null): boolean {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs < b.createdAtMs;
  if (a.key === incumbent || b.key === incumbent) return a.key === incumbent;
  return a.uid < b.uid;
}
