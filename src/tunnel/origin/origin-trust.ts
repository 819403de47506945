import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { cloudflareRoots } from '../cloudflare-roots.ts';

/** Contexts kept for reuse: to make one takes some 10 ms, which not every connection should pay. */
const maxKept = 32;
const kept = new Map<string | null, SecureContext>();

/**
 * Who may vouch for an origin: the public roots, those of `NODE_EXTRA_CA_CERTS`, Cloudflare's (it issues certificates of its
 * origin CA for origins), and the certificates of `ca` (PEM) besides. As cloudflared has it (`LoadCustomOriginCA`).
 */
export function rootsWith(ca: string | null): readonly string[] {
  return [...getCACertificates('default'), ...cloudflareRoots, ...(ca === null ? [] : [ca])];
}

/** A context that trusts `rootsWith(ca)`; the same one for many connections. */
export function trustIn(ca: string | null): SecureContext {
  let context = kept.get(ca);
  if (context === undefined) {
    context = createSecureContext({ ca: [...rootsWith(ca)] });
    if (kept.size >= maxKept) kept.clear();
    kept.set(ca, context);
  }
  return context;
}
