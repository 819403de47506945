import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

/** Contexts kept for reuse: to make one takes some 10 ms, which not every connection should pay. */
const maxKept = 32;
const kept = new Map<string, SecureContext>();

/**
 * Trusts what is trusted without it, the public roots and those of `NODE_EXTRA_CA_CERTS`, and the certificates of `ca` (PEM)
 * besides: as cloudflared's `caPool` does.
 */
export function trustIn(ca: string): SecureContext {
  let context = kept.get(ca);
  if (context === undefined) {
    context = createSecureContext({ ca: [...getCACertificates('default'), ca] });
    if (kept.size >= maxKept) kept.clear();
    kept.set(ca, context);
  }
  return context;
}
