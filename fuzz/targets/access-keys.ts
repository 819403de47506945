import assert from 'node:assert/strict';
import { notBeforeToleranceSeconds, readKeySet } from '../../src/tunnel/access/jwt.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { mutatedJson } from '../mutate-json.ts';
import type { FuzzTarget } from '../target.ts';

const issuer = 'https://acme.cloudflareaccess.com';
const nowMs = Date.UTC(2026, 0, 1);
const claims = { iss: issuer, aud: ['app'], exp: nowMs / 1_000 + 60, nbf: nowMs / 1_000 };
/**
 * One set and one token for all cases, so that a case means the same everywhere. The private key was thrown away
 * after it had signed.
 */
const modulus = [
  'vR_wi_ZkiDJUnWzzBzTKpjW8IZVb-',
  '3qWrw5yz1FgDKzM4KKIdpZG3WBPx6h1es2QCljwNXeEmGBgZPKX_82vCCeTxqVg-',
  'N9rt_KD6guq2DXqx0hcp5M5tNpD6Sbr9ILU0T1-rR8toi-wlewenSjTdW1RHxwt2d_Pva82VnoWBQAWwKtNtOCrCCr',
  '2lQE4gNcMfzqZY6XDKAMU8Y6jSvhWjbMDTdLvwAR07mrTXkJDOKskdYbd5kl42jW4qDUDweqNJd4PH-',
  'dNrN6txqoYBl_QF9KFQ0-bX7T6IGCKUfNsVClWvX3Xe_5LP8zsfbU-xDr1N3vmvVrUXVYcvk_TeEaDyw',
].join('');
const signature = [
  'WMAG19uQ7MzyObEbP83DSgDphpeshfa_F7dv882u0uYD4ONRaQGATweSZDgsz272grlHDRllHjBSF1KiRexRbl1-',
  'mMN_QEfle3RZ0egpWV3xI5jUESBMVGcnX5Jd7lDRt35dCqgvtxlbaUyX58uO21oaWQ7yJxYSA5ZVquGvSpUhZQZjB_',
  'RZUtVcG0T1RIdwW5r_j44aItApoQaUjGro3ZEz-Yd85S7YycGQYniatyiFe58LwmgCoTGvzTeQmY6I_rzZAAVIimzP',
  'iUDPhDbqrzQxGHAQUvUNc1qgeszwYBQSys6By7tqLfrhhNAA1ODrniELCTCpln3xEDq1-73XZA',
].join('');
const jwk = { kty: 'RSA', n: modulus, e: 'AQAB', kid: 'one', alg: 'RS256', use: 'sig' };
const certs = JSON.stringify({ keys: [jwk], public_certs: [] });
const header = { alg: 'RS256', kid: 'one', typ: 'JWT' };
const good = tokenOf(header, claims);
const dictionary = words(
  '.',
  '..',
  '=',
  '-',
  '_',
  '"keys":[',
  '{"kty":"RSA"}',
  '{}',
  'null',
  'eyJhbGciOiJub25lIn0',
);

/** Text of a certs endpoint, a line end, a token of a stranger. */
export const accessKeys: FuzzTarget = {
  name: 'access-keys',
  make(random) {
    const set = random.oneIn(2) ? certs : (JSON.stringify(mutatedJson(JSON.parse(certs), random)) ?? '');
    const token = random.oneIn(3) ? good : tokenOf(mutatedJson(header, random), mutatedJson(claims, random));
    const noise = (text: string) =>
      random.oneIn(2) ? Buffer.from(text) : mutated(Buffer.from(text), random, dictionary);
    return Buffer.concat([noise(set), Buffer.from('\n'), noise(token)]);
  },
  async check(input) {
    const text = input.toString('latin1');
    const end = text.lastIndexOf('\n');
    const token = text.slice(end + 1);
    const given = readKeySet(text.slice(0, Math.max(0, end)));
    if (typeof given === 'string') assert.match(given, /^[\w ]{1,60}$/);
    for (const set of [given, readKeySet(certs)]) {
      if (typeof set === 'string') continue;
      const seen = await set.verify(token, issuer, nowMs);
      if (seen.outcome === 'invalid') {
        assert.ok(seen.why.length < 300);
        assert.ok(token.length < 40 || !seen.why.includes(token), 'the token is repeated');
      }
      if (seen.outcome !== 'valid') continue;
      assert.ok(signedPart(token) === signedPart(good), 'a token that nobody signed is believed');
      assert.ok(seen.token.expiresAtMs > nowMs - notBeforeToleranceSeconds * 1_000);
    }
  },
};

function tokenOf(...parts: readonly unknown[]): string {
  const texts = parts.map((part) => Buffer.from(JSON.stringify(part) ?? '').toString('base64url'));
  return [...texts, signature].join('.');
}

function signedPart(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}
