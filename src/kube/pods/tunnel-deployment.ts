import { createHash } from 'node:crypto';
import type { TunnelRunRequest } from '../../actors/ports.ts';
import { hostHash } from '../../domain/host.ts';
import { routesToText } from '../../domain/routes-text.ts';
import { urlOf } from '../../domain/url-routes.ts';
import { failed, ok, type Result } from '../../fault.ts';
import { hostAnnotation, hostHashLabel, ledgerSecretName, managedByLabel } from '../ledger-secret.ts';
import { mergeTemplate, type PodTemplate, tunnelContainer } from './pod-template.ts';

/** What all tunnel pods of an install have in common. No secret in it. */
export interface PodSettings {
  readonly image: string;
  /** How a pod comes by its tunnel's credentials. */
  readonly credentials: PodCredentials;
  /** Cloudflare's API for pods with a certificate; null is Cloudflare's own. */
  readonly apiUrl: string | null;
  /** `host:port`; empty means discovery. */
  readonly edge: readonly string[];
  /** PEM of the roots that vouch for the edge, instead of all others; public. */
  readonly ca: string | null;
  readonly accessCertsUrl: string | null;
  readonly graceMs: number;
  readonly logLevel: string;
  /** Merged over the pod template (`--pod-template`). */
  readonly template: PodTemplate | null;
}

/** `token`: the tunnel's own, from the ledger Secret. Else the account's certificate (`cert.pem`) in this object. */
export type PodCredentials =
  | { readonly from: 'token' }
  | { readonly from: 'cert'; readonly in: 'secret' | 'configMap'; readonly name: string };

/** Of a Deployment: what somebody can say of it, without what names it. */
export interface SayableParts {
  readonly metadata: { readonly labels: object; readonly annotations: object };
  readonly spec: object;
}

/** What should be, and what tells it apart from anything else that could be. */
export interface WantedPods {
  readonly name: string;
  readonly deployment: SayableParts;
  /** Null where one replica is all there is: a budget would only keep a node from being drained. */
  readonly budget: object | null;
  readonly hash: string;
  /** Of the pods alone: one of another making is an older one. */
  readonly making: string;
}

/** Of what was asked for; never compared with what the server has made of it (defaults, other writers). */
export const podsHashAnnotation = 'cloudflare-warp/wanted';
/** Of the template that a pod was made from, without this. */
export const makingAnnotation = 'cloudflare-warp/making';
/** On a Deployment alone: when Kubernetes was last asked to try again. */
export const askedAgainAnnotation = 'cloudflare-warp/asked-again';
const tunnelAnnotation = 'cloudflare-warp/tunnel';
const tokenAnnotation = 'cloudflare-warp/token-hash';
const edgeCaAnnotation = 'cloudflare-warp/edge-ca';
/** Which Ingress the tunnel is of; a label, too, where it can be one. */
const ingressKey = 'cloudflare-warp/ingress';
const maxLabelLength = 63;
const nameLabel = 'app.kubernetes.io/name';
const appName = 'cloudflare-warp-tunnel';

/** Where a connector listens for probes, scrapes and the controller. */
export const metricsPort = 2000;
const user = 65_532;
const credentialsPath = '/etc/cloudflare-warp';
const edgeCaPath = '/etc/cloudflare-warp-edge';
/** Beyond the grace period, for a pod to end by itself. */
const terminationSlackSeconds = 15;

/**
 * The Deployment of a host's tunnel, owned by the ledger Secret with this UID. A change of anything that a connector
 * is started with gives new pods, each of which serves before an old one is asked to end.
 */
export function tunnelPods(request: TunnelRunRequest, settings: PodSettings): Result<WantedPods> {
  if (request.place.mode !== 'pod') return failed('bug', `${request.host} runs in no pod`);
  const { host, ingress, tunnel, place } = request;
  const args = argumentsOf(request, settings);
  const labels = { [nameLabel]: appName, [hostHashLabel]: hostHash(host) };
  const selector = { matchLabels: labels };
  const plain = mergeTemplate(
    {
      metadata: {
        labels: { ...labels, [managedByLabel]: 'cloudflare-warp-ingress' },
        annotations: {
          [hostAnnotation]: host,
          [tunnelAnnotation]: tunnel.id,
          // Another token is another pod; the token itself stays in the Secret.
          [tokenAnnotation]: shortHash(tunnel.token),
          ...(settings.ca !== null && { [edgeCaAnnotation]: settings.ca }),
        },
      },
      spec: podSpec(args, settings, host, selector),
    },
    settings.template,
  );
  const making = shortHash(JSON.stringify(plain));
  const template = mergeTemplate(plain, { metadata: { annotations: { [makingAnnotation]: making } } });
  const spec = {
    replicas: place.replicas,
    selector,
    revisionHistoryLimit: 2,
    // A pod is ready when the edge has registered it, and only then may an older one go.
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template,
  };
  const budget = place.replicas < 2 ? null : { maxUnavailable: 1, selector };
  // Not on the pods, which would be made anew when an Ingress gets its host from another one.
  const about = {
    labels: {
      ...labels,
      'app.kubernetes.io/instance': ledgerSecretName(host),
      'app.kubernetes.io/component': 'tunnel',
      'app.kubernetes.io/part-of': 'cloudflare-warp-ingress',
      [managedByLabel]: 'cloudflare-warp-ingress',
      ...(ingress.length <= maxLabelLength && { [ingressKey]: ingress }),
    },
    annotations: { [hostAnnotation]: host, [ingressKey]: ingress },
  };
  const hash = shortHash(JSON.stringify({ about, spec, budget }));
  const metadata = (annotations: object) => ({
    name: ledgerSecretName(host),
    labels: about.labels,
    annotations: { ...about.annotations, ...annotations },
  });
  return ok({
    name: ledgerSecretName(host),
    hash,
    making,
    deployment: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata({ [podsHashAnnotation]: hash }),
      spec,
    },
    budget: budget && {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: metadata({}),
      spec: budget,
    },
  });
}

