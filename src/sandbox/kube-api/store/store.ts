import { deepFreeze, type KubeObject } from '../json.ts';

/** One step of the store's history. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  /** Which collection: see `ResourceDefinition.storage`. */
  readonly storage: string;
  /** As it is now; for `DELETED` as it was last, with the revision of its deletion. */
  readonly object: KubeObject;
  /** As it was before; null for `ADDED`. */
  readonly previous: KubeObject | null;
}

export interface Snapshot {
  readonly revision: number;
  /** Sorted by namespace and name, as etcd returns keys. */
  readonly objects: readonly KubeObject[];
}

/**
 * All objects, one revision counter, and the last changes. Objects are frozen. The history is bounded: what
 * is older than its first entry can be neither listed nor watched from ("410 Gone").
 */
export class Store {
  #revision = 1;
  #history: Change[] = [];
  /** The newest revision that the history does not have any more. */
  #compacted = 1;
  readonly #historyLength: number;
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Set<(change: Change) => void>();

  constructor(historyLength: number) {
    this.#historyLength = historyLength;
  }

  get revision(): number {
    return this.#revision;
  }

  get(storage: string, namespace: string, name: string): KubeObject | null {
    return this.#collections.get(storage)?.get(keyOf(namespace, name)) ?? null;
  }

  /** All objects of a collection, in no order. */
  values(storage: string): Iterable<KubeObject> {
    return this.#collections.get(storage)?.values() ?? [];
  }

  /** The collection as it is now or was at `revision`; null if the history does not reach that far. */
  snapshot(storage: string, namespace: string, revision = this.#revision): Snapshot | null {
    if (revision < this.#compacted) return null;
    const collection = this.#collections.get(storage) ?? new Map<string, KubeObject>();
    const view = revision === this.#revision ? collection : new Map(collection);
    for (let index = this.#history.length - 1; index >= 0; index--) {
      const change = this.#history[index]!;
      if (change.revision <= revision) break;
      if (change.storage !== storage) continue;
      const key = keyOf(change.object.metadata.namespace ?? '', change.object.metadata.name);
      if (change.previous === null) view.delete(key);
      else view.set(key, change.previous);
    }
    const keys = [...view.keys()].filter((key) => namespace === '' || key.startsWith(`${namespace}/`)).sort();
    return { revision, objects: keys.map((key) => view.get(key)!) };
  }

  /** The changes after `revision`, oldest first; null if the history does not reach that far. */
  since(revision: number): readonly Change[] | null {
    if (revision < this.#compacted) return null;
    const first = this.#history.findIndex((change) => change.revision > revision);
    return first < 0 ? [] : this.#history.slice(first);
  }

  /** Creates or replaces; answers the object as stored, with its new resourceVersion. */
  put(storage: string, object: KubeObject): KubeObject {
    let collection = this.#collections.get(storage);
    if (collection === undefined) {
      collection = new Map();
      this.#collections.set(storage, collection);
    }
    const key = keyOf(object.metadata.namespace ?? '', object.metadata.name);
    const previous = collection.get(key) ?? null;
    const stored = this.#stamp(object);
    collection.set(key, stored);
    this.#commit({
      type: previous === null ? 'ADDED' : 'MODIFIED',
      revision: this.#revision,
      storage,
      object: stored,
      previous,
    });
    return stored;
  }

  /** Answers what was removed, with the revision of the removal; null if there is nothing. */
  remove(storage: string, namespace: string, name: string): KubeObject | null {
    const collection = this.#collections.get(storage);
    const key = keyOf(namespace, name);
    const previous = collection?.get(key);
    if (collection === undefined || previous === undefined) return null;
    collection.delete(key);
    const removed = this.#stamp(previous);
    this.#commit({ type: 'DELETED', revision: this.#revision, storage, object: removed, previous });
    return removed;
  }

  /** Hears every change, in order, at once. The caller ends it with the returned function. */
  subscribe(hear: (change: Change) => void): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Forgets the history, as a compaction of etcd does: watches from before this answer 410. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#revision;
  }

  #stamp(object: KubeObject): KubeObject {
    this.#revision++;
    return deepFreeze({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(this.#revision) },
    });
  }

  #commit(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > this.#historyLength) {
      const dropped = this.#history.splice(0, Math.ceil(this.#historyLength / 4));
      this.#compacted = dropped.at(-1)!.revision;
    }
    for (const hear of [...this.#listeners]) hear(change);
  }
}

function keyOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
