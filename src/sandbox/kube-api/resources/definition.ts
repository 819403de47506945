import type { JsonObject, KubeObject } from '../json.ts';
import type { Cause } from '../status.ts';

/** A printer column, as the server's tables have them. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer';
  /** 1 is shown by `-o wide` only. */
  readonly priority: 0 | 1;
  readonly format?: 'name';
}

export type Cell = string | number | null;

/** What preparing an object may ask of the server. */
export interface Surroundings {
  /** Wall clock, milliseconds. */
  readonly nowMs: number;
  /** A free cluster IP, or the wanted one if it is free; null when it is taken or outside the range. */
  allocateClusterIp(wanted: string, uid: string): string | null;
}

/** Everything the server knows of one kind. One table of these (`table.ts`) drives it. */
export interface ResourceDefinition {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** `kubectl get all` asks for the category `all`. */
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Name of the collection; two groups may show the same one. */
  readonly storage: string;
  /** Name of the generated model that describes it. */
  readonly model: string;
  /** Status is written through its subresource only. */
  readonly hasStatus: boolean;
  /** Its size has a subresource of its own. */
  readonly scales: boolean;
  /** `metadata.generation` counts changes of anything but metadata and status. */
  readonly countsGenerations: boolean;
  /** A deletion answers the object; otherwise a `Status`. */
  readonly returnsDeleted: boolean;
  /** Told as a warning with every answer; empty for most. */
  readonly deprecation: string;
  /** A PUT of an object that does not exist creates it. */
  readonly createsOnUpdate: boolean;
  /** A PUT must say which resourceVersion it replaces. */
  readonly requiresRevision: boolean;
  readonly verbs: readonly string[];
  readonly columns: readonly Column[];
  readonly row: (object: KubeObject, nowMs: number) => readonly Cell[];
  /** Selectable fields besides `metadata.name` and `metadata.namespace`. */
  readonly fieldLabels: { readonly [label: string]: (object: KubeObject) => string };
  /** What the name must look like. */
  readonly nameRule: 'subdomain' | 'label' | 'path-segment';
  /** Fills in what the client left out. Called on a private copy. */
  readonly setDefaults: (object: JsonObject) => void;
  /**
   * Finishes a private copy just before it is validated: allocations and what the server alone decides.
   * `old` is null on creation.
   */
  readonly prepare: (object: KubeObject, old: KubeObject | null, surroundings: Surroundings) => void;
  /** What is wrong with it; `old` is null on creation. */
  readonly validate: (object: KubeObject, old: KubeObject | null) => readonly Cause[];
  /** What whoever creates it is warned of, though it is taken. */
  readonly warnings: (object: KubeObject) => readonly string[];
  /** Between what clients of this group see and what is stored. */
  readonly toStored: (object: JsonObject) => JsonObject;
  readonly fromStored: (object: KubeObject) => KubeObject;
}

type Wanted = 'kind' | 'plural' | 'model' | 'columns' | 'row';

/** A definition with what most kinds have in common filled in. */
export function define(
  given: Pick<ResourceDefinition, Wanted> & Partial<ResourceDefinition>,
): ResourceDefinition {
  const group = given.group ?? '';
  return {
    group,
    version: 'v1',
    singular: given.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    storage: group === '' ? given.plural : `${given.plural}.${group}`,
    hasStatus: false,
    scales: false,
    countsGenerations: false,
    returnsDeleted: false,
    deprecation: '',
    createsOnUpdate: false,
    requiresRevision: false,
    verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    fieldLabels: {},
    nameRule: 'subdomain',
    setDefaults: () => {},
    prepare: () => {},
    validate: () => [],
    warnings: () => [],
    toStored: (object) => object,
    fromStored: (object) => object,
    ...given,
  };
}

export function apiVersionOf({ group, version }: Pick<ResourceDefinition, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `column('Name')`, `column('IP', 'wide')`, `column('Desired', 'integer')`. */
export function column(name: string, ...traits: readonly ('wide' | 'integer')[]): Column {
  return {
    name,
    type: traits.includes('integer') ? 'integer' : 'string',
    priority: traits.includes('wide') ? 1 : 0,
    ...(name === 'Name' && { format: 'name' }),
  };
}
