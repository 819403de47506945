import type { AccessPolicy } from './access.ts';

/**
 * An Ingress as the controller knows it: parsed once at the border (`kube/parse-ingress`), immutable, no more
 * than what decisions need.
 */

/** Name of the Ingress; unique, because there is one namespace. */
export type IngressKey = string;

export interface IngressSpec {
  readonly key: IngressKey;
  readonly uid: string;
  readonly createdAtMs: number;
  /** One entry per host, so one per tunnel. Hosts are lower case, unique, in the order of the rules. */
  readonly hosts: readonly HostRules[];
  /**
   * Hosts that are named but have nothing left to serve (no `http`, no readable path): what exists of them
   * stays as it is, because an edit that cannot be read must not delete a record.
   */
  readonly unservable: readonly string[];
  readonly settings: IngressSettings;
  /** It has `spec.tls`, which changes nothing here; its user should hear that. */
  readonly asksForTls: boolean;
  /** What the object's status says now; what we write is compared with it. */
  readonly publishedHostnames: readonly string[];
  /** What is wrong with the object; each becomes an Event `InvalidIngress`. */
  readonly problems: readonly Problem[];
  /** What is understood and changes nothing beside the rest of the object; each becomes an Event `AnnotationIgnored`. */
  readonly ignored: readonly Problem[];
  /** Which of its annotations say how a tunnel is to be, so that they change nothing where the tunnel is another Ingress'. */
  readonly ofTunnel: readonly TunnelSetting[];
  /**
   * True when this spec must not be acted on (an annotation that is not understood, no host left): the last
   * good one stays in force.
   */
  readonly refused: boolean;
}

export interface HostRules {
  /** `app.example.com` or `*.example.com` (one label deep). */
  readonly host: string;
  readonly paths: readonly PathRule[];
}

/** `ImplementationSpecific` arrives here as `prefix`. */
export interface PathRule {
  /** As `url-path` has it. */
  readonly path: string;
  readonly match: 'exact' | 'prefix';
  readonly backend: BackendRef;
  /** From `spec.defaultBackend`: it has only what no rule of the host matches, of whichever Ingress. */
  readonly isDefault?: true;
  /** Of the Ingress that the path comes from, where that is not the one that owns the host. */
  readonly settings?: IngressSettings;
}

export interface BackendRef {
  readonly service: string;
  readonly port: BackendPort;
}

export type BackendPort =
  | { readonly by: 'number'; readonly number: number }
  | { readonly by: 'name'; readonly name: string };

export interface Problem {
  /** Where: `spec.rules[1].http`, `metadata.annotations[cloudflare-warp/mode]`. */
  readonly where: string;
  /** One sentence: what was seen and what was expected. */
  readonly message: string;
}

/** Annotations over the controller's defaults. Durations are milliseconds. */
export interface IngressSettings {
  readonly mode: 'worker' | 'pod';
  readonly replicas: number;
  readonly haConnections: number;
  readonly noBackend: 'close' | '503';
  readonly dns: 'managed' | 'off';
  readonly originVia: 'service' | 'endpoints';
  readonly origin: OriginSettings;
  /** Null: everybody comes in. */
  readonly access: AccessPolicy | null;
}

const ofTunnel = {
  mode: 'mode',
  replicas: 'replicas',
  'ha-connections': 'haConnections',
  'no-backend': 'noBackend',
  dns: 'dns',
} as const satisfies Readonly<Record<string, keyof IngressSettings>>;

/** A setting of a tunnel as a whole, by the name of its annotation: where Ingresses share a host, its owner's holds. */
export type TunnelSetting = keyof typeof ofTunnel;

export function isOfTunnel(annotation: string): annotation is TunnelSetting {
  return Object.hasOwn(ofTunnel, annotation);
}

export function tunnelSetting(settings: IngressSettings, name: TunnelSetting): string | number {
  return settings[ofTunnel[name]];
}

/** Where a tunnel's connectors run: in threads of the controller, or each in a pod of its own. */
export type TunnelPlace = { readonly mode: 'worker' } | { readonly mode: 'pod'; readonly replicas: number };

export function placeOf({ mode, replicas }: IngressSettings): TunnelPlace {
  return mode === 'pod' ? { mode, replicas } : { mode };
}

/** How to talk to an origin; cloudflared's `originRequest` of the same names. */
export interface OriginSettings {
  readonly protocol: 'http' | 'https' | 'h2c' | 'tcp';
  readonly serverName: string | null;
  readonly verifyTls: boolean;
  /** Name of a Secret with `ca.crt`. */
  readonly caSecret: string | null;
  readonly hostHeader: string | null;
  readonly connectTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly keepAliveConnections: number;
  readonly http2: boolean;
  readonly chunkedEncoding: boolean;
}

/** cloudflared's defaults (protocol page, section 10.2). */
export const defaultOriginSettings: OriginSettings = {
  protocol: 'http',
  serverName: null,
  verifyTls: true,
  caSecret: null,
  hostHeader: null,
  connectTimeoutMs: 30_000,
  keepAliveTimeoutMs: 90_000,
  keepAliveConnections: 100,
  http2: false,
  chunkedEncoding: true,
};
