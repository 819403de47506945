import type { CredentialSource } from './cloudflare/credentials.ts';
import {
  addressTexts,
  apiUrl,
  connectorOptions,
  logOptions,
  logSettings,
  originCert,
  secretText,
} from './config/connector-options.ts';
import {
  describeOptions,
  type Environment,
  notGiven,
  option,
  readOptions,
  type Settings,
} from './config/option-table.ts';
import { type PodConfig, podConfig, podOptions } from './config/pod-options.ts';
import {
  eitherOf,
  filePath,
  type HostPort,
  listenAddress,
  matching,
  oneOf,
  shardOfAtMost,
  wholeNumber,
} from './config/value-kinds.ts';
import { defaultOriginSettings, type IngressSettings } from './domain/ingress.ts';
import { type Shard, wholeInstall } from './domain/shard.ts';
import { failed, ok, type Result } from './fault.ts';
import type { LogSettings } from './log.ts';

/**
 * The settings of `controller`, read once at the start from arguments and environment. Durations are
 * milliseconds; null is "not given", which whoever uses it resolves.
 */
export interface ControllerConfig {
  /** Null: the service account's, the kubeconfig context's, or `default`. */
  readonly namespace: string | null;
  readonly kubeconfig: string | null;
  readonly ingressClass: string;
  readonly credentials: CredentialSource;
  readonly apiUrl: string | null;
  /** `host:port`; empty means discovery. */
  readonly edge: readonly string[];
  /** Path of a PEM bundle that replaces all roots. */
  readonly cacert: string | null;
  /** Where the keys of Access teams are; null is each team's own host. */
  readonly accessCertsUrl: string | null;
  readonly graceMs: number;
  readonly tunnelsPerThread: number | 'auto';
  /** Null: from cores and memory. */
  readonly maxThreads: number | null;
  readonly pods: PodConfig;
  /** Which hosts this process serves. */
  readonly shard: Shard;
  readonly metrics: HostPort;
  /** Null: the namespace's UID. */
  readonly identity: string | null;
  /** What holds for an Ingress without annotations. */
  readonly ingressDefaults: IngressSettings;
  readonly log: LogSettings;
}

export const defaultIngressClass = 'cloudflare-warp';
const maxTunnelsPerThread = 1_000;
const maxThreads = 1_000;
const maxShards = 64;

export const controllerOptions = {
  namespace: option(
    'namespace',
    'WARP_NAMESPACE',
    matching('NAME', /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'the name of a namespace'),
    { value: null, text: "its own in a cluster, else the context's, else default" },
    'namespace whose Ingresses are served',
  ),
  kubeconfig: option(
    'kubeconfig',
    'KUBECONFIG',
    filePath,
    { value: null, text: 'the service account where there is one' },
    'how to reach the cluster',
  ),
  ingressClass: option(
    'ingress-class',
    'WARP_INGRESS_CLASS',
    matching('NAME', /^\S{1,253}$/, 'one word'),
    { value: defaultIngressClass, text: defaultIngressClass },
    'class of the Ingresses that are ours',
  ),
  originCert,
  apiTokenFile: option(
    'api-token-file',
    null,
    filePath,
    notGiven,
    'file with a scoped API token, instead of --origincert',
  ),
  apiToken: option(null, 'CLOUDFLARE_API_TOKEN', secretText, notGiven, 'the scoped API token itself'),
  accountId: option(
    'account-id',
    'CLOUDFLARE_ACCOUNT_ID',
    matching('ID', /^[\w-]{1,64}$/, 'an account id'),
    notGiven,
    'account that an API token is for',
  ),
  apiUrl,
  ...connectorOptions,
  tunnelMode: option(
    'tunnel-mode',
    'WARP_TUNNEL_MODE',
    oneOf('worker', 'pod'),
    { value: 'worker', text: 'worker' },
    'where tunnels run',
  ),
  tunnelsPerThread: option(
    'tunnels-per-thread',
    'WARP_TUNNELS_PER_THREAD',
    eitherOf(oneOf('auto'), wholeNumber(1, maxTunnelsPerThread)),
    { value: 'auto', text: 'auto: shared threads, each tunnel spread over two or more' },
    '1 gives each tunnel a thread of its own',
  ),
  maxThreads: option(
    'max-threads',
    'WARP_MAX_THREADS',
    wholeNumber(1, maxThreads),
    { value: null, text: 'from cores and memory' },
    'most worker threads',
  ),
  shard: option(
    'shard',
    'WARP_SHARD',
    shardOfAtMost(maxShards),
    { value: wholeInstall, text: '0/1: all hosts' },
    'which part of the hosts this process serves, for namespaces past one process',
  ),
  ...podOptions,
  originVia: option(
    'origin-via',
    'WARP_ORIGIN_VIA',
    oneOf('service', 'endpoints'),
    { value: 'service', text: 'service' },
    "by the Service's cluster IP, or straight to ready addresses",
  ),
  dns: option(
    'dns',
    'WARP_DNS',
    oneOf('managed', 'off'),
    { value: 'managed', text: 'managed' },
    'whether DNS records are made and removed',
  ),
  metrics: option(
    'metrics',
    'TUNNEL_METRICS',
    listenAddress,
    { value: { host: '0.0.0.0', port: 9_090 }, text: '0.0.0.0:9090' },
    'where /healthz, /readyz, /metrics and the status page are served',
  ),
  identity: option(
    'identity',
    'WARP_IDENTITY',
    matching(
      'TEXT',
      /^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/,
      'up to 63 letters, digits, ".", "_", "-"',
    ),
    { value: null, text: "the namespace's UID" },
    'whose tunnels and records these are at Cloudflare',
  ),
  ...logOptions,
};

