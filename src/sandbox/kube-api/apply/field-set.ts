import { isObject, type JsonObject } from '../json.ts';

/**
 * A set of field paths, in the tree form that `managedFields` has: `f:name` is a field, `k:{…}` an item of a
 * keyed list, `v:…` an item of a set. `member` says that the path itself, not only something under it, is in
 * the set. Sets are never changed once made.
 */
export interface FieldSet {
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

export const nothing: FieldSet = { member: false, children: new Map() };
export const leaf: FieldSet = { member: true, children: new Map() };

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

export function node(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = new Map<string, FieldSet>();
  for (const [element, child] of children) if (!isEmpty(child)) kept.set(element, child);
  return { member, children: kept };
}

export function union(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(left)) return right;
  if (isEmpty(right)) return left;
  const children = new Map(left.children);
  for (const [element, child] of right.children) {
    children.set(element, union(children.get(element) ?? nothing, child));
  }
  return { member: left.member || right.member, children };
}

export function difference(left: FieldSet, right: FieldSet): FieldSet {
  return node(
    left.member && !right.member,
    [...left.children].map(([element, child]) => {
      const other = right.children.get(element);
      return [element, other === undefined ? child : difference(child, other)];
    }),
  );
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  return node(
    left.member && right.member,
    [...left.children].map(([element, child]) => [
      element,
      intersection(child, right.children.get(element) ?? nothing),
    ]),
  );
}

/** Paths as errors show them: `.spec.ports[port=80,protocol="TCP"].targetPort`. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const below = [...set.children].flatMap(([element, child]) => pathsOf(child, prefix + shown(element)));
  return set.member ? [prefix, ...below] : below;
}

function shown(element: string): string {
  if (element.startsWith('f:')) return `.${element.slice(2)}`;
  const value: unknown = JSON.parse(element.slice(2));
  if (element.startsWith('v:')) return `[=${JSON.stringify(value)}]`;
  const keys = Object.entries(value as JsonObject).map(([key, part]) => `${key}=${JSON.stringify(part)}`);
  return `[${keys.join(',')}]`;
}

/** `fieldsV1`, where `.` is the member itself and `{}` a member with nothing under it. */
export function toFields(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  if (set.member && set.children.size > 0) fields['.'] = {};
  for (const [element, child] of [...set.children].sort(([left], [right]) => (left < right ? -1 : 1))) {
    fields[element] = toFields(child);
  }
  return fields;
}

export function fromFields(fields: unknown): FieldSet {
  return isObject(fields) ? read(fields, false) : nothing;
}

function read(fields: JsonObject, member: boolean): FieldSet {
  return node(
    member,
    Object.entries(fields)
      .filter(([element]) => element !== '.')
      .map(([element, below]) => {
        const inner = isObject(below) ? below : {};
        return [element, read(inner, '.' in inner || Object.keys(inner).length === 0)];
      }),
  );
}

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  return isEmpty(difference(left, right)) && isEmpty(difference(right, left));
}
