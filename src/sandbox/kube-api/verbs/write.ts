import { mediaTypeOf, parseBody, readBody, requireObject } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { type WriteQuery, writeQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import { type JsonObject, type KubeObject, objectAt, textAt } from '../json.ts';
import type { Registry, Subresource, WriteOptions } from '../registry/registry.ts';
import { apiVersionOf } from '../resources/definition.ts';
import { refuse, StatusError } from '../status.ts';
import { accept } from './accept.ts';

/** The outcome of a write: what to show, and whether it is new. */
export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
}

export async function create(exchange: Exchange, path: ResourcePath, registry: Registry): Promise<Written> {
  const query = writeQuery(exchange.query, exchange.request.headers['user-agent'], 'CreateOptions');
  const object = await objectOf(exchange, path, query);
  if (path.name !== '' || path.subresource !== '') throw refuse.methodNotAllowed();
  const created = registry.create(path.definition, path.namespace, object, optionsOf(path, query));
  for (const warning of path.definition.warnings(created)) exchange.warn(warning);
  return { object: created, created: true };
}

export async function replace(exchange: Exchange, path: ResourcePath, registry: Registry): Promise<Written> {
  const query = writeQuery(exchange.query, exchange.request.headers['user-agent'], 'UpdateOptions');
  const object = await objectOf(exchange, path, query);
  const { definition, namespace, name } = path;
  const named = textAt(object, 'metadata', 'name');
  if (named !== name) {
    throw refuse.badRequest(
      named === ''
        ? 'name must be provided'
        : `the name of the object (${named}) does not match the name on the URL (${name})`,
    );
  }
  const options = optionsOf(path, query);
  if (registry.find(path) === null && definition.createsOnUpdate && path.subresource === '') {
    return { object: registry.create(definition, namespace, object, options), created: true };
  }
  if (definition.requiresRevision && textAt(object, 'metadata', 'resourceVersion') === '') {
    throw refuse.invalid({ group: definition.group, kind: definition.plural }, name, [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 0: must be specified for an update',
        field: 'metadata.resourceVersion',
      },
    ]);
  }
  return { object: registry.update(path, subresourceOf(path), options, () => object), created: false };
}

export function subresourceOf({ definition, subresource }: ResourcePath): Subresource {
  if (subresource === '') return '';
  if (subresource === 'status' && definition.hasStatus) return 'status';
  throw new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function optionsOf(path: ResourcePath, query: WriteQuery): WriteOptions {
  return {
    dryRun: query.dryRun,
    writer: {
      manager: query.fieldManager,
      operation: 'Update',
      apiVersion: apiVersionOf(path.definition),
      subresource: path.subresource,
    },
  };
}

async function objectOf(exchange: Exchange, path: ResourcePath, query: WriteQuery): Promise<JsonObject> {
  const body = await readBody(exchange.request);
  const value = requireObject(parseBody(body, mediaTypeOf(exchange.request), path.definition.model));
  const object = accept(path.definition, value, query.fieldValidation, exchange.warn);
  checkNamespace(path, object);
  return path.definition.toStored(object);
}

/** A body may leave its namespace out, not contradict the URL. */
export function checkNamespace({ definition, namespace }: ResourcePath, object: JsonObject): void {
  const said = textAt(objectAt(object, 'metadata'), 'namespace');
  if (definition.namespaced && said !== '' && said !== namespace) {
    throw refuse.badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
}
