import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/** Contexts kept for reuse: to make one takes some 10 ms, which not every connection should pay. */
const maxKept = 32;
const kept = new Map<string, SecureContext>();

/** Trusts the public roots and, as cloudflared's `caPool` does, the certificates of `ca` (PEM) besides. */
export function trustIn(ca: string): SecureContext {
  let context = kept.get(ca);
  if (context === undefined) {
    context = createSecureContext({ ca: [...rootCertificates, ca] });
    if (kept.size >= maxKept) kept.clear();
    kept.set(ca, context);
  }
  return context;
}