/** `isTerminal`: whether the log goes to one. */
export function readControllerConfig(
  argv: readonly string[],
  env: Environment,
  isTerminal: boolean,
): Result<ControllerConfig> {
  const settings = readOptions(controllerOptions, argv, env);
  return settings.ok ? controllerConfig(settings.value, isTerminal) : settings;
}

/** What the settings of the controller's own options come to; other commands have further options beside them. */
export function controllerConfig(
  settings: Settings<typeof controllerOptions>,
  isTerminal: boolean,
): Result<ControllerConfig> {
  const credentials = credentialSource(settings);
  if (!credentials.ok) return credentials;
  const { value } = settings;
  return ok({
    namespace: value.namespace,
    kubeconfig: value.kubeconfig,
    ingressClass: value.ingressClass,
    credentials: credentials.value,
    apiUrl: value.apiUrl,
    edge: addressTexts(value.edge),
    cacert: value.cacert,
    accessCertsUrl: value.accessCertsUrl,
    graceMs: value.graceMs,
    tunnelsPerThread: value.tunnelsPerThread,
    maxThreads: value.maxThreads,
    pods: podConfig(value),
    shard: value.shard,
    metrics: value.metrics,
    identity: value.identity,
    ingressDefaults: {
      mode: value.tunnelMode,
      replicas: 1,
      haConnections: value.haConnections,
      noBackend: 'close',
      dns: value.dns,
      originVia: value.originVia,
      origin: defaultOriginSettings,
      access: null,
    },
    log: logSettings(value, isTerminal),
  });
}

export function describeControllerOptions(): string {
  return describeOptions(controllerOptions);
}

/** A certificate or an API token, never both: a flag beats the environment, and two equals are refused. */
function credentialSource({ value, from }: Settings<typeof controllerOptions>): Result<CredentialSource> {
  const hasCertFlag = from.originCert === 'flag';
  if (hasCertFlag && value.apiTokenFile !== null) {
    return failed('config-invalid', '--origincert and --api-token-file: expected one of the two');
  }
  if (hasCertFlag || (value.apiTokenFile === null && value.apiToken === null)) {
    if (from.accountId === 'flag') {
      return failed(
        'config-invalid',
        '--account-id: a certificate names its account, expected an API token with it',
      );
    }
    return ok({ from: 'origincert', path: value.originCert });
  }
  if (value.apiTokenFile === null && from.originCert === 'environment') {
    return failed('config-invalid', 'TUNNEL_ORIGIN_CERT and CLOUDFLARE_API_TOKEN: expected one of the two');
  }
  const { accountId } = value;
  if (accountId === null) {
    return failed(
      'config-invalid',
      'an API token needs its account: expected --account-id or CLOUDFLARE_ACCOUNT_ID',
    );
  }
  if (value.apiTokenFile !== null) return ok({ from: 'token-file', path: value.apiTokenFile, accountId });
  return ok({ from: 'token', token: value.apiToken ?? '', accountId });
}
