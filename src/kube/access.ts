import { access as canAccess, readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';

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
 * As the service account of our pod; null where we are in none.
 *
 * Read here and not with the SDK: its KubeConfig loads every model of the API (0.4 s and 80 MiB), and in a
 * cluster, where the controller lives, four files say everything.
 */
export async function serviceAccountAccess({
  env,
  serviceAccountDir,
}: Surroundings): Promise<KubeAccess | null> {
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

export async function exists(path: string): Promise<boolean> {
  return canAccess(path).then(
    () => true,
    () => false,
  );
}
