import { clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import { refuse, StatusError } from '../status.ts';

/** As the real server limits a patch. */
const maxOperations = 10_000;

/** RFC 6902. Answers a new value; the given one may be shared with it. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch))
    throw refuse.badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    );
  if (patch.length > maxOperations) {
    throw new StatusError(
      413,
      'RequestEntityTooLarge',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  let result = clone(target);
  for (const operation of patch) {
    if (!isObject(operation)) throw refuse.badRequest('error decoding patch: an operation is an object');
    result = applyOperation(result, operation);
  }
  return result;
}

function applyOperation(target: Json, operation: JsonObject): Json {
  const path = pointer(operation.path);
  switch (operation.op) {
    case 'add':
      return edit(target, path, operation, (parent, key) => insert(parent, key, operand(operation)));
    case 'replace':
      if (path.length === 0) return operand(operation);
      read(target, path);
      return edit(target, path, operation, (parent, key) => {
        if (Array.isArray(parent)) parent[Number(key)] = operand(operation);
        else parent[key] = operand(operation);
      });
    case 'remove':
      read(target, path);
      return edit(target, path, operation, take);
    case 'move': {
      const from = pointer(operation.from);
      const moved = read(target, from);
      const without = edit(target, from, operation, take);
      return edit(without, path, operation, (parent, key) => insert(parent, key, moved));
    }
    case 'copy': {
      const copied = clone(read(target, pointer(operation.from)));
      return edit(target, path, operation, (parent, key) => insert(parent, key, copied));
    }
    case 'test':
      if (equal(find(target, path) ?? null, operation.value ?? null)) return target;
      throw rejected();
    default:
      throw refuse.badRequest(`Unexpected kind: ${String(operation.op)}`);
  }
}

type Container = JsonObject | Json[];

function edit(
  target: Json,
  path: readonly string[],
  operation: JsonObject,
  change: (parent: Container, key: string) => void,
): Json {
  if (path.length === 0) return operand(operation);
  const parent = read(target, path.slice(0, -1));
  if (!isObject(parent) && !Array.isArray(parent)) throw rejected();
  change(parent, path.at(-1)!);
  return target;
}

function insert(parent: Container, key: string, value: Json): void {
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  const index = key === '-' ? parent.length : indexOf(key);
  if (index > parent.length) throw rejected();
  parent.splice(index, 0, value);
}

function take(parent: Container, key: string): void {
  if (Array.isArray(parent)) parent.splice(indexOf(key), 1);
  else delete parent[key];
}

function read(target: Json, path: readonly string[]): Json {
  const found = find(target, path);
  if (found === undefined) throw rejected();
  return found;
}

function find(target: Json, path: readonly string[]): Json | undefined {
  let found: Json | undefined = target;
  for (const key of path) {
    if (Array.isArray(found)) found = found[indexOf(key)];
    else found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  return found;
}

function indexOf(key: string): number {
  if (/^(0|[1-9]\d{0,8})$/.test(key)) return Number(key);
  throw rejected();
}

/** RFC 6901. */
function pointer(text: Json | undefined): string[] {
  if (text === '') return [];
  if (typeof text !== 'string' || !text.startsWith('/')) {
    throw refuse.badRequest(`error decoding patch: ${JSON.stringify(text ?? null)} is no JSON pointer`);
  }
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function operand(operation: JsonObject): Json {
  return clone(operation.value ?? null);
}

/** The real server says no more than this, whatever did not fit. */
function rejected(): StatusError {
  return new StatusError(
    422,
    'Invalid',
    'the server rejected our request due to an error in our request',
    {},
  );
}
