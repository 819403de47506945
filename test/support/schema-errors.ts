import type { KubeObject } from './kube-user.ts';

/**
 * What is wrong with an object by Kubernetes' OpenAPI schema of its kind, or by that of its CustomResourceDefinition, as
 * packages ship them; empty when nothing is.
 */
export async function schemaErrors(object: KubeObject): Promise<string> {
  const { apiVersion, kind } = object;
  const from = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  const { [kind]: Model } = await import(`${from}/${apiVersion}/${kind}`);
  try {
    new Model(object).validate();
    return '';
  } catch (error) {
    return `${kind} ${object.metadata.name}: ${(error as Error).message}`;
  }
}
