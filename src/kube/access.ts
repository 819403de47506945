import { access as canAccess, readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { failed, ok, type Result } from '../fault.ts';

/** Where the API server is and as whom we speak to it. */
export interface KubeAccess {
  /** May have a path (a proxy in front of several clusters). */
  readonly server: URL;
  /** Of the service account or of the kubeconfig's context; null when neither names one. */
  readonly namespace: string | null;
  /**
   * TLS options and headers for one request, read anew each time: service account tokens are rotated about
   * once an hour, credential plugins' answers expire. May throw; the message is fit for a log. Holds secrets.
   */
  options(): Promise<RequestOptions>;
}

/** What of the process decides where we are; a test gives its own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly serviceAccountDir: string;
  readonly home: string;
}

export const processSurroundings: Surroundings = {
  env: process.env,
  serviceAccountDir: '/var/run/secrets/kubernetes.io/serviceaccount',
  home: homeOrRoot(),
};

/** A container may run as a user that its image does not know (OpenShift gives each namespace its own): no home. */
function homeOrRoot(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}

/**
 * The given kubeconfig (several paths as in `$KUBECONFIG` are merged as kubectl does); else the pod's service
 * account where there is one; else `~/.kube/config`.
 */
export async function findAccess(
  kubeconfig: string | null,
  around: Surroundings,
): Promise<Result<KubeAccess>> {
  if (kubeconfig !== null) return kubeconfigAccess(kubeconfig.split(delimiter).filter((path) => path !== ''));
  const inCluster = await serviceAccountAccess(around);
  if (inCluster !== null) return ok(inCluster);
  const ofUser = join(around.home, '.kube', 'config');
  if (await exists(ofUser)) return kubeconfigAccess([ofUser]);
  return failed(
    'config-invalid',
    `no way to a cluster: no kubeconfig is given, this is no pod with a service account, and ${ofUser} does not exist`,
  );
}

/**
 * Read here and not with the SDK: its KubeConfig loads every model of the API (0.4 s and 80 MiB), and in a
 * cluster, where the controller lives, four files say everything.
 */
async function serviceAccountAccess({ env, serviceAccountDir }: Surroundings): Promise<KubeAccess | null> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  const tokenPath = join(serviceAccountDir, 'token');
  if (!host || !port || !(await exists(tokenPath))) return null;
  const namespace = await readFile(join(serviceAccountDir, 'namespace'), 'utf8').catch(() => '');
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    namespace: namespace.trim() || null,
    options: async () => {
      const [ca, token] = await Promise.all([
        readFile(join(serviceAccountDir, 'ca.crt')),
        readFile(tokenPath, 'utf8'),
      ]);
      return { ca, headers: { authorization: `Bearer ${token.trim()}` } };
    },
  };
}

async function kubeconfigAccess(paths: readonly string[]): Promise<Result<KubeAccess>> {
  const [first, ...others] = paths;
  if (first === undefined) return failed('config-invalid', 'the kubeconfig is an empty path');
  // The narrowest door that the package has: the index would load another quarter.
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  let reading = first;
  try {
    config.loadFromFile(first);
    for (const path of others) {
      reading = path;
      const other = new KubeConfig();
      other.loadFromFile(path);
      // The first file that sets the current context wins, as with kubectl.
      config.mergeConfig(other, Boolean(config.currentContext));
    }
  } catch (thrown) {
    return failed('config-invalid', `kubeconfig ${reading} cannot be read: ${messageOf(thrown)}`);
  }
  // The SDK refuses plain http unless TLS verification is off; kubectl does not, and there is no TLS to verify.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  const where = `kubeconfig ${paths.join(delimiter)}, context ${JSON.stringify(config.currentContext ?? '')}`;
  const cluster = config.getCurrentCluster();
  if (cluster === null) return failed('config-invalid', `${where}: names no known cluster`);
  if (!URL.canParse(cluster.server) || !/^https?:/.test(cluster.server)) {
    return failed('config-invalid', `${where}: server ${JSON.stringify(cluster.server)} is no http(s) URL`);
  }
  return ok({
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.currentContext)?.namespace || null,
    options: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // The SDK's agent keeps no connection; it is only needed where there is a proxy to go through.
      if (!cluster.proxyUrl) delete options.agent;
      return options;
    },
  });
}

async function exists(path: string): Promise<boolean> {
  return canAccess(path).then(
    () => true,
    () => false,
  );
}

/** The first line only: what follows in a YAML error is a piece of the file, which has secrets. */
function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split('\n', 1)[0] ?? '';
}
