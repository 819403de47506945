/**
 * The ledger of one tunnel: what exists at Cloudflare because of us. Kept in one Secret per host, written
 * *before* the tunnel is created and removed *after* everything at Cloudflare is gone, so that neither a crash
 * nor an Ingress deleted while nobody watched can leave something behind that nobody knows of.
 */
export interface LedgerEntry {
  readonly host: string;
  /** The Ingress that the tunnel belongs to. */
  readonly ingress: string;
  /** Owner identity of this install (`--identity`). */
  readonly identity: string;
  readonly tunnelName: string;
  /** Null until Cloudflare has created (or we have found) the tunnel. */
  readonly tunnel: KnownTunnel | null;
  /**
   * Records of ours may exist. Written before they are published and taken back after they are gone, so that
   * an interrupted publication is found again also when `dns: off` came in between.
   */
  readonly publishes: boolean;
  /** Null until we know of records of ours. */
  readonly dns: DnsRecords | null;
  /** Of the Secret; null before it is first written, and after somebody has deleted or emptied it. */
  readonly resourceVersion: ObjectVersion;
}

/** The `resourceVersion` of an object; null where there is none, which is earlier than all. */
export type ObjectVersion = string | null;

/** Stands for what only a write could tell (`host-forecast`): what has it can go into no ledger. */
export const foreseen: unique symbol = Symbol('foreseen');

/** An entry as it is, or as it would be once it is written. */
export type ForeseenEntry = Omit<LedgerEntry, 'tunnel' | 'resourceVersion'> & {
  readonly tunnel: KnownTunnel | (Omit<KnownTunnel, 'token'> & { readonly token: typeof foreseen }) | null;
  readonly resourceVersion: ObjectVersion | typeof foreseen;
};

/** There is a Secret with what the entry says, or was when we last heard of it. */
export type StoredLedgerEntry = LedgerEntry & { readonly resourceVersion: string };

export function isStored(entry: LedgerEntry): entry is StoredLedgerEntry {
  return entry.resourceVersion !== null;
}

/** What is known all the same once somebody has deleted or emptied the Secret: the tunnel and its records are still there. */
export function bereft(entry: LedgerEntry): LedgerEntry {
  return { ...entry, resourceVersion: null };
}

export interface TunnelIdentity {
  readonly accountId: string;
  /** UUID. */
  readonly id: string;
  /** The connector token (protocol page, section 1.3). A secret: never logged. */
  readonly token: string;
}

/** Without a token where somebody has spoilt it: nothing can run with that, and Cloudflare is asked for it. */
export type KnownTunnel = Omit<TunnelIdentity, 'token'> & { readonly token: string | null };

export function hasToken(tunnel: KnownTunnel): tunnel is TunnelIdentity {
  return tunnel.token !== null;
}

/** The proxied CNAME and the TXT owner mark beside it. */
export interface DnsRecords {
  readonly zoneId: string;
  readonly cnameId: string;
  readonly txtId: string;
  /**
   * Their removal has begun, so they may be gone: whoever wants the host after all, in this life or another, looks
   * before believing in them. Only in the ledger.
   */
  readonly leaving?: true;
}

/** The records as they are, or were before their removal began. */
export function knownRecords({ dns }: Pick<LedgerEntry, 'dns'>): DnsRecords | null {
  if (dns === null) return null;
  const { zoneId, cnameId, txtId } = dns;
  return { zoneId, cnameId, txtId };
}

/**
 * Whether `a` was written after `b`. resourceVersions of one cluster are comparable integers (Kubernetes API
 * concepts, "Resource versions", since 1.35); what is not a number is taken as it comes.
 */
export function isLaterVersion(a: ObjectVersion, b: ObjectVersion): boolean {
  if (a === null || b === null) return a !== null && b === null;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return a !== b;
  return BigInt(a) > BigInt(b);
}

/**
 * Whether what has this version was written in a history that no longer goes on to `known`: the cluster was restored
 * from a backup. False where versions are no numbers.
 */
export function isOfEarlierHistory(version: ObjectVersion, known: ObjectVersion): boolean {
  return isLaterVersion(known, version) && !isLaterVersion(version, known);
}
