import { isObject, type Json, type JsonObject } from '../json.ts';
import { mergeOrder } from '../patch/ordered-merge.ts';
import { type ListSchema, memberSchema, type Schema } from '../schema/schema.ts';
import { type FieldSet, isEmpty, nothing } from './field-set.ts';
import { elementOf, itemsByElement } from './fields.ts';

/** The live value with the applied one laid over it. */
export function overlay(live: Json | undefined, applied: Json, schema: Schema | null): Json {
  if (live === undefined || schema === null) return applied;
  const granular = (schema.type === 'struct' || schema.type === 'map') && !schema.atomic;
  if (granular && isObject(live) && isObject(applied)) {
    const merged: JsonObject = { ...live };
    for (const [key, value] of Object.entries(applied)) {
      if (value !== undefined) merged[key] = overlay(live[key], value, memberSchema(schema, key));
    }
    return merged;
  }
  if (schema.type === 'list' && Array.isArray(live) && Array.isArray(applied)) {
    return overlayList(live, applied, schema);
  }
  return applied;
}

function overlayList(live: readonly Json[], applied: readonly Json[], schema: ListSchema): Json[] {
  const old = itemsByElement(live, schema);
  const wanted = itemsByElement(applied, schema);
  if (old === null || wanted === null) return [...applied];
  const places = [...old.keys()];
  const others = places.filter((element) => !wanted.has(element));
  const leading = [...wanted.keys()];
  // A new item goes before the next one that is known, or to the end.
  const place = (element: string): number => {
    if (old.has(element)) return places.indexOf(element);
    const next = leading.slice(leading.indexOf(element)).find((each) => old.has(each));
    return next === undefined ? places.length : places.indexOf(next);
  };
  return mergeOrder(leading, others, place).map((element) => {
    const item = wanted.get(element);
    return item === undefined ? old.get(element)! : overlay(old.get(element), item, schema.items);
  });
}

/**
 * The value without the paths in `unwanted`, save where somebody else (`kept`) has something at or under a
 * path. Undefined when nothing is left of a collection.
 */
export function prune(
  value: Json,
  unwanted: FieldSet,
  kept: FieldSet,
  schema: Schema | null,
): Json | undefined {
  if (isEmpty(unwanted)) return value;
  if (unwanted.member && isEmpty(kept)) return undefined;
  if (isObject(value) && schema !== null) {
    const left: JsonObject = {};
    for (const [key, member] of Object.entries(value)) {
      const [cut, held] = [unwanted.children.get(`f:${key}`), kept.children.get(`f:${key}`)];
      if (member === undefined) continue;
      const rest = prune(member, cut ?? nothing, held ?? nothing, memberSchema(schema, key));
      if (rest !== undefined) left[key] = rest;
    }
    return schema.type === 'map' && Object.keys(left).length === 0 ? undefined : left;
  }
  if (Array.isArray(value) && schema?.type === 'list') {
    const { keys } = schema.merge;
    if (keys === undefined) return value;
    const left = value.flatMap((item) => {
      const element = elementOf(item, keys);
      const [cut, held] = [unwanted.children.get(element), kept.children.get(element)];
      const rest = prune(item, cut ?? nothing, held ?? nothing, schema.items);
      return rest === undefined ? [] : [rest];
    });
    return left.length === 0 ? undefined : left;
  }
  return value;
}
