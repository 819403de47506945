import { type OriginCa, unreadableCa } from '../domain/compile-host.ts';
import type { IngressKey } from '../domain/ingress.ts';
import type { Result } from '../fault.ts';
import type { CaSecrets } from './ports.ts';

const nobody: ReadonlySet<string> = new Set();

/**
 * The CAs of origins by the Secrets that they are in, and which Ingresses name each. Invariant: a Secret is followed
 * exactly while somebody names it, and nothing is known of one that is not. What was read of it stays in force while it
 * cannot be read anew. Owned by the supervisor.
 */
export class OriginCas {
  readonly #secrets: CaSecrets;
  readonly #known = new Map<string, OriginCa>();
  readonly #named = new Map<IngressKey, ReadonlySet<string>>();
  readonly #namedBy = new Map<string, Set<IngressKey>>();

  constructor(secrets: CaSecrets) {
    this.#secrets = secrets;
  }

  /** By the name of the Secret; no entry before it has been read once. */
  get known(): ReadonlyMap<string, OriginCa> {
    return this.#known;
  }

  /** All Ingresses that name the Secret. */
  namedBy(secret: string): ReadonlySet<IngressKey> {
    return this.#namedBy.get(secret) ?? nobody;
  }

  /** The Ingress names these now, and no others any more. */
  names(key: IngressKey, secrets: ReadonlySet<string>): void {
    const before = this.#named.get(key) ?? nobody;
    if (secrets.size === 0) this.#named.delete(key);
    else this.#named.set(key, secrets);
    for (const secret of secrets) {
      const keys = this.#namedBy.get(secret);
      if (keys !== undefined) {
        keys.add(key);
        continue;
      }
      this.#namedBy.set(secret, new Set([key]));
      this.#secrets.follow(secret);
    }
    for (const secret of before) if (!secrets.has(secret)) this.#leave(key, secret);
  }

  /** What came of reading the Secret; of one that nobody names any more it is passed over. */
  read(secret: string, result: Result<string>): OriginCa | null {
    if (!this.#namedBy.has(secret)) return null;
    const known = this.#known.get(secret)?.pem ?? null;
    const ca = result.ok
      ? { pem: result.value, note: null, isUnknown: false }
      : unreadableCa(result.fault, known);
    this.#known.set(secret, ca);
    return ca;
  }

  #leave(key: IngressKey, secret: string): void {
    const keys = this.#namedBy.get(secret);
    keys?.delete(key);
    if (keys === undefined || keys.size > 0) return;
    this.#namedBy.delete(secret);
    this.#known.delete(secret);
    this.#secrets.forget(secret);
  }
}
