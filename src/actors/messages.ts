import type { BackendView, ServiceSpec, SliceSpec } from '../domain/backend.ts';
import type { LostPath } from '../domain/claims.ts';
import type { OriginCa } from '../domain/compile-host.ts';
import type { Cleared, HostStep } from '../domain/host-plan.ts';
import type { HostRules, IngressKey, IngressSettings, IngressSpec, Problem } from '../domain/ingress.ts';
import type { LedgerEntry, ObjectVersion } from '../domain/ledger.ts';
import type { RouteTable } from '../domain/routes.ts';
import type { Fault, Result } from '../fault.ts';
import type { IngressRef, RunFact } from './ports.ts';

/**
 * What the watch tells the supervisor: each event is one message that says what *is*, so newer replaces older
 * per object. `*.removed` also stands for "no longer ours" (class or annotation changed).
 */
export type WorldMessage =
  | { readonly type: 'ingress.present'; readonly spec: IngressSpec }
  | { readonly type: 'ingress.removed'; readonly key: IngressKey }
  | { readonly type: 'service.present'; readonly service: ServiceSpec }
  | { readonly type: 'service.removed'; readonly name: string }
  | { readonly type: 'slice.present'; readonly slice: SliceSpec }
  | { readonly type: 'slice.removed'; readonly name: string }
  | { readonly type: 'ledger.present'; readonly entry: LedgerEntry }
  | {
      readonly type: 'ledger.removed';
      readonly host: string;
      readonly resourceVersion: ObjectVersion;
    }
  /** The PEM certificates in a Secret that is followed (`CaSecrets`), checked; a fault's message names the Secret. */
  | { readonly type: 'ca.read'; readonly secret: string; readonly result: Result<string> }
  /** Every kind was listed once and all it held has been told. Until then nothing is started or removed. */
  | { readonly type: 'world.synced' }
  /** We lead now, or do not any more (`Leadership`): what is to be written is reconsidered. */
  | { readonly type: 'leadership.changed' }
  /** The mounted credentials are other ones than before: what was stuck on them may go on. */
  | { readonly type: 'credentials.changed' }
  /** Cloudflare's API was away, or wanted no calls, and is back. */
  | { readonly type: 'cloudflare.returned' }
  /** What the mounted credentials are worth: null when they can do their work. */
  | { readonly type: 'credentials.checked'; readonly fault: Fault | null };

/** The world's messages, and what ingress actors report about the hosts that they hold. */
export type SupervisorMessage =
  | WorldMessage
  /** The ledger as just written over that version; the watch will say the same later. */
  | { readonly type: 'host.recorded'; readonly entry: LedgerEntry; readonly over: ObjectVersion }
  /** The host's tunnel is up under this name, or (null) not up any more. */
  | {
      readonly type: 'host.serving';
      readonly host: string;
      readonly tenure: number;
      readonly hostname: string | null;
    }
  /** The host's tunnel is up, or nothing will come of it for now: who served before may go. */
  | { readonly type: 'host.settled'; readonly host: string; readonly tenure: number }
  /** Nothing of the host is left, at Cloudflare or in the ledger. */
  | {
      readonly type: 'host.cleared';
      readonly host: string;
      readonly tenure: number;
      /** Version of the ledger's entry that is gone; null where there never was one. */
      readonly asOf: ObjectVersion;
    }
  /** Handed over, nothing was removed: the next owner goes on from the ledger. */
  | {
      readonly type: 'host.released';
      readonly host: string;
      readonly tenure: number;
      /** The ledger as it really is; also when a removal was interrupted and the Secret says more. */
      readonly entry: LedgerEntry | null;
      /** Version that this is known of, also where the entry is gone. */
      readonly asOf: ObjectVersion;
      /** A connector goes on until the supervisor says that it may go, or drains; `host.left` follows. */
      readonly stillRuns: boolean;
    }
  /** The connector that was left of a host that was handed over has ended. */
  | {
      readonly type: 'host.left';
      readonly ingress: IngressKey;
      readonly host: string;
      readonly tenure: number;
    }
  /** The former holders of a host have waited long enough for the holder of this tenure. */
  | { readonly type: 'host.overdue'; readonly host: string; readonly tenure: number };

