import type { EventNote } from '../domain/event.ts';
import type { Problem, TunnelPlace } from '../domain/ingress.ts';
import type { DnsRecords, LedgerEntry, StoredLedgerEntry, TunnelIdentity } from '../domain/ledger.ts';
import type { RouteTable } from '../domain/routes.ts';
import type { Fault, Result } from '../fault.ts';

/**
 * What actors need of the world. Adapters implement these and import only the types. All methods answer
 * expected failures as values and settle soon after the signal is aborted.
 */

/** The ledger Secrets. */
export interface LedgerStore {
  /** Creates what is not stored, else replaces it, guarded by the entry's `resourceVersion`; answers the entry as stored. */
  put(entry: LedgerEntry, signal: AbortSignal): Promise<Result<StoredLedgerEntry>>;
  /** Removes exactly what we know: an entry that was written since then is a `kube-conflict`. Already gone is success. */
  remove(entry: StoredLedgerEntry, signal: AbortSignal): Promise<Result<void>>;
}

/** The Secrets that Ingresses name for the CAs of their origins. */
export interface CaSecrets {
  /** `ca.read` is told soon, and each time that the Secret has changed, until it is forgotten. Idempotent. */
  follow(name: string): void;
  /** One `ca.read` that was on its way may still come. Idempotent. */
  forget(name: string): void;
}

/** Cloudflare, with whatever credentials are mounted now. */
export interface Cloudflare {
  /** Creates the tunnel, or finds the one of that name; the answer has its connector token. */
  ensureTunnel(request: TunnelRequest, signal: AbortSignal): Promise<Result<TunnelIdentity>>;
  /** Deletes the tunnel, unless somebody is connected there (`tunnel-in-use`). Already gone is success. */
  removeTunnel(removal: TunnelRemoval, signal: AbortSignal): Promise<Result<void>>;
  /**
   * Makes host → tunnel a proxied CNAME with our TXT owner mark beside it. A record that is not ours is a
   * `dns-conflict` and stays untouched.
   */
  ensureDns(request: DnsRequest, signal: AbortSignal): Promise<Result<DnsRecords>>;
  /** Removes the two records if they are still ours. Already gone, and a zone that we cannot see, is success. */
  removeDns(request: DnsRemoval, signal: AbortSignal): Promise<Result<void>>;
}

export interface TunnelRequest {
  readonly host: string;
  readonly name: string;
  readonly identity: string;
}

export interface TunnelRemoval {
  readonly name: string;
  /** From the ledger; null after an interrupted creation: then what has exactly this name is removed. */
  readonly tunnel: Pick<TunnelIdentity, 'accountId' | 'id'> | null;
  /** Whoever is connected is disconnected, with the requests that run there. */
  readonly force: boolean;
}

export interface DnsRequest {
  readonly host: string;
  readonly tunnelId: string;
  readonly identity: string;
  /** From the ledger, if we ever published: what to look at first. */
  readonly known: DnsRecords | null;
}

export interface DnsRemoval {
  readonly host: string;
  readonly tunnelId: string;
  readonly identity: string;
  /** From the ledger; null after an interrupted publication: then they are looked up by name and owner mark. */
  readonly known: DnsRecords | null;
}

/** What users look at: the Ingress' status and its Events. */
export interface IngressSink {
  /**
   * Writes `status.loadBalancer.ingress[].hostname`, where `known` is what we had written there as far as the caller
   * knows; an Ingress that is gone is success.
   */
  publish(
    ingress: IngressRef,
    hostnames: readonly string[],
    known: readonly string[],
    signal: AbortSignal,
  ): Promise<Result<void>>;
  /** Never fails towards the caller; Events are best effort and aggregated by the adapter. */
  event(ingress: IngressRef, note: EventNote): void;
}

export interface IngressRef {
  readonly name: string;
  readonly uid: string;
}

/** Runs connectors somewhere: in threads or in pods. The caller cannot tell which. */
export interface TunnelRunner {
  /** Never throws; what goes wrong is the run's ending. A second run of a host replaces the first one gently. */
  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun;
  /**
   * Only the host's runs that there are now count: what others have left behind, an earlier process or a run that
   * ended in a fault, is ended. Cheap.
   */
  clear(host: string): void;
}

/** Holds a secret (the token): never logged. */
export interface TunnelRunRequest {
  readonly host: string;
  /** Whose tunnel it is: for people who look at what runs it. */
  readonly ingress: string;
  readonly tunnel: TunnelIdentity;
  /** Of one connector. */
  readonly haConnections: number;
  readonly place: TunnelPlace;
  readonly routes: RouteTable;
}

/** One run. After `ended` was heard every method is a no-op. */
export interface TunnelRun {
  updateRoutes(routes: RouteTable): void;
  /** Unregister and drain, at most the grace period; `ended` follows. */
  stop(): void;
  /** End it now; `ended` follows. */
  kill(): void;
}

/** Facts go up; `ended` is told exactly once and is the last. */
export type RunFact =
  | { readonly type: 'connections'; readonly registered: number }
  | { readonly type: 'lost'; readonly connIndex: number; readonly fault: Fault }
  /** As the link has it. */
  | { readonly type: 'access'; readonly problem: string | null }
  /** It goes on, and this keeps it from serving, or from serving as it should; null: nothing does any more. */
  | { readonly type: 'failing'; readonly fault: Fault | null }
  /** It is kept apart from others because threads died under it, or no more. */
  | { readonly type: 'quarantine'; readonly isApart: boolean }
  | { readonly type: 'ended'; readonly fault: Fault | null };

/**
 * Which of several controllers writes to Cloudflare, to status and to what tunnels in pods are made of. All of them
 * serve tunnels in threads, and see the rest.
 */
export interface Leadership {
  readonly isLeading: boolean;
  /** Hears every change from now on, not what is; answers how to stop listening. */
  onChange(hear: (isLeading: boolean) => void): () => void;
}

/** What is counted; `ops` implements it with prom-client. Every method is cheap and never throws. */
export interface Telemetry {
  tunnelState(ingress: string, host: string, state: TunnelState | null): void;
  tunnelConnections(host: string, registered: number | null): void;
  tunnelRestarted(host: string, reason: string): void;
  timeToReady(seconds: number): void;
  /** What is wrong with an Ingress now; replaces what was told before, and none is nothing. */
  ingressProblems(ingress: string, problems: readonly Problem[]): void;
}

export type TunnelState = 'provisioning' | 'waiting' | 'starting' | 'up' | 'failed' | 'closing';

export interface ActorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}
