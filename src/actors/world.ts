import type { BackendView, ServiceSpec, SliceSpec } from '../domain/backend.ts';
import { bySeniority } from '../domain/claims.ts';
import { servicesOf } from '../domain/compile-host.ts';
import type { IngressKey, IngressSpec } from '../domain/ingress.ts';
import { isLaterVersion, type LedgerEntry, type ObjectVersion } from '../domain/ledger.ts';

/** The newest state of an Ingress, and the last one that may be acted on. */
interface KnownIngress {
  readonly newest: IngressSpec;
  readonly effective: IngressSpec | null;
}

/**
 * The one copy of the world: what the watch told, with the indexes that find whom an event concerns without
 * looking at everybody. Owned by the supervisor. Each change answers the names of the Ingresses that it touches.
 */
export class World {
  readonly #ingresses = new Map<IngressKey, KnownIngress>();
  readonly #claims = new Map<string, Map<IngressKey, IngressSpec>>();
  readonly #interest = new Map<string, Set<IngressKey>>();
  readonly #services = new Map<string, ServiceSpec>();
  readonly #slices = new Map<string, Map<string, SliceSpec>>();
  readonly #serviceOfSlice = new Map<string, string>();
  readonly #views = new Map<string, BackendView>();
  readonly #ledger = new Map<string, LedgerEntry>();

  ingress(key: IngressKey): KnownIngress | undefined {
    return this.#ingresses.get(key);
  }

  ingressKeys(): Iterable<IngressKey> {
    return this.#ingresses.keys();
  }

  /** The Ingresses that name a host, its owner first. */
  seniority(host: string): readonly IngressSpec[] {
    const claimants = this.#claims.get(host);
    return claimants === undefined
      ? []
      : bySeniority(claimants.values(), this.#ledger.get(host)?.ingress ?? null);
  }

  ownerOf(host: string): IngressKey | null {
    return this.seniority(host)[0]?.key ?? null;
  }

  interestedIn(service: string): ReadonlySet<IngressKey> {
    return this.#interest.get(service) ?? new Set();
  }

  ledger(host: string): LedgerEntry | undefined {
    return this.#ledger.get(host);
  }

  ledgerEntries(): Iterable<LedgerEntry> {
    return this.#ledger.values();
  }

  /** Everything known of one Service name; the same object until something about it changes. */
  backend(service: string): BackendView {
    let view = this.#views.get(service);
    if (view === undefined) {
      const slices = [...(this.#slices.get(service)?.values() ?? [])];
      view = { service: this.#services.get(service) ?? null, slices };
      // Names that nothing is known of are asked for by Ingresses alone and must not pile up here.
      if (view.service !== null || slices.length > 0) this.#views.set(service, view);
    }
    return view;
  }

  putIngress(spec: IngressSpec): ReadonlySet<IngressKey> {
    const before = this.#ingresses.get(spec.key)?.effective ?? null;
    const effective = spec.refused ? before : spec;
    this.#ingresses.set(spec.key, { newest: spec, effective });
    return this.#reindex(spec.key, before, effective);
  }

  removeIngress(key: IngressKey): ReadonlySet<IngressKey> {
    const before = this.#ingresses.get(key)?.effective ?? null;
    this.#ingresses.delete(key);
    return this.#reindex(key, before, null);
  }

  putService(service: ServiceSpec): void {
    this.#services.set(service.name, service);
    this.#views.delete(service.name);
  }

  removeService(name: string): void {
    this.#services.delete(name);
    this.#views.delete(name);
  }

  /** Answers the Services whose endpoints changed: two when the slice moved from one to another. */
  putSlice(slice: SliceSpec): readonly string[] {
    const before = this.#serviceOfSlice.get(slice.name);
    const moved = before !== undefined && before !== slice.service ? this.removeSlice(slice.name) : [];
    this.#serviceOfSlice.set(slice.name, slice.service);
    getOrAdd(this.#slices, slice.service, () => new Map<string, SliceSpec>()).set(slice.name, slice);
    this.#views.delete(slice.service);
    return [...moved, slice.service];
  }

  removeSlice(name: string): readonly string[] {
    const service = this.#serviceOfSlice.get(name);
    if (service === undefined) return [];
    this.#serviceOfSlice.delete(name);
    const slices = this.#slices.get(service);
    slices?.delete(name);
    if (slices?.size === 0) this.#slices.delete(service);
    this.#views.delete(service);
    return [service];
  }

  /**
   * False when what is known is as new or newer. What was written over the version that is known is newer whatever its
   * own: in a cluster that was restored from a backup versions begin lower again.
   */
  putLedger(entry: LedgerEntry, over?: ObjectVersion): boolean {
    const known = this.#ledger.get(entry.host);
    const isNewer =
      known === undefined ||
      known.resourceVersion === over ||
      isLaterVersion(entry.resourceVersion, known.resourceVersion);
    if (!isNewer) return false;
    this.#ledger.set(entry.host, entry);
    return true;
  }

  /**
   * Whoever held the host knows its entry (null: none) as of that version; only what the watch has told of a later
   * one is newer, when another replica wrote it. Answers what is so.
   */
  settleLedger(host: string, entry: LedgerEntry | null, asOf: ObjectVersion): LedgerEntry | null {
    const known = this.#ledger.get(host);
    if (known !== undefined && isLaterVersion(known.resourceVersion, asOf)) return known;
    if (entry === null) this.#ledger.delete(host);
    else this.#ledger.set(host, entry);
    return entry;
  }

  #reindex(key: IngressKey, before: IngressSpec | null, after: IngressSpec | null): ReadonlySet<IngressKey> {
    const touched = new Set([key]);
    for (const { host } of before?.hosts ?? []) {
      for (const other of this.#claims.get(host)?.keys() ?? []) touched.add(other);
      removeFrom(this.#claims, host, key);
    }
    for (const { host } of after?.hosts ?? []) {
      const claimants = getOrAdd(this.#claims, host, () => new Map<IngressKey, IngressSpec>());
      claimants.set(key, after!);
      for (const other of claimants.keys()) touched.add(other);
    }
    for (const service of servicesOf(before?.hosts ?? [])) removeFrom(this.#interest, service, key);
    for (const service of servicesOf(after?.hosts ?? [])) {
      getOrAdd(this.#interest, service, () => new Set<IngressKey>()).add(key);
    }
    return touched;
  }
}

function getOrAdd<V>(map: Map<string, V>, key: string, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}

function removeFrom(index: Map<string, Map<string, unknown> | Set<string>>, name: string, key: string): void {
  const members = index.get(name);
  members?.delete(key);
  if (members?.size === 0) index.delete(name);
}