/** The same, but for the number of pods: whoever has set that keeps it (server-side apply). */
export function withoutReplicas(wanted: WantedPods): WantedPods {
  const { spec, ...rest } = wanted.deployment;
  const { replicas: _, ...others } = spec as { readonly replicas: number };
  return { ...wanted, deployment: { ...rest, spec: others } };
}

function argumentsOf(request: TunnelRunRequest, settings: PodSettings): string[] {
  const { host, tunnel, routes, haConnections } = request;
  const { credentials, apiUrl, edge, ca, accessCertsUrl, graceMs, logLevel } = settings;
  const url = urlOf(routes);
  return [
    'tunnel',
    ...['--hostname', host],
    ...(url === null ? ['--routes', routesToText(routes)] : ['--url', url]),
    ...(credentials.from === 'token'
      ? ['--token-file', `${credentialsPath}/token`]
      : ['--origincert', `${credentialsPath}/cert.pem`, '--tunnel', tunnel.id]),
    ...(credentials.from === 'cert' && apiUrl !== null ? ['--api-url', apiUrl] : []),
    ...['--ha-connections', String(haConnections), '--grace-period', `${graceMs}ms`],
    ...edge.flatMap((address) => ['--edge', address]),
    ...(ca === null ? [] : ['--cacert', `${edgeCaPath}/ca.pem`]),
    ...(accessCertsUrl === null ? [] : ['--access-certs-url', accessCertsUrl]),
    ...['--metrics', `0.0.0.0:${metricsPort}`, '--log-level', logLevel, '--log-format', 'json'],
  ];
}

function podSpec(args: readonly string[], settings: PodSettings, host: string, selector: object): object {
  const { image, credentials, ca, graceMs } = settings;
  const seconds = Math.ceil(graceMs / 1000) + terminationSlackSeconds;
  // Listens within a second: asked sooner, Kubernetes would tell of a failed probe at each start.
  const probe = (path: string) => ({ httpGet: { path, port: 'metrics' }, initialDelaySeconds: 1 });
  return {
    // A connector asks nothing of Kubernetes.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: seconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      fsGroup: user,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: spread(selector) } },
    containers: [
      {
        name: tunnelContainer,
        image,
        args,
        ports: [{ name: 'metrics', containerPort: metricsPort }],
        // Lives: no matter what the edge does. Ready: registered there.
        livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5 },
        readinessProbe: { ...probe('/ready'), periodSeconds: 2, timeoutSeconds: 2 },
        resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '512Mi' } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [
          { name: 'credentials', mountPath: credentialsPath, readOnly: true },
          ...(ca === null ? [] : [{ name: 'edge-ca', mountPath: edgeCaPath, readOnly: true }]),
        ],
      },
    ],
    volumes: [
      { name: 'credentials', ...credentialsVolume(credentials, ledgerSecretName(host)) },
      ...(ca === null ? [] : [{ name: 'edge-ca', ...edgeCaVolume }]),
    ],
  };
}

/**
 * Preferred, not required. Not as topologySpreadConstraints: of those, the scheduler passes over every node that lacks
 * the key of one, so that nodes without a zone would not even be spread over (scoring.go, `requireAllTopologies`).
 */
function spread(labelSelector: object): object[] {
  return [
    { weight: 100, podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector } },
    { weight: 50, podAffinityTerm: { topologyKey: 'topology.kubernetes.io/zone', labelSelector } },
  ];
}

/** Of the ledger nothing but the token is mounted. Readable for the group that the pod's user is in. */
function credentialsVolume(credentials: PodCredentials, ledger: string): object {
  const defaultMode = 0o440;
  if (credentials.from === 'token') {
    return { secret: { secretName: ledger, defaultMode, items: [{ key: 'token', path: 'token' }] } };
  }
  const items = [{ key: 'cert.pem', path: 'cert.pem' }];
  return credentials.in === 'secret'
    ? { secret: { secretName: credentials.name, defaultMode, items } }
    : { configMap: { name: credentials.name, defaultMode, items } };
}

/** Roots are public: they travel as an annotation of the pod, so that there is no further object to look after. */
const edgeCaVolume = {
  downwardAPI: {
    items: [{ path: 'ca.pem', fieldRef: { fieldPath: `metadata.annotations['${edgeCaAnnotation}']` } }],
  },
};

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
