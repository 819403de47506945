import { equal, type JsonObject, type KubeObject, objectsAt, textAt } from '../json.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { structSchema } from '../schema/schema.ts';
import { difference, type FieldSet, fromFields, isEmpty, toFields, union } from './field-set.ts';
import { compare, owned } from './fields.ts';

/** Who writes, as `managedFields` notes it. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Update' | 'Apply';
  readonly apiVersion: string;
  readonly subresource: string;
}

/** One manager's share of an object. */
export interface Share {
  readonly writer: Writer;
  readonly time: string;
  readonly fields: FieldSet;
}

/** The shares that an object's `managedFields` tell; what cannot be read counts as nobody's. */
export function sharesOf(object: KubeObject): Share[] {
  return objectsAt(object.metadata, 'managedFields')
    .filter((entry) => entry.operation === 'Update' || entry.operation === 'Apply')
    .map((entry) => ({
      writer: {
        manager: textAt(entry, 'manager'),
        operation: entry.operation as Writer['operation'],
        apiVersion: textAt(entry, 'apiVersion'),
        subresource: textAt(entry, 'subresource'),
      },
      time: textAt(entry, 'time'),
      fields: fromFields(entry.fieldsV1),
    }));
}

/** Appliers first, then by time and name, as the real server sorts them. */
export function withShares(object: KubeObject, shares: readonly Share[]): KubeObject {
  const rank = ({ writer, time }: Share): string =>
    [writer.operation, time, writer.manager, writer.subresource].join(' ');
  const managedFields = shares
    .filter(({ fields }) => !isEmpty(fields))
    .sort((left, right) => (rank(left) < rank(right) ? -1 : 1))
    .map(
      ({ writer, time, fields }): JsonObject => ({
        manager: writer.manager,
        operation: writer.operation,
        apiVersion: writer.apiVersion,
        time,
        fieldsType: 'FieldsV1',
        fieldsV1: toFields(fields),
        ...(writer.subresource !== '' && { subresource: writer.subresource }),
      }),
    );
  const { managedFields: _, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: { ...metadata, ...(managedFields.length > 0 && { managedFields }) } as KubeObject['metadata'],
  };
}

export function isSameWriter(left: Writer, right: Writer): boolean {
  return equal(left, right);
}

/** Notes that `writer` made `object` out of `old`: what it changed is its own now, and nobody else's. */
export function track(
  definition: ResourceDefinition,
  old: KubeObject | null,
  object: KubeObject,
  writer: Writer,
  time: string,
): KubeObject {
  const before = old === null ? { metadata: {} } : definition.fromStored(old);
  const { changed, removed } = compare(before, definition.fromStored(object), structSchema(definition.model));
  const gained = owned(changed);
  const shares = sharesOf(object.metadata.managedFields === undefined && old !== null ? old : object);
  const others = shares
    .filter((share) => !isSameWriter(share.writer, writer))
    .map((share) => ({ ...share, fields: difference(difference(share.fields, gained), removed) }));
  const own = shares.find((share) => isSameWriter(share.writer, writer));
  const fields = union(difference(own?.fields ?? fromFields(null), removed), gained);
  const unchanged = own !== undefined && equal(toFields(own.fields), toFields(fields));
  return withShares(object, [...others, { writer, time: unchanged ? own.time : time, fields }]);
}
