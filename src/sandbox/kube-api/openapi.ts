import { createHash } from 'node:crypto';
import type { JsonObject } from './json.ts';
import { apiVersionOf, type ResourceDefinition } from './resources/definition.ts';
import { resourceTable } from './resources/table.ts';
import { descriptionsOf } from './schema/descriptions.ts';
import { keyDefaults } from './schema/lists.ts';
import { fieldsOf, type Schema, structSchema } from './schema/schema.ts';

/**
 * OpenAPI v3, the part that kubectl reads: schemas with merge keys for `apply`, `diff` and `explain`, and
 * the query parameters of PATCH, by which it knows that the server validates fields itself.
 */

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];
const patchParameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'];

/**
 * OpenAPI v2, which kubectl asks for before it applies a `List`: an empty document, in the encoding that it
 * insists on. It says nothing, so kubectl leaves the validation to the server.
 */
export const openApiV2 = {
  contentType: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  /** Field 1, `swagger`. */
  body: '\n\u00032.0',
} as const;

interface Document {
  readonly body: JsonObject;
  readonly hash: string;
}

const documents = new Map<string, Document>();

/** Answers `/openapi/v3` and the documents that it lists; null for anything else. */
export function openApi(path: string): JsonObject | null {
  if (path === '/openapi/v3') {
    const paths = groupPaths().map((group): [string, JsonObject] => [
      group,
      { serverRelativeURL: `/openapi/v3/${group}?hash=${document(group).hash}` },
    ]);
    return { paths: Object.fromEntries(paths) };
  }
  const group = path.replace(/^\/openapi\/v3\//, '');
  return groupPaths().includes(group) ? document(group).body : null;
}

function groupPaths(): string[] {
  return [...new Set(resourceTable.map(groupPath))];
}

function groupPath(resource: ResourceDefinition): string {
  return `${resource.group === '' ? 'api' : 'apis'}/${apiVersionOf(resource)}`;
}

function document(group: string): Document {
  let made = documents.get(group);
  if (made === undefined) {
    const body = describe(group);
    made = { body, hash: createHash('sha256').update(JSON.stringify(body)).digest('hex') };
    documents.set(group, made);
  }
  return made;
}

function describe(group: string): JsonObject {
  const resources = resourceTable.filter((resource) => groupPath(resource) === group);
  const schemas: JsonObject = {};
  for (const resource of resources) {
    addModel(schemas, resource.model);
    const schema = schemas[componentName(resource.model)] as JsonObject;
    schema['x-kubernetes-group-version-kind'] = [kindOf(resource)];
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1' },
    paths: Object.fromEntries(resources.map((resource) => [itemPath(resource, group), pathItem(resource)])),
    components: { schemas },
  };
}

function itemPath(resource: ResourceDefinition, group: string): string {
  return `/${group}/${resource.namespaced ? 'namespaces/{namespace}/' : ''}${resource.plural}/{name}`;
}

function pathItem(resource: ResourceDefinition): JsonObject {
  const content = Object.fromEntries(patchTypes.map((type) => [type, { schema: { type: 'object' } }]));
  return {
    patch: {
      operationId: `patch${resource.kind}`,
      parameters: patchParameters.map((name) => ({
        name,
        in: 'query',
        schema: { type: name === 'force' ? 'boolean' : 'string', uniqueItems: true },
      })),
      requestBody: { content },
      responses: { 200: { description: 'OK' } },
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': kindOf(resource),
    },
  };
}

function kindOf({ group, version, kind }: ResourceDefinition): JsonObject {
  return { group, version, kind };
}

/** `explain` shows what follows the last dot. */
function componentName(model: string): string {
  return `io.k8s.api.${model}.${model.replace(/^[A-Za-z]*?V1(?=[A-Z])/, '')}`;
}

function addModel(schemas: JsonObject, model: string): void {
  const name = componentName(model);
  if (schemas[name] !== undefined) return;
  const said = descriptionsOf(model);
  const schema: JsonObject = { type: 'object', description: said.kind };
  schemas[name] = schema;
  const properties: JsonObject = {};
  for (const [key, field] of fieldsOf(model)) {
    const fallback = keyDefaults[key];
    properties[key] = {
      ...property(schemas, field),
      description: said.fields.get(key) ?? '',
      ...(fallback !== undefined && { default: fallback }),
    };
  }
  schema.properties = properties;
  if (structSchema(model).atomic) schema['x-kubernetes-map-type'] = 'atomic';
}

function property(schemas: JsonObject, schema: Schema): JsonObject {
  switch (schema.type) {
    case 'struct': {
      addModel(schemas, schema.model);
      const reference = { $ref: `#/components/schemas/${componentName(schema.model)}` };
      return {
        allOf: [reference],
        description: '',
        ...(schema.merge !== undefined && { 'x-kubernetes-patch-strategy': schema.merge }),
      };
    }
    case 'map':
      return {
        type: 'object',
        description: '',
        additionalProperties: property(schemas, schema.values),
        ...(schema.atomic && { 'x-kubernetes-map-type': 'atomic' }),
      };
    case 'list': {
      const { patchKey, retainKeys, keys } = schema.merge;
      return {
        type: 'array',
        description: '',
        items: property(schemas, schema.items),
        ...(patchKey !== undefined && {
          'x-kubernetes-patch-strategy': retainKeys === true ? 'merge,retainKeys' : 'merge',
        }),
        ...(patchKey && { 'x-kubernetes-patch-merge-key': patchKey }),
        'x-kubernetes-list-type': keys === undefined ? 'atomic' : keys.length === 0 ? 'set' : 'map',
        ...(keys !== undefined && keys.length > 0 && { 'x-kubernetes-list-map-keys': [...keys] }),
      };
    }
    case 'int-or-string':
      return { description: '', format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
    case 'any':
      return { type: 'object', description: '' };
    default:
      return { type: schema.type, description: '', ...(schema.format !== '' && { format: schema.format }) };
  }
}
