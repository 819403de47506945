import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { delimiter, dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { failed, ok, type Result } from '../fault.ts';
import type { KubeAccess } from './access.ts';

/**
 * What the current context of these kubeconfig files says, merged as kubectl does: of two things of one name the first
 * counts, and of several files those that do not exist are passed over.
 */
export async function kubeconfigAccess(paths: readonly string[]): Promise<Result<KubeAccess>> {
  if (paths.length === 0) return failed('config-invalid', 'the kubeconfig is an empty path');
  const files: KubeconfigFile[] = [];
  let missing: string | null = null;
  for (const path of paths) {
    try {
      files.push(await readKubeconfig(path));
    } catch (thrown) {
      const text = `kubeconfig ${path} cannot be read: ${messageOf(thrown)}`;
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') return failed('config-invalid', text);
      missing ??= text;
    }
  }
  const [first, ...others] = files;
  if (first === undefined) return failed('config-invalid', missing ?? '');
  const { config } = first;
  for (const other of others) mergeInto(config, other.config);
  const tokenFiles = new Map(files.toReversed().flatMap((file) => [...file.tokenFiles]));

  // The SDK refuses plain http unless TLS verification is off; kubectl does not, and there is no TLS to verify.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  const where = `kubeconfig ${paths.join(delimiter)}, context ${JSON.stringify(config.currentContext ?? '')}`;
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    return failed('config-invalid', `${where}: names no known cluster; expected a current-context that does`);
  if (!URL.canParse(cluster.server) || !/^https?:/.test(cluster.server)) {
    return failed('config-invalid', `${where}: server ${JSON.stringify(cluster.server)} is no http(s) URL`);
  }
  const tokenFile = tokenFiles.get(config.getCurrentUser()?.name ?? '');
  return ok({
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.currentContext)?.namespace || null,
    options: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // The SDK's agent keeps no connection; it is only needed where there is a proxy to go through.
      if (!cluster.proxyUrl) delete options.agent;
      if (tokenFile === undefined) return options;
      const token = await readFile(tokenFile, 'utf8');
      return { ...options, headers: { ...options.headers, Authorization: `Bearer ${token.trim()}` } };
    },
  });
}

interface KubeconfigFile {
  readonly config: KubeConfig;
  /** User → path of the file that has its token now. The SDK (2.0.1) does not know this field. */
  readonly tokenFiles: ReadonlyMap<string, string>;
}

const tokenFilesShape = z.object({
  users: z
    .array(z.object({ name: z.string(), user: z.object({ tokenFile: z.string().nullish() }).nullish() }))
    .nullish(),
});

/** Throws what the file system or the SDK throws. */
async function readKubeconfig(path: string): Promise<KubeconfigFile> {
  // The narrowest door that the package has: the index would load another quarter.
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const { load } = await import('js-yaml');
  const text = await readFile(path, 'utf8');
  const config = new KubeConfig();
  config.loadFromString(text);
  config.makePathsAbsolute(dirname(path));
  const { data } = tokenFilesShape.safeParse(load(text));
  const tokenFiles = (data?.users ?? []).flatMap(({ name, user }) =>
    user?.tokenFile ? [[name, resolve(dirname(path), user.tokenFile)] as const] : [],
  );
  return { config, tokenFiles: new Map(tokenFiles) };
}

/** The SDK's own merging fails on two of one name, which two clusters made by kubeadm have. */
function mergeInto(config: KubeConfig, other: KubeConfig): void {
  config.clusters = withoutRepeats([...config.clusters, ...other.clusters]);
  config.users = withoutRepeats([...config.users, ...other.users]);
  config.contexts = withoutRepeats([...config.contexts, ...other.contexts]);
  config.currentContext ||= other.currentContext;
}

function withoutRepeats<T extends { readonly name: string }>(named: readonly T[]): T[] {
  return named.filter(({ name }, at) => named.findIndex((other) => other.name === name) === at);
}

/** The first line only: what follows in a YAML error is a piece of the file, which has secrets. */
function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split('\n', 1)[0] ?? '';
}
