import type { Json, JsonObject } from '../json.ts';
import { DecodeError } from './decode.ts';
import { fieldNumbers } from './field-numbers.ts';
import { fieldsOf, type Schema } from './schema.ts';

/**
 * Reads objects in Kubernetes' protobuf encoding, which kubectl's typed clients send. Only reading: answers
 * are JSON, which such clients accept as well.
 */

/** `k8s\0`, before a `runtime.Unknown` message. */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
const maxDepth = 64;

interface Field {
  readonly name: string;
  readonly number: number;
  readonly kind: 'field' | 'pointer' | 'quantity' | 'inline';
}

type Raw = bigint | Buffer;

/** The object in a body, with `apiVersion` and `kind` from its envelope. */
export function readProtobuf(body: Buffer, model: string): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic))
    throw new DecodeError('provided data does not appear to be a protobuf message');
  const envelope = readMessage(body.subarray(magic.length));
  const typeMeta = readMessage(bytesOf(envelope.get(1)?.at(-1)));
  const object = toStruct(readMessage(bytesOf(envelope.get(2)?.at(-1))), model, model, 0);
  return { apiVersion: textOf(typeMeta.get(1)?.at(-1)), kind: textOf(typeMeta.get(2)?.at(-1)), ...object };
}

/** Fields of a message by number, each with all of its values in order. */
function readMessage(bytes: Buffer): Map<number, Raw[]> {
  const fields = new Map<number, Raw[]>();
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[offset++];
      if (byte === undefined) throw new DecodeError('unexpected EOF');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw new DecodeError('proto: integer overflow');
  };
  const take = (length: number): Buffer => {
    if (length < 0 || offset + length > bytes.length) throw new DecodeError('unexpected EOF');
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  while (offset < bytes.length) {
    const key = Number(varint());
    const values = fields.get(key >>> 3) ?? [];
    fields.set(key >>> 3, values);
    switch (key & 7) {
      case 0:
        values.push(varint());
        break;
      case 1:
        values.push(take(8));
        break;
      case 2:
        values.push(take(Number(varint())));
        break;
      case 5:
        values.push(take(4));
        break;
      default:
        throw new DecodeError(`proto: illegal wireType ${key & 7}`);
    }
  }
  return fields;
}

const parsed = new Map<string, readonly Field[]>();

function fieldsOfMessage(name: string): readonly Field[] {
  let fields = parsed.get(name);
  if (fields === undefined) {
    const text = fieldNumbers[name];
    if (text === undefined) throw new DecodeError(`no protobuf encoding is known for ${name}`);
    fields = text.split(' ').map((word) => {
      const [, inline, field = '', number, mark] = /^(\+?)(\w+):(\d+)([pq]?)$/.exec(word) ?? [];
      const kind = inline === '+' ? 'inline' : mark === 'p' ? 'pointer' : mark === 'q' ? 'quantity' : 'field';
      return { name: field, number: Number(number), kind };
    });
    parsed.set(name, fields);
  }
  return fields;
}

/** `message` names the field numbers; `model`, which is another for inline messages, the fields in JSON. */
function toStruct(raw: Map<number, Raw[]>, message: string, model: string, depth: number): JsonObject {
  if (depth > maxDepth) throw new DecodeError('exceeded max depth');
  const object: JsonObject = {};
  for (const { name, number, kind } of fieldsOfMessage(message)) {
    const values = raw.get(number);
    if (values === undefined) continue;
    if (kind === 'inline') {
      Object.assign(object, toStruct(readMessage(bytesOf(values.at(-1))), name, model, depth + 1));
      continue;
    }
    const schema = fieldsOf(model).get(name)!;
    const value = toValue(values, schema, kind === 'quantity', depth + 1);
    const isZero = value === '' || value === 0 || value === false || value === null;
    if (!isZero || kind === 'pointer') object[name] = value;
  }
  return object;
}

function toValue(values: readonly Raw[], schema: Schema, isQuantity: boolean, depth: number): Json {
  if (schema.type === 'list') return values.map((value) => toSingle(value, schema.items, isQuantity, depth));
  if (schema.type !== 'map') return toSingle(values.at(-1)!, schema, isQuantity, depth);
  const entries = values.map((value): [string, Json] => {
    const entry = readMessage(bytesOf(value));
    const inner = entry.get(2)?.at(-1) ?? Buffer.alloc(0);
    return [textOf(entry.get(1)?.at(-1)), toSingle(inner, schema.values, isQuantity, depth)];
  });
  return Object.fromEntries(entries);
}

function toSingle(value: Raw, schema: Schema, isQuantity: boolean, depth: number): Json {
  switch (schema.type) {
    case 'struct':
      return toStruct(readMessage(bytesOf(value)), schema.model, schema.model, depth);
    case 'string':
      if (schema.format.startsWith('date-time')) return toTime(readMessage(bytesOf(value)), schema.format);
      if (isQuantity) return textOf(readMessage(bytesOf(value)).get(1)?.at(-1));
      return schema.format === 'byte' ? bytesOf(value).toString('base64') : textOf(value);
    case 'boolean':
      return value !== 0n;
    case 'integer':
    case 'number':
      return Number(value as bigint);
    case 'int-or-string': {
      const either = readMessage(bytesOf(value));
      const isText = either.get(1)?.at(-1) === 1n;
      return isText ? textOf(either.get(3)?.at(-1)) : Number(either.get(2)?.at(-1) ?? 0n);
    }
    default:
      throw new DecodeError('a field of this message cannot be read from protobuf');
  }
}

function toTime(stamp: Map<number, Raw[]>, format: string): string | null {
  const seconds = stamp.get(1)?.at(-1);
  if (typeof seconds !== 'bigint') return null;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const nanos = Number(stamp.get(2)?.at(-1) ?? 0n);
  return format === 'date-time'
    ? `${whole}Z`
    : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

function bytesOf(value: Raw | undefined): Buffer {
  if (value === undefined) return Buffer.alloc(0);
  if (typeof value === 'bigint') throw new DecodeError('proto: wrong wireType');
  return value;
}

function textOf(value: Raw | undefined): string {
  return bytesOf(value).toString('utf8');
}
