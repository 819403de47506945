import type { IngressKey } from '../domain/ingress.ts';

/** One Ingress' time with a host. */
interface Holding {
  readonly key: IngressKey;
  readonly tenure: number;
}

/** A former holder whose connector has not ended. */
interface Former {
  /** That it had. */
  readonly tenure: number;
  /** It was told that it may go. */
  isLeaving: boolean;
}

/**
 * Who may act on which host, and who still has a connector for a host that it handed over. Invariant: an ingress
 * actor acts on a host (at Cloudflare, in the ledger) only while it holds it, and there is one holder, so no two
 * ever work on the same tunnel; their connectors may serve it together. Each holding has a tenure, a number that
 * only grows, by which what is told of an earlier one is known to be late.
 */
export class Holdings {
  readonly #holders = new Map<string, Holding>();
  readonly #held = new Map<IngressKey, Map<string, number>>();
  readonly #formers = new Map<string, Map<IngressKey, Former>>();
  /** The hosts of `#formers` by key, so that an event costs what it concerns and not what others hand over. */
  readonly #formerOf = new Map<IngressKey, Set<string>>();
  #tenures = 0;

  holderOf(host: string): IngressKey | null {
    return this.#holders.get(host)?.key ?? null;
  }

  /** The tenure of whoever holds the host. */
  tenureOf(host: string): number | null {
    return this.#holders.get(host)?.tenure ?? null;
  }

  /** Host → tenure. */
  heldBy(key: IngressKey): ReadonlyMap<string, number> {
    return this.#held.get(key) ?? new Map();
  }

  /** Everybody who holds something. */
  holders(): Iterable<IngressKey> {
    return this.#held.keys();
  }

  /** Holds something, or has a connector left of what it held. */
  isConcerned(key: IngressKey): boolean {
    return this.#held.has(key) || this.#formerOf.has(key);
  }

  /** Somebody who handed the host over still has a connector for it. */
  hasFormer(host: string): boolean {
    return this.#formers.has(host);
  }

  /** The hosts that it handed over and should serve until their holder does. */
  lingeringOf(key: IngressKey): readonly string[] {
    return this.#formerHostsOf(key).filter((host) => this.#formers.get(host)?.get(key)?.isLeaving === false);
  }

  /** The host must be nobody's. Who takes it up again is no former holder any more. */
  hold(host: string, key: IngressKey): number {
    const tenure = ++this.#tenures;
    this.#holders.set(host, { key, tenure });
    let held = this.#held.get(key);
    if (held === undefined) {
      held = new Map();
      this.#held.set(key, held);
    }
    held.set(host, tenure);
    this.#forget(host, key);
    return tenure;
  }

  /** `stillRuns`: a connector of its lingers. False when the tenure is over already. */
  release(host: string, tenure: number, stillRuns: boolean): boolean {
    const holder = this.#holders.get(host);
    if (holder?.tenure !== tenure) return false;
    this.#holders.delete(host);
    const held = this.#held.get(holder.key);
    held?.delete(host);
    if (held?.size === 0) this.#held.delete(holder.key);
    if (stillRuns) {
      let formers = this.#formers.get(host);
      if (formers === undefined) {
        formers = new Map();
        this.#formers.set(host, formers);
      }
      formers.set(holder.key, { tenure, isLeaving: false });
      const hosts = this.#formerOf.get(holder.key);
      if (hosts === undefined) this.#formerOf.set(holder.key, new Set([host]));
      else hosts.add(host);
    }
    return true;
  }

  /** The holder of that tenure serves, or will not: those who linger may go. Answers who they are. */
  settled(host: string, tenure: number): readonly IngressKey[] {
    if (this.tenureOf(host) !== tenure) return [];
    const lingering = [...(this.#formers.get(host) ?? [])].filter(([, former]) => !former.isLeaving);
    for (const [, former] of lingering) former.isLeaving = true;
    return lingering.map(([key]) => key);
  }

  /** Its connector from that tenure has ended. */
  left(host: string, key: IngressKey, tenure: number): boolean {
    return this.#formers.get(host)?.get(key)?.tenure === tenure && this.#forget(host, key);
  }

  /** The actor of that name has ended, and its connectors with it. Answers the hosts that it lingered for. */
  ended(key: IngressKey): readonly string[] {
    return this.#formerHostsOf(key).filter((host) => this.#forget(host, key));
  }

  #formerHostsOf(key: IngressKey): readonly string[] {
    return [...(this.#formerOf.get(key) ?? [])];
  }

  #forget(host: string, key: IngressKey): boolean {
    const formers = this.#formers.get(host);
    const wasThere = formers?.delete(key) ?? false;
    if (formers?.size === 0) this.#formers.delete(host);
    const hosts = this.#formerOf.get(key);
    hosts?.delete(host);
    if (hosts?.size === 0) this.#formerOf.delete(key);
    return wasThere;
  }
}
