import type { Clock } from '../../../time/clock.ts';
import { track, type Writer } from '../apply/managed-fields.ts';
import { clone, equal, type JsonObject, type KubeObject, listAt, objectAt, textAt } from '../json.ts';
import { namespaces } from '../resources/cluster.ts';
import type { ResourceDefinition, Surroundings } from '../resources/definition.ts';
import { refuse } from '../status.ts';
import type { Store } from '../store/store.ts';
import { ClusterIps } from './cluster-ips.ts';
import { type Deletion, markDeleted, type Preconditions } from './deletion.ts';
import { born, checkMetadata, differsInSpec, succeeded, timestamp } from './metadata.ts';

/** Which object, in the words of the request. `namespace` is empty for kinds that have none. */
export interface Target {
  readonly definition: ResourceDefinition;
  readonly namespace: string;
  readonly name: string;
}

export interface WriteOptions {
  /** Answer what would be, store nothing. */
  readonly dryRun: boolean;
  /** Who is noted in `managedFields`; null when the caller has done that itself. */
  readonly writer: Writer | null;
}

export type Subresource = '' | 'status';

/**
 * What may be done with objects, and what the server adds to it: metadata, defaults, validation, optimistic
 * concurrency, generations, deletion with finalizers. Objects here are in their stored form.
 */
export class Registry {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #clusterIps: ClusterIps;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#clusterIps = new ClusterIps(store);
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  get({ definition, namespace, name }: Target): KubeObject {
    const found = this.#store.get(definition.storage, namespace, name);
    if (found === null) throw refuse.notFound(definition, name);
    return found;
  }

  find({ definition, namespace, name }: Target): KubeObject | null {
    return this.#store.get(definition.storage, namespace, name);
  }

  /** `object` is the caller's to give away. */
  create(
    definition: ResourceDefinition,
    namespace: string,
    object: JsonObject,
    options: WriteOptions,
  ): KubeObject {
    if (definition.namespaced)
      this.#checkNamespace(definition, namespace, textAt(object, 'metadata', 'name'));
    let created = born(definition, object, namespace, this.nowMs);
    if (definition.hasStatus) delete created.status;
    definition.setDefaults(created);
    if (options.writer !== null)
      created = track(definition, null, created, options.writer, timestamp(this.nowMs));
    this.#finish(definition, created, null);
    const { name } = created.metadata;
    if (this.#store.get(definition.storage, namespace, name) !== null) {
      throw refuse.alreadyExists(definition, name);
    }
    return options.dryRun ? created : this.#store.put(definition.storage, created);
  }

  /**
   * Replaces an object by what `change` makes of it. `change` gets a private copy and may refuse. A
   * `resourceVersion` or `uid` in its answer is a precondition.
   */
  update(
    target: Target,
    subresource: Subresource,
    options: WriteOptions,
    change: (old: KubeObject) => JsonObject,
  ): KubeObject {
    const { definition } = target;
    const old = this.get(target);
    const changed = change(clone(old));
    this.#checkPreconditions(target, old, {
      uid: textAt(changed, 'metadata', 'uid'),
      resourceVersion: textAt(changed, 'metadata', 'resourceVersion'),
    });
    let candidate = clone(succeeded(old, changed));
    if (subresource === 'status') {
      candidate = { ...clone(old), metadata: candidate.metadata, status: objectAt(candidate, 'status') };
    } else if (definition.hasStatus) {
      if (old.status === undefined) delete candidate.status;
      else candidate.status = clone(old.status);
    }
    definition.setDefaults(candidate);
    if (options.writer !== null)
      candidate = track(definition, old, candidate, options.writer, timestamp(this.nowMs));
    this.#finish(definition, candidate, old);
    if (definition.countsGenerations && differsInSpec(candidate, old)) {
      candidate.metadata.generation = (old.metadata.generation ?? 0) + 1;
    }
    if (equal(candidate, old)) return old;
    if (options.dryRun) return candidate;
    const stored = this.#store.put(definition.storage, candidate);
    return isReleased(stored) ? (this.#remove(target) ?? stored) : stored;
  }

  /** Answers the object as it is afterwards, and whether it is gone. */
  delete(target: Target, deletion: Deletion): { readonly object: KubeObject; readonly gone: boolean } {
    const { definition } = target;
    if (definition === namespaces && target.name === 'default') {
      throw refuse.forbidden(definition, target.name, 'this namespace may not be deleted');
    }
    const old = this.get(target);
    checkDeletion(target, old, deletion.preconditions);
    const marked = markDeleted(definition, old, deletion, this.nowMs);
    if (marked === null) {
      if (deletion.dryRun) return { object: old, gone: true };
      return { object: this.#remove(target) ?? old, gone: true };
    }
    if (deletion.dryRun || equal(marked, old)) return { object: marked, gone: false };
    return { object: this.#store.put(definition.storage, marked), gone: false };
  }

  #remove({ definition, namespace, name }: Target): KubeObject | null {
    return this.#store.remove(definition.storage, namespace, name);
  }

  /** The last two steps of every write: what the server decides, and the check of the result. */
  #finish(definition: ResourceDefinition, object: KubeObject, old: KubeObject | null): void {
    const surroundings: Surroundings = {
      nowMs: this.nowMs,
      allocateClusterIp: (wanted, uid) => this.#clusterIps.allocate(wanted, uid),
    };
    definition.prepare(object, old, surroundings);
    const causes = [...checkMetadata(definition, object, old), ...definition.validate(object, old)];
    if (causes.length > 0) throw refuse.invalid(definition, object.metadata.name, causes);
  }

  #checkNamespace(definition: ResourceDefinition, namespace: string, name: string): void {
    const found = this.#store.get(namespaces.storage, '', namespace);
    if (found === null) throw refuse.notFound(namespaces, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const message = `namespace ${namespace} is being terminated`;
    throw refuse.forbidden(
      definition,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [{ reason: 'NamespaceTerminating', message, field: 'metadata.namespace' }],
    );
  }

  #checkPreconditions({ definition, name }: Target, old: KubeObject, wanted: Preconditions): void {
    const { uid, resourceVersion } = old.metadata;
    if (wanted.uid && wanted.uid !== uid) {
      throw refuse.conflict(
        definition,
        name,
        `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`,
      );
    }
    if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion) {
      throw refuse.conflict(
        definition,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
  }
}

/** A marked object goes as soon as nothing holds it any more. */
function isReleased({ metadata }: KubeObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    listAt(metadata, 'finalizers').length === 0 &&
    !metadata.deletionGracePeriodSeconds
  );
}

/** Deletions say it in other words than updates, with the kind where those have the resource. */
function checkDeletion({ definition, name }: Target, old: KubeObject, wanted: Preconditions): void {
  const subject = { ...definition, group: '', plural: definition.kind };
  const { uid, resourceVersion } = old.metadata;
  if (wanted.uid && wanted.uid !== uid) {
    const why = `the UID in the precondition (${wanted.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`;
    throw refuse.conflict(subject, name, why);
  }
  if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion) {
    const why = `the ResourceVersion in the precondition (${wanted.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`;
    throw refuse.conflict(subject, name, why);
  }
}
