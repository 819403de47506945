import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { sandboxImage } from './node/node.ts';
import type { World } from './world.ts';

/** The same address once per connection: a connector uses each one for one connection only. */
const edgeRepetitions = 4;

/** What points a controller at this world instead of the real one. */
export function controllerArguments({ files, namespace, cloudflare, edge }: World): string[] {
  return [
    'controller',
    ...['--kubeconfig', files.kubeconfig, '--namespace', namespace],
    ...['--origincert', files.originCert, '--api-url', cloudflare.url],
    ...['--cacert', files.edgeCa, '--pod-image', sandboxImage],
    ...Array.from({ length: edgeRepetitions }, () => ['--edge', edge.tunnelAddress]).flat(),
  ];
}

/** Chosen here and now, so that a process has the same one after a restart. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