/** Everything one ingress actor is responsible for now; replaces what it was told before. */
export interface Assignment {
  readonly ingress: IngressRef;
  /** The hosts that it may act on, and since when (`Holdings`). */
  readonly held: ReadonlyMap<string, number>;
  /** Of those held: to serve. */
  readonly hosts: readonly HostRules[];
  /** Of those held: to hand over without removing anything, because they have a new owner. */
  readonly released: readonly string[];
  /** Of those held: a former holder's connector has not ended yet. */
  readonly alsoRun: readonly string[];
  /** Not held any more, but to serve until their new holder does. */
  readonly lingering: readonly string[];
  /** The object cannot be read: hosts that are not listed stay as they are. */
  readonly keepOthers: boolean;
  /** The object is there, is ours and names hosts, whoever's they are. */
  readonly namesHosts: boolean;
  /** Hosts that stay as they are although they are not to be served now. */
  readonly kept: readonly string[];
  readonly settings: IngressSettings | null;
  /** Paths of this Ingress that are routed in another one's tunnel. */
  readonly contributed: readonly HostRules[];
  /** By Service name, for every Service that the hosts and the contributed paths mention. */
  readonly backends: ReadonlyMap<string, BackendView>;
  /** By Secret, as far as they have been read, for every CA that the hosts and the contributed paths need. */
  readonly cas: ReadonlyMap<string, OriginCa>;
  /** What the ledger has for the hosts that are held; looked at for those that are new to the actor. */
  readonly ledger: readonly LedgerEntry[];
  readonly publishedHostnames: readonly string[];
  readonly asksForTls: boolean;
  readonly problems: readonly Problem[];
  /** What is understood and changes nothing: beside the rest of the Ingress, or because others own the tunnels. */
  readonly ignored: readonly Problem[];
  /** Why nothing can be changed at Cloudflare, or null. */
  readonly credentialsFault: Fault | null;
  /** Paths of this Ingress that an older one keeps from being served. */
  readonly taken: readonly LostPath[];
  /** Tunnels of other Ingresses that serve paths of this one, while they are up. */
  readonly servedBy: readonly ServedBy[];
}

export interface ServedBy {
  readonly host: string;
  readonly owner: IngressKey;
  /** The tunnel's. */
  readonly hostname: string;
}

export type IngressMessage =
  /**
   * What the actor is responsible for has changed. It asks for it when it reads this: a copy made earlier would undo what
   * has been told meanwhile, as a newer message takes the place of an older one of its key in the mailbox.
   */
  | { readonly type: 'assigned' }
  | { readonly type: 'backend'; readonly service: string; readonly view: BackendView }
  | { readonly type: 'ca'; readonly secret: string; readonly ca: OriginCa }
  | {
      readonly type: 'ledger.seen';
      readonly host: string;
      readonly entry: LedgerEntry | null;
      readonly version: ObjectVersion;
    }
  | { readonly type: 'try.again' }
  | { readonly type: 'cloudflare.returned' }
  | { readonly type: 'leadership.changed' }
  | { readonly type: 'credentials.checked'; readonly fault: Fault | null }
  | {
      readonly type: 'step.done';
      readonly host: string;
      readonly step: HostStep;
      readonly result: Result<StepOutcome>;
    }
  | {
      readonly type: 'status.written';
      readonly hostnames: readonly string[];
      readonly result: Result<void>;
    }
  | { readonly type: 'status.due' }
  | { readonly type: 'step.due'; readonly host: string }
  /** No other Ingress has come to name the host. */
  | { readonly type: 'host.unmoved'; readonly host: string }
  /** The edge goes on refusing the tunnel's credentials. */
  | { readonly type: 'tunnel.unauthorized'; readonly child: string }
  /** Why the tunnel refuses everybody, or null. */
  | { readonly type: 'tunnel.access'; readonly child: string; readonly problem: string | null }
  /** Whether the tunnel is kept apart from others. */
  | { readonly type: 'tunnel.quarantine'; readonly child: string; readonly isApart: boolean }
  /** What keeps the tunnel from serving as it should although its run goes on, or null. */
  | {
      readonly type: 'tunnel.failing';
      readonly child: string;
      readonly life: number;
      readonly fault: Fault | null;
    }
  /** Time to look whether the host's records are still there. */
  | { readonly type: 'dns.doubted'; readonly host: string }
  | {
      readonly type: 'tunnel.connections';
      /** Name of the tunnel actor, and which of its lives tells it. */
      readonly child: string;
      readonly life: number;
      readonly registered: number;
    };

/** What is true after a step that succeeded. */
export interface StepOutcome {
  readonly ledger: LedgerEntry | null;
  readonly cleared: Cleared;
}

export type TunnelMessage =
  | { readonly type: 'routes'; readonly routes: RouteTable }
  | { readonly type: 'fact'; readonly fact: RunFact };
