import { z } from 'zod';
import { failed, ok, type Result } from '../../fault.ts';
import type { KubeClient } from '../client.ts';

const podShape = z.object({
  spec: z.object({ containers: z.array(z.object({ name: z.string(), image: z.string().min(1) })).min(1) }),
});

/**
 * The image that the controller itself runs in, from its own Pod: a pod's host name is its name unless its spec says
 * otherwise. Of several containers the one named `controller` counts, else the first.
 */
export async function readOwnImage(
  client: KubeClient,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Result<string>> {
  const unknown = (why: string): Result<never> =>
    failed('config-invalid', `mode "pod" does not know which image to run: ${why}; expected --pod-image`);
  const { KUBERNETES_SERVICE_HOST: inCluster, HOSTNAME: name } = env;
  if (!inCluster || !name) return unknown('the controller is in no pod whose image could be read');
  const answer = await client.call({ method: 'GET', resource: 'pods', name }, signal);
  if (!answer.ok) {
    const passing = answer.fault.code === 'kube-unreachable' || answer.fault.code === 'stopped';
    return passing ? answer : unknown(answer.fault.message);
  }
  const parsed = podShape.safeParse(answer.value);
  if (!parsed.success) return unknown(`Pod ${name} names none`);
  const { containers } = parsed.data.spec;
  return ok((containers.find((each) => each.name === 'controller') ?? containers[0]!).image);
}
