import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { keyDefaults } from '../schema/lists.ts';
import { type ListSchema, memberSchema, type Schema } from '../schema/schema.ts';
import { refuse } from '../status.ts';
import { mergeOrder } from './ordered-merge.ts';

/**
 * Kubernetes' own patch format: a merge patch whose lists merge by key where the API says so, with
 * directives (`$patch`, `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`). Answers a new value.
 */
export function strategicMerge(target: JsonObject, patch: JsonObject, schema: Schema | null): JsonObject {
  switch (patch.$patch) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return withoutDirectives(patch);
    case 'delete':
      return {};
    default:
      throw refuse.badRequest(`unknown patch type found: ${JSON.stringify(patch.$patch)}`);
  }
  const result: JsonObject = { ...target };
  const retained = patch.$retainKeys;
  if (Array.isArray(retained)) {
    for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') && !/^\$(setElementOrder|deleteFromPrimitiveList)\//.test(key)) continue;
    const [directive, name = key] = key.startsWith('$') ? key.split('/') : [''];
    const member = schema === null ? null : memberSchema(schema, name);
    const current = result[name];
    if (directive === '$deleteFromPrimitiveList') {
      const unwanted = Array.isArray(value) ? value : [];
      if (Array.isArray(current)) {
        const kept = current.filter((item) => !unwanted.some((each) => equal(each, item)));
        result[name] = patch[name] === undefined ? kept : mergeValue(kept, patch[name]!, member);
      }
    } else if (directive === '$setElementOrder') {
      if (patch[name] === undefined && Array.isArray(current) && Array.isArray(value)) {
        result[name] = inOrder(current, current, value, patchKeyOf(member));
      }
    } else if (value === null || value === undefined) {
      delete result[name];
    } else if (patch[`$deleteFromPrimitiveList/${name}`] === undefined) {
      const merged = mergeValue(current, value, member);
      const order = patch[`$setElementOrder/${name}`] ?? value;
      const merges = member?.type === 'list' && member.merge.patchKey !== undefined;
      result[name] =
        merges && Array.isArray(order) && Array.isArray(merged)
          ? inOrder(merged, Array.isArray(current) ? current : [], order, patchKeyOf(member))
          : merged;
    }
  }
  return result;
}

function mergeValue(current: Json | undefined, patch: Json, schema: Schema | null): Json {
  if (isObject(patch)) {
    const replaces = schema?.type === 'struct' && schema.merge === 'replace';
    return isObject(current) && !replaces ? strategicMerge(current, patch, schema) : withoutDirectives(patch);
  }
  if (!Array.isArray(patch)) return patch;
  if (schema?.type === 'list' && schema.merge.patchKey !== undefined && !hasReplace(patch)) {
    return mergeList(Array.isArray(current) ? current : [], patch, schema, schema.merge.patchKey);
  }
  return patch.filter((item) => !isDirective(item)).map(cleaned);
}

function mergeList(
  current: readonly Json[],
  patch: readonly Json[],
  schema: ListSchema,
  key: string,
): Json[] {
  const result = [...current];
  for (const item of patch) {
    if (!isObject(item)) {
      if (!result.some((each) => equal(each, item))) result.push(item);
      continue;
    }
    const wanted = keyOf(item, key);
    if (wanted === undefined) {
      throw refuse.badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const index = result.findIndex((each) => equal(keyOf(each, key), wanted));
    if (item.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index < 0) {
      result.push(withoutDirectives(item));
    } else {
      const merged = strategicMerge(result[index] as JsonObject, item, schema.items);
      result[index] = item.$patch === 'replace' ? withoutDirectives(item) : merged;
    }
  }
  return result;
}

/** Sorts a merged list as `$setElementOrder` says; items that it does not name stay near their neighbours. */
function inOrder(
  merged: readonly Json[],
  before: readonly Json[],
  order: readonly Json[],
  key: string,
): Json[] {
  const identity = (item: Json): Json | undefined => (isObject(item) ? keyOf(item, key) : item);
  const places = order.map(identity);
  const placeIn = (list: readonly (Json | undefined)[], item: Json): number =>
    list.findIndex((each) => equal(each, identity(item)));
  const named = merged.filter((item) => placeIn(places, item) >= 0);
  named.sort((left, right) => placeIn(places, left) - placeIn(places, right));
  const others = merged.filter((item) => placeIn(places, item) < 0);
  const beforeIdentities = before.map(identity);
  return mergeOrder(named, others, (item) => placeIn(beforeIdentities, item));
}

function patchKeyOf(schema: Schema | null): string {
  return schema?.type === 'list' ? (schema.merge.patchKey ?? '') : '';
}

function keyOf(item: Json, key: string): Json | undefined {
  return isObject(item) ? (item[key] ?? keyDefaults[key]) : item;
}

function hasReplace(patch: readonly Json[]): boolean {
  return patch.some((item) => isDirective(item) && isObject(item) && item.$patch === 'replace');
}

/** An item that says something about the list and is none of its items. */
function isDirective(item: Json): boolean {
  return isObject(item) && item.$patch === 'replace' && Object.keys(item).length === 1;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  const kept = Object.entries(patch).filter(([key, value]) => !key.startsWith('$') && value !== null);
  return Object.fromEntries(kept.map(([key, value]) => [key, cleaned(value ?? null)]));
}

function cleaned(value: Json): Json {
  if (isObject(value)) return withoutDirectives(value);
  if (!Array.isArray(value)) return value;
  return value.filter((item) => !(isObject(item) && item.$patch === 'delete')).map(cleaned);
}
