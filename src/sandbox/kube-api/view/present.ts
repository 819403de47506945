import type { Presentation } from '../http/negotiate.ts';
import type { JsonObject, KubeObject } from '../json.ts';
import { apiVersionOf, type ResourceDefinition } from '../resources/definition.ts';
import type { Snapshot } from '../store/store.ts';

/** How much of each object a table row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Shows stored objects to a client: as they are, as tables, or their metadata alone. */
export interface Presenter {
  one(object: KubeObject): JsonObject;
  list(page: Page): JsonObject;
}

export interface Page {
  readonly objects: Snapshot['objects'];
  readonly resourceVersion: string;
  readonly continueToken: string;
  readonly remaining: number;
}

export function presenter(
  definition: ResourceDefinition,
  { as }: Presentation,
  include: IncludeObject,
  nowMs: number,
): Presenter {
  switch (as) {
    case 'table':
      return {
        one: (object) =>
          table(definition, [object], { resourceVersion: object.metadata.resourceVersion }, include, nowMs),
        list: (page) => table(definition, page.objects, listMeta(page), include, nowMs),
      };
    case 'metadata':
      return {
        one: metadataOnly,
        list: (page) => ({
          kind: 'PartialObjectMetadataList',
          apiVersion: 'meta.k8s.io/v1',
          metadata: listMeta(page),
          items: page.objects.map(metadataOnly),
        }),
      };
    case 'object':
      return {
        one: (object) => definition.fromStored(object),
        list: (page) => ({
          kind: `${definition.kind}List`,
          apiVersion: apiVersionOf(definition),
          metadata: listMeta(page),
          // Items of a typed list do not repeat what they are.
          items: page.objects.map((object) => {
            const { kind, apiVersion, ...item } = definition.fromStored(object);
            return item;
          }),
        }),
      };
  }
}

/** Only the first table of a watch tells its columns. */
export function withoutColumns(tableObject: JsonObject): JsonObject {
  return { ...tableObject, columnDefinitions: null };
}

function listMeta({ resourceVersion, continueToken, remaining }: Page): JsonObject {
  return {
    resourceVersion,
    ...(continueToken !== '' && { continue: continueToken }),
    ...(remaining > 0 && { remainingItemCount: remaining }),
  };
}

function metadataOnly({ metadata }: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

function table(
  definition: ResourceDefinition,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  include: IncludeObject,
  nowMs: number,
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: definition.columns.map(({ name, type, priority, format }) => ({
      name,
      type,
      format: format ?? '',
      description: '',
      priority,
    })),
    rows: objects.map((object) => ({
      cells: [...definition.row(object, nowMs)],
      object:
        include === 'None'
          ? null
          : include === 'Object'
            ? definition.fromStored(object)
            : metadataOnly(object),
    })),
  };
}
