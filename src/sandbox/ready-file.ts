import { rename, rm, writeFile } from 'node:fs/promises';
import { sampleHost } from './sample.ts';
import type { World } from './world.ts';

/** Where everything is, for programs that wait for the sandbox. */
export interface ReadyFacts {
  readonly world: World;
  readonly adminUrl: string;
  /** Null without a controller. */
  readonly metricsUrl: string | null;
}

/** Written whole or not at all: whoever sees the file can read it. */
export async function writeReadyFile(
  path: string,
  { world, adminUrl, metricsUrl }: ReadyFacts,
): Promise<void> {
  const { kubernetes, cloudflare, edge, files } = world;
  const content = {
    kubeconfig: files.kubeconfig,
    kubernetes: kubernetes.url,
    cloudflareApi: cloudflare.url,
    edge: { tunnel: edge.tunnelAddress, ca: files.edgeCa, front: edge.frontUrl },
    controller: metricsUrl === null ? null : { metrics: metricsUrl },
    admin: adminUrl,
    samples: [{ host: sampleHost, url: '/' }],
    origincert: files.originCert,
  };
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, `${JSON.stringify(content, null, 2)}\n`);
  await rename(unfinished, path);
}

/** Before the start and after the end: what it says is not true then. */
export async function removeReadyFile(path: string): Promise<void> {
  await rm(path, { force: true });
}
