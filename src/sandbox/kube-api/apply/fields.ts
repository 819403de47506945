import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { keyDefaults } from '../schema/lists.ts';
import { type ListSchema, memberSchema, type Schema } from '../schema/schema.ts';
import { type FieldSet, leaf, node, nothing } from './field-set.ts';

/** What the fields of objects are for ownership: which paths a value has, and which differ between two. */

/** What Go holds by value, or shows even if it is empty, is always there: nobody owns its being there. */
const alwaysThere = new Set([
  'metadata',
  'spec',
  'status',
  'template',
  'strategy',
  'loadBalancer',
  'podSelector',
  'source',
  'deprecatedSource',
  'containers',
]);

/** Paths that no manager owns: identity and what the server writes. */
const unowned: FieldSet = node(false, [
  ['f:apiVersion', leaf],
  ['f:kind', leaf],
  [
    'f:metadata',
    node(
      true,
      [
        'name',
        'namespace',
        'creationTimestamp',
        'selfLink',
        'uid',
        'generation',
        'managedFields',
        'resourceVersion',
        'deletionTimestamp',
        'deletionGracePeriodSeconds',
      ].map((name) => [`f:${name}`, leaf]),
    ),
  ],
]);

/** Whole subtrees go, not only the path itself: `managedFields` is a list. */
export function owned(set: FieldSet): FieldSet {
  return without(set, unowned);
}

function without(set: FieldSet, cut: FieldSet): FieldSet {
  return node(
    set.member && !cut.member,
    [...set.children].map(([element, child]) => {
      const inner = cut.children.get(element);
      if (inner === undefined) return [element, child];
      return [element, inner === leaf ? nothing : without(child, inner)];
    }),
  );
}

/** Items of a list that merges, by the element that names each in a path; null for a list that does not. */
export function itemsByElement(list: readonly Json[], schema: ListSchema): Map<string, Json> | null {
  const { keys } = schema.merge;
  if (keys === undefined) return null;
  return new Map(list.map((item) => [elementOf(item, keys), item]));
}

export function elementOf(item: Json, keys: readonly string[]): string {
  if (keys.length === 0 || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const identity: JsonObject = {};
  for (const key of [...keys].sort()) {
    const value = item[key] ?? keyDefaults[key];
    if (value !== undefined) identity[key] = value;
  }
  return `k:${JSON.stringify(identity)}`;
}

/** The paths of a value as an applier owns them: what it said, and nothing about containers. */
export function fieldsOf(value: Json, schema: Schema | null): FieldSet {
  if (isObject(value) && schema !== null && granular(schema)) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    if (entries.length === 0) return leaf;
    return node(
      false,
      entries.map(([key, member]) => {
        const below = fieldsOf(member ?? null, memberSchema(schema, key));
        return [`f:${key}`, schema.type === 'map' ? { ...below, member: true } : below];
      }),
    );
  }
  if (Array.isArray(value) && schema?.type === 'list') {
    const items = itemsByElement(value, schema);
    if (items === null) return leaf;
    return node(
      false,
      [...items].map(([element, item]) => [
        element,
        element.startsWith('v:') ? leaf : { ...fieldsOf(item, schema.items), member: true },
      ]),
    );
  }
  return leaf;
}

function granular(schema: Schema): boolean {
  return (schema.type === 'struct' || schema.type === 'map') && !schema.atomic;
}

export interface Comparison {
  /** Paths that are new or have another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

const same: Comparison = { changed: nothing, removed: nothing };

/** What differs from `before` to `after`; either may be absent. `name` is the field's own. */
export function compare(
  before: Json | undefined,
  after: Json | undefined,
  schema: Schema | null,
  name = '',
): Comparison {
  if (equal(before, after)) return same;
  // Empty strings and nulls in structs are what Go shows for fields that were never set.
  if (name !== '' && isUnset(before) && isUnset(after)) return same;
  if (before === undefined || before === null)
    return { changed: added(after ?? null, schema, name), removed: nothing };
  if (after === undefined || after === null)
    return { changed: nothing, removed: added(before, schema, name) };
  if (schema !== null && granular(schema) && isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return together(
      [...keys].map((key) => [
        `f:${key}`,
        compare(before[key], after[key], memberSchema(schema, key), schema.type === 'map' ? '' : key),
      ]),
    );
  }
  if (schema?.type === 'list' && Array.isArray(before) && Array.isArray(after)) {
    const old = itemsByElement(before, schema);
    const now = itemsByElement(after, schema);
    if (old !== null && now !== null) {
      const elements = new Set([...old.keys(), ...now.keys()]);
      return together(
        [...elements].map((element) => [
          element,
          compare(old.get(element), now.get(element), schema.items, element),
        ]),
      );
    }
  }
  return { changed: leaf, removed: nothing };
}

function isUnset(value: Json | undefined): boolean {
  return value === undefined || value === null || value === '';
}

/** The paths of a value that was not there before, containers included. */
function added(value: Json, schema: Schema | null, name: string): FieldSet {
  const below = fieldsOf(value, schema);
  const expected = name === '' || alwaysThere.has(name);
  if (isUnset(value) && name !== '') return nothing;
  if (below.children.size === 0) return expected && isEmptyObject(value) ? nothing : leaf;
  const children = [...below.children].map(([element]): [string, FieldSet] => {
    if (isObject(value) && element.startsWith('f:')) {
      const key = element.slice(2);
      const inMap = schema?.type === 'map';
      return [element, inMap ? leaf : added(value[key] ?? null, memberSchema(schema!, key), key)];
    }
    const list = schema as ListSchema;
    return [element, added(itemsByElement(value as Json[], list)!.get(element)!, list.items, element)];
  });
  return node(!expected, children);
}

function isEmptyObject(value: Json): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function together(parts: readonly (readonly [string, Comparison])[]): Comparison {
  return {
    changed: node(
      false,
      parts.map(([element, part]) => [element, part.changed]),
    ),
    removed: node(
      false,
      parts.map(([element, part]) => [element, part.removed]),
    ),
  };
}
