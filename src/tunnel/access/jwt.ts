import { createLocalJWKSet } from 'jose/jwks/local';
import { jwtVerify } from 'jose/jwt/verify';

/** A token whose signature, issuer and times were checked. Whom it admits is for the policy to say. */
export interface VerifiedToken {
  readonly audiences: readonly string[];
  /** `exp`, milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** `unknown-key`: no key of the set fits the token's `kid`, so a newer set may. `why` never repeats the token. */
export type Verification =
  | { readonly outcome: 'valid'; readonly token: VerifiedToken }
  | { readonly outcome: 'unknown-key' }
  | { readonly outcome: 'invalid'; readonly why: string };

/** A team's public keys. */
export interface KeySet {
  verify(token: string, issuer: string, nowMs: number): Promise<Verification>;
}

/** The only one that Access signs with; a token's own word for it ("none", HS256) is never followed. */
const algorithms = ['RS256'];
/** How far Cloudflare's clock may be ahead of ours in `nbf`. `exp` is met to the moment, as cloudflared does it. */
export const notBeforeToleranceSeconds = 30;
/** Access publishes two or three keys. */
export const maxKeys = 32;

/** Reads the text of a certs endpoint (RFC 7517, section 5); a string says what is wrong with it. */
export function readKeySet(text: string): KeySet | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  const given = isRecord(parsed) ? parsed.keys : undefined;
  if (!Array.isArray(given)) return 'no list of keys';
  if (given.length > maxKeys) return `more than ${maxKeys} keys`;
  const keys = given.flatMap((key: unknown) => publicRsaKey(key) ?? []);
  if (keys.length === 0) return 'no RSA key with a kid';
  return keySetOf(createLocalJWKSet({ keys }));
}

function keySetOf(keys: ReturnType<typeof createLocalJWKSet>): KeySet {
  return {
    async verify(token, issuer, nowMs) {
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms,
          issuer,
          clockTolerance: notBeforeToleranceSeconds,
          currentDate: new Date(nowMs),
          requiredClaims: ['exp', 'aud'],
        });
        const expiresAtMs = (payload.exp ?? 0) * 1_000;
        if (expiresAtMs <= nowMs) return { outcome: 'invalid', why: 'the token has expired' };
        const audiences = [payload.aud ?? []].flat();
        return { outcome: 'valid', token: { audiences, expiresAtMs } };
      } catch (thrown) {
        // Whatever the library throws over a token that anybody may send is the token's fault.
        if (isRecord(thrown) && thrown.code === 'ERR_JWKS_NO_MATCHING_KEY') return { outcome: 'unknown-key' };
        return { outcome: 'invalid', why: thrown instanceof Error ? thrown.message : 'not a token' };
      }
    },
  };
}

/** What verifying takes of a key, so that nothing else it carries has a meaning. */
function publicRsaKey(key: unknown) {
  if (!isRecord(key) || key.kty !== 'RSA') return null;
  const { kid, n, e } = key;
  if (typeof kid !== 'string' || typeof n !== 'string' || typeof e !== 'string') return null;
  return { kty: 'RSA', alg: 'RS256', use: 'sig', kid, n, e };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
