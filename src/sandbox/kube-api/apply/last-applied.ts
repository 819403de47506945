import { isObject, type JsonObject, type KubeObject } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import { difference, type FieldSet, nothing } from './field-set.ts';
import { compare, fieldsOf } from './fields.ts';

/** Where `kubectl apply` without `--server-side` keeps its intent. */
const annotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** The fields that `kubectl apply` has said and that are as it said them still: `kubectl apply --server-side` may change them. */
export function lastAppliedFields(live: KubeObject, schema: Schema | null): FieldSet {
  const intent = read(live.metadata.annotations?.[annotation] ?? '');
  if (intent === null) return nothing;
  const { changed, removed } = compare(intent, live, schema);
  return difference(difference(fieldsOf(intent, schema), changed), removed);
}

/** The object with the new intent in the annotation, if it has one: so that `kubectl apply` could go on, too. */
export function withLastApplied(object: KubeObject, intent: JsonObject): KubeObject {
  const { annotations } = object.metadata;
  if (annotations?.[annotation] === undefined) return object;
  const said = { ...annotations, [annotation]: `${JSON.stringify(intent)}\n` };
  return { ...object, metadata: { ...object.metadata, annotations: said } };
}

function read(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
