import { delimiter, join } from 'node:path';
import { failed, ok, type Result } from '../fault.ts';
import { exists, type KubeAccess, type Surroundings, serviceAccountAccess } from './access.ts';
import { kubeconfigAccess } from './kubeconfig.ts';

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
