import { isObject, type Json, type JsonObject } from '../json.ts';
import { fieldsOf, type ScalarSchema, type Schema, type StructSchema } from './schema.ts';

/** What reading an object by its schema found. */
export interface Decoded {
  /** The object with unknown fields and nulls left out. */
  readonly object: JsonObject;
  /** Paths of fields that the schema does not have. */
  readonly unknown: readonly string[];
}

/** A value of the wrong type; the words are those of Go's decoder, which users know. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** An object nested deeper than this is refused; no kind of the API comes near it. */
const maxDepth = 64;

/** `keepEmpty`: empty lists and maps stay, which a stored object never has. */
export function decode(value: JsonObject, schema: StructSchema, kind: string, keepEmpty = false): Decoded {
  const unknown: string[] = [];
  const place = { unknown, keepEmpty, owner: kind, path: '' };
  return { object: decodeStruct(value, schema, place, 0), unknown };
}

interface Place {
  readonly unknown: string[];
  readonly keepEmpty: boolean;
  /** Name of the struct that holds the field. */
  readonly owner: string;
  /** Of the field, as `spec.rules[0].host`. */
  readonly path: string;
}

function decodeStruct(value: JsonObject, schema: StructSchema, place: Place, depth: number): JsonObject {
  if (depth > maxDepth) throw new DecodeError('exceeded max depth');
  const fields = fieldsOf(schema.model);
  const decoded: JsonObject = {};
  const owner = schema.model.replace(/^[A-Z][a-z]*(?=V\d)|V\d(?=[A-Z])/g, '').replace(/^V\d/, '');
  for (const [key, member] of Object.entries(value)) {
    const path = place.path === '' ? key : `${place.path}.${key}`;
    const field = fields.get(key);
    if (field === undefined) {
      place.unknown.push(path);
    } else if (member !== null && member !== undefined) {
      const read = decodeValue(member, field, { ...place, owner, path }, depth + 1);
      if (place.keepEmpty || !isEmptyCollection(read, field)) decoded[key] = read;
    }
  }
  return decoded;
}

/** Go leaves empty lists and maps out (`omitempty`), so they do not survive a round trip. */
function isEmptyCollection(value: Json, schema: Schema): boolean {
  if (schema.type === 'list') return Array.isArray(value) && value.length === 0;
  return schema.type === 'map' && isObject(value) && Object.keys(value).length === 0;
}

function decodeValue(value: Json, schema: Schema, place: Place, depth: number): Json {
  switch (schema.type) {
    case 'struct':
      if (isObject(value)) return decodeStruct(value, schema, place, depth);
      throw mismatch(value, place, `v1.${schema.model.replace(/^.*?V1/, '')}`);
    case 'map': {
      if (!isObject(value)) throw mismatch(value, place, `map[string]${goType(schema.values)}`);
      const decoded: JsonObject = {};
      for (const [key, member] of Object.entries(value)) {
        // A null in a map of strings is an empty string, as in Go.
        if (member === null && schema.values.type === 'string') decoded[key] = '';
        else if (member !== null && member !== undefined) {
          decoded[key] = decodeValue(
            member,
            schema.values,
            schema.values.type === 'struct' ? { ...place, path: `${place.path}.${key}` } : place,
            depth + 1,
          );
        }
      }
      return decoded;
    }
    case 'list':
      if (!Array.isArray(value)) throw mismatch(value, place, `[]${goType(schema.items)}`);
      return value
        .filter((item) => item !== null)
        .map((item, index) =>
          decodeValue(item, schema.items, { ...place, path: `${place.path}[${index}]` }, depth + 1),
        );
    default:
      return decodeScalar(value, schema, place);
  }
}

function decodeScalar(value: Json, schema: ScalarSchema, place: Place): Json {
  const accepted =
    schema.type === 'any' ||
    (schema.type === 'string' && typeof value === 'string') ||
    (schema.type === 'boolean' && typeof value === 'boolean') ||
    (schema.type === 'number' && typeof value === 'number') ||
    (schema.type === 'integer' && Number.isInteger(value)) ||
    (schema.type === 'int-or-string' && (typeof value === 'string' || Number.isInteger(value))) ||
    // Quantities are strings in the models, and numbers are read as well.
    (schema.type === 'string' &&
      typeof value === 'number' &&
      /\.(limits|requests|capacity)$/.test(place.path));
  if (!accepted) throw mismatch(value, place, goType(schema));
  if (schema.format === 'byte' && typeof value === 'string') checkBase64(value);
  if (schema.format.startsWith('date-time') && typeof value === 'string')
    return readTime(value, schema.format);
  return typeof value === 'number' && schema.type === 'string' ? String(value) : value;
}

function checkBase64(text: string): void {
  const compact = text.replace(/[\r\n]/g, '');
  const valid = compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact);
  if (valid) return;
  const position = compact.search(/[^A-Za-z0-9+/]/);
  const where = position < 0 ? compact.length - (compact.length % 4) : position;
  throw new DecodeError(`illegal base64 data at input byte ${where}`);
}

function readTime(text: string, format: string): string {
  const layout = format === 'date-time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
  if (Number.isNaN(Date.parse(text)) || !/^\d{4}-\d\d-\d\dT/.test(text)) {
    throw new DecodeError(
      `parsing time ${JSON.stringify(text)} as "${layout}": cannot parse ${JSON.stringify(text)} as "2006"`,
    );
  }
  return text;
}

function mismatch(value: Json, place: Place, wanted: string): DecodeError {
  const got = Array.isArray(value) ? 'array' : isObject(value) ? 'object' : goName(value);
  const path = place.path.replace(/\[\d+\]/g, '');
  return new DecodeError(
    `json: cannot unmarshal ${got} into Go struct field ${place.owner}.${path} of type ${wanted}`,
  );
}

function goName(value: Json): string {
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'number' ? `number${Number.isInteger(value) ? '' : ` ${value}`}` : typeof value;
}

function goType(schema: Schema): string {
  switch (schema.type) {
    case 'struct':
      return `v1.${schema.model.replace(/^.*?V1/, '')}`;
    case 'map':
      return `map[string]${goType(schema.values)}`;
    case 'list':
      return `[]${goType(schema.items)}`;
    case 'boolean':
      return 'bool';
    case 'integer':
      return schema.format === 'int32' || schema.format === 'int64' ? schema.format : 'int';
    case 'number':
      return 'float64';
    case 'int-or-string':
      return 'intstr.IntOrString';
    case 'any':
      return 'interface {}';
    default:
      return schema.format === 'byte' ? '[]uint8' : 'string';
  }
}
