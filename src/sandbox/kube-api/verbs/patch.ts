import { applied } from '../apply/apply.ts';
import { mediaTypeOf, parseBody, parseJson, readBody, requireObject } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { type WriteQuery, writeQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import { clone, isObject, type Json, type JsonObject, type KubeObject, objectAt, textAt } from '../json.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import { mergePatch } from '../patch/merge-patch.ts';
import { strategicMerge } from '../patch/strategic-merge.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { structSchema } from '../schema/schema.ts';
import { refuse, StatusError, wrong } from '../status.ts';
import { accept } from './accept.ts';
import { checkNamespace, optionsOf, subresourceOf, type Written } from './write.ts';

export const applyType = 'application/apply-patch+yaml';
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  applyType,
];

export async function patch(exchange: Exchange, path: ResourcePath, registry: Registry): Promise<Written> {
  const { request } = exchange;
  const mediaType = mediaTypeOf(request);
  if (!patchTypes.includes(mediaType)) {
    throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
  }
  const query = writeQuery(exchange.query, request.headers['user-agent'], 'PatchOptions');
  const body = await readBody(request);
  if (mediaType === applyType)
    return apply(exchange, path, registry, parseBody(body, mediaType, path.definition.model), query);
  if (exchange.query.has('force')) {
    throw refuse.invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      wrong.forbidden('force', 'may not be specified for non-apply patch'),
    ]);
  }
  const change = parseJson(body);
  const object = registry.update(path, subresourceOf(path), optionsOf(path, query), (stored) => {
    const shown = clone(path.definition.fromStored(stored));
    const patched = patchedBy(mediaType, shown, change, path);
    checkIdentity(path, patched);
    // A patch concerns what is there now; only a revision that it names itself is a precondition.
    const { definition } = path;
    return definition.toStored(accept(definition, patched, query.fieldValidation, exchange.warn));
  });
  return { object, created: false };
}

function patchedBy(
  mediaType: string,
  shown: KubeObject,
  change: Json,
  { definition }: ResourcePath,
): JsonObject {
  switch (mediaType) {
    case 'application/json-patch+json':
      return requireObject(jsonPatch(shown, change));
    case 'application/merge-patch+json':
      return requireObject(mergePatch(shown, requireObject(change)));
    default:
      return strategicMerge(shown, requireObject(change), structSchema(definition.model));
  }
}

function checkIdentity({ name }: ResourcePath, patched: JsonObject): void {
  const named = textAt(objectAt(patched, 'metadata'), 'name');
  if (named !== name) {
    throw refuse.badRequest(`the name of the object (${named}) does not match the name on the URL (${name})`);
  }
}

/** Server-side apply: creates what is not there. */
function apply(
  exchange: Exchange,
  path: ResourcePath,
  registry: Registry,
  body: Json,
  query: WriteQuery,
): Written {
  const { definition, namespace, name } = path;
  if (!exchange.query.get('fieldManager')) {
    throw refuse.invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      wrong.required('fieldManager', 'is required for apply patch'),
    ]);
  }
  const given = requireObject(body);
  if (textAt(given, 'apiVersion') === '' || textAt(given, 'kind') === '') {
    throw refuse.badRequest(
      `invalid object type: ${textAt(given, 'apiVersion') || '/'}, Kind=${textAt(given, 'kind')}`,
    );
  }
  const intent = accept(definition, given, query.fieldValidation, exchange.warn, true);
  checkNamespace(path, intent);
  const metadata = objectAt(intent, 'metadata');
  if (isObject(intent.metadata) && intent.metadata.managedFields !== undefined) {
    throw refuse.badRequest('metadata.managedFields must be nil');
  }
  if (textAt(metadata, 'name') !== '' && textAt(metadata, 'name') !== name) {
    throw refuse.badRequest(
      `the name of the object (${textAt(metadata, 'name')}) does not match the name on the URL (${name})`,
    );
  }
  intent.metadata = { ...metadata, name };
  const application = {
    manager: query.fieldManager,
    subresource: path.subresource,
    force: query.force,
    nowMs: registry.nowMs,
  };
  const options = { dryRun: query.dryRun, writer: null };
  if (registry.find(path) === null) {
    if (textAt(metadata, 'uid') !== '' || path.subresource !== '') throw refuse.notFound(definition, name);
    const wanted = stored(definition, applied(definition, null, intent, application));
    const created = registry.create(definition, namespace, wanted, options);
    for (const warning of definition.warnings(created)) exchange.warn(warning);
    return { object: created, created: true };
  }
  const object = registry.update(path, subresourceOf(path), options, (live) =>
    stored(definition, applied(definition, definition.fromStored(live), intent, application)),
  );
  return { object, created: false };
}

/** A private copy without the empty lists and maps that the intent may have had. */
function stored(definition: ResourceDefinition, object: KubeObject): JsonObject {
  return definition.toStored(clone(accept(definition, object, 'Ignore', () => {})));
}
