import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../../time/clock.ts';
import type { ListQuery } from '../http/options.ts';
import type { ResourcePath } from '../http/request-info.ts';
import type { JsonObject, KubeObject } from '../json.ts';
import { apiVersionOf } from '../resources/definition.ts';
import { refuse } from '../status.ts';
import type { Matcher } from '../store/selectors.ts';
import type { Change, Store } from '../store/store.ts';
import { type Presenter, withoutColumns } from '../view/present.ts';
import { matcherOf } from './list.ts';

/** A bookmark at least this often, for clients that allow them. */
const bookmarkMs = 60_000;
/** How long a watch lasts when the client does not say. */
const defaultTimeoutMs = 45 * 60_000;
/** A client that lets this much pile up is cut off; it lists again. */
const maxUnsentBytes = 16 * 1024 * 1024;

export interface WatchRequest {
  readonly path: ResourcePath;
  readonly query: ListQuery;
  readonly presenter: Presenter;
  readonly response: ServerResponse;
  /** Whose it is; empty: the administrator's. */
  readonly account: string;
}

type Concerns = (watch: Pick<WatchRequest, 'path' | 'account'>) => boolean;

/**
 * The open watches. Each belongs to its response: it ends with it, with its timeout, or with `endAll`.
 */
export class Watches {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #open = new Set<Watch>();
  readonly #hearers = new Set<(resource: string) => void>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Refuses, or answers 200 and streams from then on. */
  start(request: WatchRequest): void {
    const watch = new Watch(this.#store, this.#clock, request, (resource) => {
      for (const hear of this.#hearers) hear(resource);
    });
    this.#open.add(watch);
    request.response.once('close', () => {
      watch.end();
      this.#open.delete(watch);
    });
    watch.begin();
  }

  /** Tells the resource (plural) of every watch that is told 410; the function ends that. */
  onExpired(hear: (resource: string) => void): () => void {
    this.#hearers.add(hear);
    return () => void this.#hearers.delete(hear);
  }

  /** Open ones, without those that have been silenced. */
  get size(): number {
    return [...this.#open].filter((watch) => !watch.isSilent).length;
  }

  /** Those watches say nothing any more, though their connections stay: half-open, to the client. */
  silence(concerns: Concerns): void {
    for (const watch of this.#open) if (concerns(watch)) watch.silence();
  }

  /** Cuts the connections of those watches. */
  cut(concerns: Concerns): void {
    for (const watch of this.#open) if (concerns(watch)) watch.cut();
  }

  /** Ends those watches in order, as a timeout does; `expired` tells them 410 first. */
  end(concerns: Concerns, expired = false): void {
    for (const watch of this.#open) {
      if (!concerns(watch)) continue;
      if (expired) watch.expire();
      else watch.end();
    }
  }
}

class Watch {
  readonly path: ResourcePath;
  readonly account: string;
  readonly #request: WatchRequest;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #matches: Matcher;
  readonly #expired: (resource: string) => void;
  #unsubscribe = (): void => {};
  readonly #timers = new Set<Timer>();
  /** A version that is yet to come, after a restore from a backup, is waited for in silence, as the real server does. */
  #from = 0;
  #ended = false;
  #silent = false;
  #columnsTold = false;

  constructor(store: Store, clock: Clock, request: WatchRequest, expired: (resource: string) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#request = request;
    this.#expired = expired;
    this.path = request.path;
    this.account = request.account;
    this.#matches = matcherOf(request.path, request.query);
  }

  begin(): void {
    const { query, response, path } = this.#request;
    const from = query.resourceVersion ?? 0;
    const initial = query.sendInitialEvents ?? from === 0;
    response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    response.flushHeaders();
    if (initial && from > this.#store.revision) {
      this.#write('ERROR', refuse.tooLargeResourceVersion(from, this.#store.revision).body);
      return this.end();
    }
    if (initial) {
      const { objects } = this.#store.snapshot(path.definition.storage, path.namespace)!;
      for (const object of objects) if (this.#matches(object)) this.#send('ADDED', object);
      if (query.sendInitialEvents === true) this.#bookmark({ 'k8s.io/initial-events-end': 'true' });
    } else {
      // `sendInitialEvents=false` at 0 starts from now, like any watch without a past.
      const changes = this.#store.since(from === 0 ? this.#store.revision : from);
      if (changes === null) {
        this.expire(from);
        return;
      }
      for (const change of changes) this.#hear(change);
      this.#from = from;
    }
    this.#unsubscribe = this.#store.subscribe((change) => this.#hear(change));
    const timeoutMs = query.timeoutSeconds ? query.timeoutSeconds * 1000 : defaultTimeoutMs;
    this.#after(timeoutMs, () => this.end());
    if (query.bookmarks) this.#bookmarkLater();
  }

  get isSilent(): boolean {
    return this.#silent;
  }

  silence(): void {
    this.#silent = true;
    this.#release();
  }

  cut(): void {
    this.#release();
    this.#request.response.destroy();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    if (!this.#silent) this.#request.response.end();
  }

  /** Tells the client that its past is gone, and ends. */
  expire(from?: number): void {
    const detail = from === undefined ? '' : `: ${from} (${this.#store.revision})`;
    this.#expired(this.path.definition.plural);
    this.#write('ERROR', refuse.expired(`too old resource version${detail}`).body);
    this.end();
  }

  #hear(change: Change): void {
    if (change.storage !== this.path.definition.storage || change.revision <= this.#from) return;
    const now = change.type !== 'DELETED' && this.#matches(change.object);
    const before = change.previous !== null && this.#matches(change.previous);
    if (now) this.#send(before ? 'MODIFIED' : 'ADDED', change.object);
    else if (before) {
      // What left the selection is shown as it was, with the revision at which it left.
      const { previous, revision } = change;
      this.#send('DELETED', {
        ...previous!,
        metadata: { ...previous!.metadata, resourceVersion: String(revision) },
      });
    }
  }

  #send(type: string, object: KubeObject): void {
    const shown = this.#request.presenter.one(object);
    this.#write(type, shown.kind === 'Table' && this.#columnsTold ? withoutColumns(shown) : shown);
    this.#columnsTold = true;
  }

  #bookmark(annotations?: { [key: string]: string }): void {
    const { definition } = this.path;
    this.#write('BOOKMARK', {
      kind: definition.kind,
      apiVersion: apiVersionOf(definition),
      metadata: {
        resourceVersion: String(this.#store.revision),
        creationTimestamp: null,
        ...(annotations !== undefined && { annotations }),
      },
    });
  }

  #bookmarkLater(): void {
    this.#after(bookmarkMs, () => {
      if (this.#store.revision >= this.#from) this.#bookmark();
      this.#bookmarkLater();
    });
  }

  #write(type: string, object: JsonObject): void {
    const { response } = this.#request;
    if (this.#silent || this.#ended || response.destroyed) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > maxUnsentBytes) this.cut();
  }

  #after(delayMs: number, fire: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      fire();
    });
    this.#timers.add(timer);
  }

  #release(): void {
    this.#unsubscribe();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
