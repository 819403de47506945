import { z } from 'zod';
import { failed, ok, type Result } from '../../fault.ts';
import type { KubeClient } from '../client.ts';

const answerShape = z.object({ status: z.object({ allowed: z.boolean() }) });

/**
 * Whether the Role lets us list Deployments, asked by a SelfSubjectAccessReview (authorization.k8s.io/v1), which Kubernetes
 * allows to every account (ClusterRole system:basic-user): the answer "no" is no refused request in anybody's audit log.
 */
export async function mayListDeployments(client: KubeClient, signal: AbortSignal): Promise<Result<boolean>> {
  const attributes = { namespace: client.namespace, verb: 'list', group: 'apps', resource: 'deployments' };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: attributes },
  };
  const request = { method: 'POST', resource: 'selfsubjectaccessreviews', body: review } as const;
  const answer = await client.call(request, signal);
  if (!answer.ok) return answer;
  const parsed = answerShape.safeParse(answer.value);
  return parsed.success
    ? ok(parsed.data.status.allowed)
    : failed('kube-refused', 'SelfSubjectAccessReview: the answer does not say whether it is allowed');
}
