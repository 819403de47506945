import type { ListQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import type { KubeObject } from '../json.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { refuse } from '../status.ts';
import { fieldSelector, labelSelector, type Matcher } from '../store/selectors.ts';
import type { Snapshot, Store } from '../store/store.ts';
import type { Page } from '../view/present.ts';

/** The objects that a list or watch concerns, by namespace, name, labels and fields. */
export function matcherOf({ definition, namespace, name }: ResourcePath, query: ListQuery): Matcher {
  const byLabels = labelSelector(query.labels);
  const byFields = fieldSelector(query.fields, selectableFields(definition));
  return (object) =>
    (namespace === '' || object.metadata.namespace === namespace) &&
    (name === '' || object.metadata.name === name) &&
    byLabels(object) &&
    byFields(object);
}

function selectableFields(definition: ResourceDefinition): ResourceDefinition['fieldLabels'] {
  return {
    'metadata.name': ({ metadata }: KubeObject) => metadata.name,
    ...(definition.namespaced && {
      'metadata.namespace': ({ metadata }: KubeObject) => metadata.namespace ?? '',
    }),
    ...definition.fieldLabels,
  };
}

/** One page of a list. Pages of one list all show the same revision. */
export function list(store: Store, path: ResourcePath, query: ListQuery): Page {
  const matches = matcherOf(path, query);
  const { snapshot, after } = snapshotFor(store, path, query);
  const found = snapshot.objects.filter(
    (object) => matches(object) && (after === '' || sortKey(object) > after),
  );
  const objects = query.limit > 0 ? found.slice(0, query.limit) : found;
  const last = objects.at(-1);
  const remaining = found.length - objects.length;
  const selected = query.labels !== '' || query.fields !== '';
  return {
    objects,
    resourceVersion: String(snapshot.revision),
    continueToken: remaining > 0 && last !== undefined ? encodeToken(snapshot.revision, sortKey(last)) : '',
    // The real server does not count what it would have to filter.
    remaining: selected ? 0 : remaining,
  };
}

function snapshotFor(
  store: Store,
  { definition, namespace }: ResourcePath,
  query: ListQuery,
): { readonly snapshot: Snapshot; readonly after: string } {
  const { storage } = definition;
  if (query.continueToken !== '') {
    const { revision, after } = decodeToken(query.continueToken);
    const snapshot = store.snapshot(storage, namespace, revision < 0 ? store.revision : revision);
    if (snapshot !== null) return { snapshot, after };
    throw refuse.expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
      { continue: encodeToken(-1, after) },
    );
  }
  const wanted = query.resourceVersion ?? 0;
  if (wanted > store.revision) throw refuse.tooLargeResourceVersion(wanted, store.revision);
  const exact = query.match === 'Exact' || (query.match === '' && query.limit > 0 && wanted > 0);
  const snapshot = store.snapshot(storage, namespace, exact ? wanted : store.revision);
  if (snapshot === null) {
    throw refuse.expired(`The resourceVersion for the provided list is too old.`);
  }
  return { snapshot, after: '' };
}

function sortKey({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

function encodeToken(revision: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url');
}

function decodeToken(token: string): { readonly revision: number; readonly after: string } {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    if (v === 'meta.k8s.io/v1' && Number.isInteger(rv) && typeof start === 'string') {
      return { revision: rv as number, after: start };
    }
  } catch {
    // Falls through to the one refusal.
  }
  throw refuse.badRequest('continue key is not valid: encoded start key is malformed');
}
