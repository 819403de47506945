import { mediaTypeOf, parseBody, readBody, requireObject } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { listQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import { type JsonObject, numberAt, textAt } from '../json.ts';
import type { Deletion } from '../registry/deletion.ts';
import type { Registry } from '../registry/registry.ts';
import { refuse, wrong } from '../status.ts';
import type { Store } from '../store/store.ts';
import type { Page } from '../view/present.ts';
import { list } from './list.ts';

/** What a deletion answers: the object while it or its kind is to be seen, else a `Status`. */
export async function remove(
  exchange: Exchange,
  path: ResourcePath,
  registry: Registry,
): Promise<JsonObject> {
  const { definition, name } = path;
  const deletion = await deletionOf(exchange);
  const { object, gone } = registry.delete(path, deletion);
  if (!gone || definition.returnsDeleted) return definition.fromStored(object);
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name,
      ...(definition.group !== '' && { group: definition.group }),
      kind: definition.plural,
      uid: object.metadata.uid,
    },
  };
}

/** Deletes what the selectors choose; answers the list as it was. */
export async function removeCollection(
  exchange: Exchange,
  path: ResourcePath,
  registry: Registry,
  store: Store,
): Promise<Page> {
  const deletion = await deletionOf(exchange);
  const page = list(store, path, { ...listQuery(exchange.query), resourceVersion: null, match: '' });
  for (const { metadata } of page.objects) {
    const target = { definition: path.definition, namespace: metadata.namespace ?? '', name: metadata.name };
    if (registry.find(target) !== null) registry.delete(target, deletion);
  }
  return page;
}

/** From the body, `DeleteOptions`, and from the query where the body does not say. */
async function deletionOf({ request, query }: Exchange): Promise<Deletion> {
  const body = await readBody(request);
  const given =
    body.length === 0 ? {} : requireObject(parseBody(body, mediaTypeOf(request), 'V1DeleteOptions'));
  const orphan = given.orphanDependents ?? query.get('orphanDependents') ?? undefined;
  const asked = textAt(given, 'propagationPolicy') || query.get('propagationPolicy') || '';
  const propagation = asked || (orphan === true || orphan === 'true' ? 'Orphan' : 'Background');
  if (propagation !== 'Background' && propagation !== 'Foreground' && propagation !== 'Orphan') {
    throw refuse.invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
      wrong.unsupported('propagationPolicy', propagation, ['Background', 'Foreground', 'Orphan']),
    ]);
  }
  const grace =
    numberAt(given, 'gracePeriodSeconds') ??
    (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  const dryRun = [...(Array.isArray(given.dryRun) ? given.dryRun : []), ...query.getAll('dryRun')];
  return {
    preconditions: {
      uid: textAt(given, 'preconditions', 'uid'),
      resourceVersion: textAt(given, 'preconditions', 'resourceVersion'),
    },
    propagation,
    graceSeconds: grace === undefined || Number.isNaN(grace) ? undefined : Math.max(0, grace),
    dryRun: dryRun.includes('All'),
  };
}
