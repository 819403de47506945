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
