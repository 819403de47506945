import { mediaTypeOf, parseJson, readBody, requireObject } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { writeQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import { type JsonObject, type KubeObject, numberAt, objectAt } from '../json.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import { mergePatch } from '../patch/merge-patch.ts';
import type { Registry } from '../registry/registry.ts';
import { labelSelectorText } from '../resources/pod-template.ts';
import { refuse, wrong } from '../status.ts';
import { optionsOf } from './write.ts';

export function isScale({ definition, subresource }: ResourcePath): boolean {
  return definition.scales && subresource === 'scale';
}

/** The size of a workload as an object of its own (autoscaling/v1 Scale), which is what `kubectl scale` changes. */
export function scaleOf(workload: KubeObject): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = workload.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(workload, 'spec', 'replicas') ?? 0 },
    status: {
      replicas: numberAt(workload, 'status', 'replicas') ?? 0,
      selector: labelSelectorText(objectAt(workload, 'spec', 'selector')),
    },
  };
}

/** A PUT or PATCH of it; answers it as it is then. */
export async function rescale(
  exchange: Exchange,
  path: ResourcePath,
  registry: Registry,
): Promise<JsonObject> {
  const { request, query, method } = exchange;
  const given = parseJson(await readBody(request));
  const isJsonPatch = mediaTypeOf(request) === 'application/json-patch+json';
  const optionsKind = method === 'PUT' ? 'UpdateOptions' : 'PatchOptions';
  const options = optionsOf(path, writeQuery(query, request.headers['user-agent'], optionsKind));
  const workload = registry.update(path, '', options, (stored) => {
    const before = scaleOf(stored);
    const wanted =
      method === 'PUT'
        ? requireObject(given)
        : requireObject(isJsonPatch ? jsonPatch(before, given) : mergePatch(before, requireObject(given)));
    const replicas = numberAt(wanted, 'spec', 'replicas') ?? 0;
    if (!Number.isInteger(replicas) || replicas < 0) {
      const message = 'must be greater than or equal to 0';
      throw refuse.invalid({ group: 'autoscaling', kind: 'Scale' }, path.name, [
        wrong.invalid('spec.replicas', replicas, message),
      ]);
    }
    const { uid, resourceVersion } = objectAt(wanted, 'metadata');
    const metadata = { ...stored.metadata, ...(method === 'PUT' && { uid, resourceVersion }) };
    return { ...stored, metadata, spec: { ...objectAt(stored, 'spec'), replicas } };
  });
  return scaleOf(workload);
}
