import type { KubeObject } from '../json.ts';
import type { ResourceDefinition } from '../resources/definition.ts';

/** Who writes, as `managedFields` notes it. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly apiVersion: string;
  readonly subresource: string;
}

export function track(
  _definition: ResourceDefinition,
  _old: KubeObject | null,
  object: KubeObject,
  _writer: Writer,
): KubeObject {
  return object;
}
