import { clone, type KubeObject, listAt, objectsAt, textAt } from '../json.ts';
import { namespaces } from '../resources/cluster.ts';
import { definitionOfStorage } from '../resources/table.ts';
import type { Change, Store } from '../store/store.ts';
import { foregroundFinalizer, orphanFinalizer, plainDeletion } from './deletion.ts';
import type { Registry } from './registry.ts';

interface Place {
  readonly storage: string;
  readonly namespace: string;
  readonly name: string;
}

/**
 * The controllers without which deletion is not whole: dependents follow their owners, and a namespace takes
 * its content along. Works just after each change, never inside it; ends with `stop`.
 */
export class GarbageCollector {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #unsubscribe: () => void;
  /** Where each living object is. */
  readonly #places = new Map<string, Place>();
  /** Owner's uid → uids of the objects that name it as owner. */
  readonly #dependents = new Map<string, Set<string>>();
  /** Uids to look at again; owners that are gone, objects that wait. */
  readonly #queue = new Set<string>();
  #scheduled = false;
  #stopped = false;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
    this.#unsubscribe = store.subscribe((change) => this.#hear(change));
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
  }

  #hear({ type, storage, object, previous }: Change): void {
    const { uid, name, namespace = '' } = object.metadata;
    for (const owner of ownersOf(previous)) this.#dependents.get(owner)?.delete(uid);
    if (type === 'DELETED') {
      this.#places.delete(uid);
      for (const dependent of this.#dependents.get(uid) ?? []) this.#enqueue(dependent);
      for (const owner of ownersOf(previous)) this.#enqueue(owner);
      const home = this.#store.get(namespaces.storage, '', namespace);
      if (home?.metadata.deletionTimestamp !== undefined) this.#enqueue(home.metadata.uid);
      return;
    }
    this.#places.set(uid, { storage, namespace, name });
    for (const owner of ownersOf(object)) {
      const dependents = this.#dependents.get(owner) ?? new Set();
      this.#dependents.set(owner, dependents.add(uid));
    }
    if (ownersOf(object).length > 0 || object.metadata.deletionTimestamp !== undefined) this.#enqueue(uid);
  }

  #enqueue(uid: string): void {
    this.#queue.add(uid);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      const batch = [...this.#queue];
      this.#queue.clear();
      for (const each of batch) if (!this.#stopped) this.#settle(each);
    });
  }

  /** Brings one object to where it belongs. Safe to repeat. */
  #settle(uid: string): void {
    const object = this.#read(uid);
    if (object === null) {
      if (this.#dependents.get(uid)?.size === 0) this.#dependents.delete(uid);
      return;
    }
    const place = this.#places.get(uid)!;
    if (object.metadata.deletionTimestamp === undefined) {
      this.#settleOwners(place, object);
    } else if (place.storage === namespaces.storage) {
      this.#emptyNamespace(object);
    } else if (listAt(object.metadata, 'finalizers').includes(orphanFinalizer)) {
      for (const dependent of this.#dependents.get(uid) ?? []) this.#disown(dependent, new Set([uid]));
      this.#release(place, orphanFinalizer);
    } else if (listAt(object.metadata, 'finalizers').includes(foregroundFinalizer)) {
      const waiting = [...(this.#dependents.get(uid) ?? [])].filter((each) => this.#read(each) !== null);
      for (const dependent of waiting) this.#delete(dependent);
      if (waiting.every((each) => this.#read(each) === null)) this.#release(place, foregroundFinalizer);
    }
  }

  #settleOwners(place: Place, object: KubeObject): void {
    const owners = ownersOf(object);
    const absent = new Set(owners.filter((owner) => !this.#places.has(owner)));
    if (absent.size === 0) return;
    if (absent.size === owners.length) this.#delete(object.metadata.uid);
    else this.#change(place, (copy) => dropOwners(copy, absent));
  }

  #emptyNamespace(namespace: KubeObject): void {
    const { name } = namespace.metadata;
    const content = [...this.#places].filter(([, place]) => place.namespace === name);
    for (const [each] of content) this.#delete(each);
    const empty = content.every(([each]) => this.#read(each) === null);
    if (empty && listAt(namespace.metadata, 'finalizers').length === 0) {
      this.#store.remove(namespaces.storage, '', name);
    }
  }

  #delete(uid: string): void {
    const place = this.#places.get(uid);
    if (place === undefined) return;
    const definition = definitionOfStorage(place.storage);
    this.#registry.delete({ ...place, definition }, plainDeletion);
  }

  #disown(uid: string, owners: ReadonlySet<string>): void {
    const place = this.#places.get(uid);
    if (place !== undefined) this.#change(place, (copy) => dropOwners(copy, owners));
  }

  #release(place: Place, finalizer: string): void {
    this.#change(place, (copy) => {
      const finalizers = listAt(copy.metadata, 'finalizers').filter((each) => each !== finalizer);
      copy.metadata.finalizers = finalizers.map(String);
      if (finalizers.length === 0) delete copy.metadata.finalizers;
      return copy;
    });
  }

  #change(place: Place, change: (copy: KubeObject) => KubeObject): void {
    const definition = definitionOfStorage(place.storage);
    this.#registry.update({ ...place, definition }, '', { dryRun: false, writer: null }, change);
  }

  #read(uid: string): KubeObject | null {
    const place = this.#places.get(uid);
    if (place === undefined) return null;
    const object = this.#store.get(place.storage, place.namespace, place.name);
    return object?.metadata.uid === uid ? object : null;
  }
}

function ownersOf(object: KubeObject | null): string[] {
  return object === null
    ? []
    : objectsAt(object.metadata, 'ownerReferences').map((owner) => textAt(owner, 'uid'));
}

function dropOwners(object: KubeObject, owners: ReadonlySet<string>): KubeObject {
  const copy = clone(object);
  const left = (copy.metadata.ownerReferences ?? []).filter((owner) => !owners.has(owner.uid));
  if (left.length > 0) copy.metadata.ownerReferences = left;
  else delete copy.metadata.ownerReferences;
  return copy;
}
