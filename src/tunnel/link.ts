import type { MessagePort } from 'node:worker_threads';
import type { RouteTable } from '../domain/routes.ts';
import type { Fault } from '../fault.ts';

/**
 * The link between the controller and whatever runs connectors (a worker thread; the same messages would do
 * over any channel). One link carries any number of tunnels, and of each tunnel any subset of its HA
 * connections. Plain data only; every message is whole.
 */

/** Names one run of one tunnel on one link; a restarted tunnel has a new one, so a late message is harmless. */
export type RunId = string;

/** Everything a connector needs. Holds a secret: never logged. */
export interface ConnectorSpec {
  readonly run: RunId;
  readonly host: string;
  readonly credentials: TunnelCredentials;
  /** The connector id (UUID): the same for all connections of one connector, also on other threads. */
  readonly connectorId: string;
  /** Which of the tunnel's HA connections run here, as `connIndex` (0–255). */
  readonly connections: readonly number[];
  /** No other connection of the tunnel is there, nor begins before these: they go before those of others. */
  readonly urgent: boolean;
  readonly edge: EdgeSettings;
  readonly routes: RouteTable;
}

export interface TunnelCredentials {
  readonly accountTag: string;
  /** UUID. */
  readonly tunnelId: string;
  /** Standard base64. A secret. */
  readonly tunnelSecret: string;
}

export interface EdgeSettings {
  /** `host:port`; empty means discovery by SRV. */
  readonly addresses: readonly string[];
  /** PEM bundle that replaces all roots (`--cacert`); null: public roots and Cloudflare's. */
  readonly ca: string | null;
  /** Region of discovery from the token's endpoint; empty is the default one. */
  readonly region: string;
}

/** What a thread is started with: its end of the link. Closing the other end asks the thread to end. */
export interface ThreadTask {
  readonly port: MessagePort;
  readonly logLevel: string;
  /** `--access-certs-url`; null is each team's own host. */
  readonly accessCertsUrl: string | null;
}

export type ToThread =
  | { readonly type: 'tunnel.start'; readonly spec: ConnectorSpec }
  | { readonly type: 'tunnel.routes'; readonly run: RunId; readonly routes: RouteTable }
  /** Unregister, drain for at most `graceMs`, then end. */
  | { readonly type: 'tunnel.stop'; readonly run: RunId; readonly graceMs: number }
  /** Answered by what was counted, and `thread.pong` behind it. */
  | { readonly type: 'thread.ping'; readonly sequence: number };

export type FromThread =
  | TunnelFact
  | { readonly type: 'thread.ready' }
  | { readonly type: 'thread.pong'; readonly sequence: number }
  | { readonly type: 'tunnel.counts'; readonly run: RunId; readonly counts: TunnelCounts };

/** What goes up from a connector: facts, and exactly one ending, after which nothing follows. */
export type TunnelFact =
  | {
      readonly type: 'connection.registered';
      readonly run: RunId;
      readonly connIndex: number;
      readonly location: string;
      readonly edge: string;
    }
  | {
      readonly type: 'connection.lost';
      readonly run: RunId;
      readonly connIndex: number;
      readonly fault: Fault;
      readonly retryInMs: number;
    }
  /** Everybody is refused, because what tokens are verified with cannot be had; null: not any more. */
  | { readonly type: 'access.keys'; readonly run: RunId; readonly problem: string | null }
  | { readonly type: 'tunnel.ended'; readonly run: RunId; readonly ending: TunnelEnding };

/** `stopped`: asked for and done. `failed`: the connector cannot go on by itself; its owner starts a new one. */
export type TunnelEnding = { readonly how: 'stopped' } | { readonly how: 'failed'; readonly fault: Fault };

/** Counted since the message before; sent when a ping is answered and when the run ends, and only when something was counted. */
export interface TunnelCounts {
  /** Requests by class of the answer: index 1 is 1xx … 5 is 5xx; 0 is "no answer" (cancelled, reset). */
  readonly requests: readonly number[];
  /** Requests per bucket of `durationBucketsSeconds`, the last one above them all. */
  readonly durations: readonly number[];
  readonly durationSumSeconds: number;
  readonly originErrors: Readonly<Partial<Record<OriginErrorReason, number>>>;
}

export const durationBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

export type OriginErrorReason =
  | 'refused'
  | 'timeout'
  | 'dns'
  | 'tls'
  | 'reset'
  | 'protocol'
  | 'limit'
  /** No token could be verified, because the keys could not be had. */
  | 'access'
  | 'other';
