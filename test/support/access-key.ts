import { createHmac, generateKeyPairSync, sign } from 'node:crypto';

/**
 * A signing key of an Access team. Tokens are put together by hand (RFC 7515, section 5.1), so that they can be
 * wrong in every way, and so that the library which verifies them is not the one that made them.
 */
export class AccessKey {
  readonly kid: string;
  readonly #pair = generateKeyPairSync('rsa', { modulusLength: 2048 });

  constructor(kid: string) {
    this.kid = kid;
  }

  /** As the certs endpoint lists it. */
  get jwk(): object {
    return { ...this.#pair.publicKey.export({ format: 'jwk' }), kid: this.kid, alg: 'RS256', use: 'sig' };
  }

  /** The public key as text, which an HMAC can be forged with where `alg` is believed. */
  get pem(): string {
    return this.#pair.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  }

  token(claims: object, header: object = {}): string {
    const signed = signedPart({ alg: 'RS256', typ: 'JWT', kid: this.kid, ...header }, claims);
    return `${signed}.${sign('sha256', Buffer.from(signed), this.#pair.privateKey).toString('base64url')}`;
  }

  /** Signed with the public key as if it were a secret. */
  confusedToken(claims: object): string {
    const signed = signedPart({ alg: 'HS256', typ: 'JWT', kid: this.kid }, claims);
    return `${signed}.${createHmac('sha256', this.pem).update(signed).digest('base64url')}`;
  }

  /** `alg: none`, with an empty signature. */
  unsignedToken(claims: object): string {
    return `${signedPart({ alg: 'none', typ: 'JWT', kid: this.kid }, claims)}.`;
  }
}

export function certsOf(...keys: readonly AccessKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk), public_certs: [] });
}

function signedPart(header: object, claims: object): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}
