import * as generated from '@kubernetes/client-node/dist/gen/models/all.js';
import { atomicMaps, atomicModels, type ListMerge, listMerges, structMerges } from './lists.ts';

/**
 * The shape of every kind, taken from the models that the Kubernetes client's authors generate from the
 * published API. What the models do not say, how lists merge, is in `lists.ts`.
 */
export type Schema = StructSchema | MapSchema | ListSchema | ScalarSchema;

export interface StructSchema {
  readonly type: 'struct';
  readonly model: string;
  /** One owner for all fields. */
  readonly atomic: boolean;
  readonly merge?: 'replace' | 'retainKeys';
}
export interface MapSchema {
  readonly type: 'map';
  readonly values: Schema;
  readonly atomic: boolean;
}
export interface ListSchema {
  readonly type: 'list';
  readonly items: Schema;
  readonly merge: ListMerge;
}
export interface ScalarSchema {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'int-or-string' | 'any';
  /** `byte`, `date-time`, `int32` and so on; empty when there is none. */
  readonly format: string;
}

interface GeneratedAttribute {
  readonly baseName: string;
  readonly type: string;
  readonly format: string;
}
interface GeneratedModel {
  getAttributeTypeMap(): readonly GeneratedAttribute[];
}

const models = generated as unknown as { readonly [name: string]: GeneratedModel | undefined };
const structs = new Map<string, ReadonlyMap<string, Schema>>();

export function structSchema(model: string): StructSchema {
  return { type: 'struct', model, atomic: atomicModels.has(model) };
}

/** The fields of a model, by the name they have in JSON. */
export function fieldsOf(model: string): ReadonlyMap<string, Schema> {
  let fields = structs.get(model);
  if (fields === undefined) {
    const attributes = models[model]?.getAttributeTypeMap();
    if (attributes === undefined) throw new Error(`no such model: ${model}`);
    fields = new Map(
      attributes.map(({ baseName, type, format }) => [
        baseName,
        parseType(type, format, `${model}.${baseName}`),
      ]),
    );
    structs.set(model, fields);
  }
  return fields;
}

/** What lies under `key`, or null where the schema has no such field or says nothing about it. */
export function memberSchema(schema: Schema, key: string): Schema | null {
  if (schema.type === 'struct') return fieldsOf(schema.model).get(key) ?? null;
  return schema.type === 'map' ? schema.values : null;
}

const listPattern = /^Array<(.*)>$/;
const mapPattern = /^\{ \[key: string\]: (.*); \}$/;

function parseType(type: string, format: string, path: string): Schema {
  const item = listPattern.exec(type)?.[1];
  if (item !== undefined) {
    return { type: 'list', items: parseType(item, format, ''), merge: listMerges[path] ?? {} };
  }
  const value = mapPattern.exec(type)?.[1];
  if (value !== undefined) {
    return { type: 'map', values: parseType(value, format, ''), atomic: atomicMaps.has(path) };
  }
  switch (type) {
    case 'string':
    case 'boolean':
      return { type, format };
    case 'number':
      return { type: format.startsWith('int') ? 'integer' : 'number', format };
    case 'Date':
      return { type: 'string', format: 'date-time' };
    case 'V1MicroTime':
      return { type: 'string', format: 'date-time-micro' };
    case 'IntOrString':
      return { type: 'int-or-string', format: 'int-or-string' };
    case 'any':
    case 'object':
      return { type: 'any', format: '' };
    default: {
      const merge = structMerges[path];
      return merge === undefined ? structSchema(type) : { ...structSchema(type), merge };
    }
  }
}
