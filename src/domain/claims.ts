import type { IngressKey, IngressSpec } from './ingress.ts';

/**
 * One host, one tunnel, one owner: of several Ingresses that name a host the oldest has it; of two of the same
 * age the one with the lower uid, so that every replica decides alike.
 */
export function ownerOf(claimants: Iterable<IngressSpec>): IngressKey | null {
  let owner: IngressSpec | null = null;
  for (const claimant of claimants) if (owner === null || isOlder(claimant, owner)) owner = claimant;
  return owner?.key ?? null;
}

function isOlder(a: IngressSpec, b: IngressSpec): boolean {
  return a.createdAtMs === b.createdAtMs ? a.uid < b.uid : a.createdAtMs < b.createdAtMs;
}
