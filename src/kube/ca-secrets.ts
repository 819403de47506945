import type { WorldMessage } from '../actors/messages.ts';
import type { CaSecrets } from '../actors/ports.ts';
import type { Fault, Result } from '../fault.ts';
import type { Logger } from '../log.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { caOf, readCaSecret } from './ca-secret.ts';
import type { KubeClient } from './client.ts';
import { parseMeta } from './parse-meta.ts';
import { startWatch, type Watch, type WatchTelemetry } from './watch.ts';

/** Where Secrets may be read and not watched, a renewed CA is found by looking: about this often. */
const rereadEveryMs = 300_000;
const retryBackoff: Backoff = { baseMs: 4_000, capMs: 60_000, healthyAfterMs: 0 };

export interface CaSecretsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: WatchTelemetry;
  /** In [0, 1). */
  readonly random: () => number;
  readonly tell: (message: Extract<WorldMessage, { type: 'ca.read' }>) => void;
}

/** One Secret that somebody names. */
interface Followed {
  /** As it was last read; null: it has not been, or was not there. */
  version: string | null;
  isBeingRead: boolean;
  /** What the watch told while it was being read. */
  heard: string | null;
  attempts: number;
  retry: Timer | null;
}

/**
 * The CA Secrets of all Ingresses: each is read with one GET when it is first named and when it has changed, whoever
 * else names it too. Changes are told by one watch of the Secrets' metadata, for any number of names one connection, and
 * no data of a Secret crosses it; it stands while a Secret is followed. Where it is not allowed that is said once,
 * and every Secret is read again each five minutes, with another try of the watch. Owns watch and timers.
 */
export class KubeCaSecrets implements CaSecrets {
  readonly #options: CaSecretsOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #closing = new AbortController();
  #watch: Watch | null = null;
  #rereading: Timer | null = null;
  #saidRefused = false;

  constructor(options: CaSecretsOptions) {
    this.#options = options;
  }

  follow(name: string): void {
    if (this.#closing.signal.aborted || this.#followed.has(name)) return;
    const followed = { version: null, isBeingRead: false, heard: null, attempts: 0, retry: null };
    this.#followed.set(name, followed);
    void this.#read(name, followed);
    if (this.#watch === null && this.#rereading === null) this.#startWatch();
  }

  forget(name: string): void {
    this.#followed.get(name)?.retry?.cancel();
    this.#followed.delete(name);
    if (this.#followed.size === 0) void this.#stopWatch();
  }

  /** Nothing is told from now on; resolves when the watch's connection is gone. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { retry } of this.#followed.values()) retry?.cancel();
    this.#followed.clear();
    await this.#stopWatch();
  }

  async #read(name: string, followed: Followed): Promise<void> {
    followed.retry?.cancel();
    followed.retry = null;
    followed.isBeingRead = true;
    followed.heard = null;
    const found = await readCaSecret(this.#options.client, name, this.#closing.signal);
    followed.isBeingRead = false;
    // Named by nobody any more; or again, by a life of its own.
    if (this.#followed.get(name) !== followed) return;
    followed.version = found.ok ? (parseMeta(found.value)?.resourceVersion ?? null) : null;
    const result = found.ok ? caOf(name, found.value) : found;
    this.#options.tell({ type: 'ca.read', secret: name, result });
    if (result.ok) followed.attempts = 0;
    if (followed.heard !== null && followed.heard !== followed.version) void this.#read(name, followed);
    else if (!result.ok) this.#failed(name, followed, result);
  }

  #failed(name: string, followed: Followed, { fault }: Extract<Result<never>, { ok: false }>): void {
    const { clock, random, log } = this.#options;
    const { code, message: detail, retryAfterMs = 0 } = fault;
    const retryInMs = Math.max(backoffDelayMs(retryBackoff, followed.attempts, random()), retryAfterMs);
    followed.attempts += 1;
    followed.retry = clock.after(retryInMs, () => void this.#read(name, followed));
    log.warn({ name, code, detail, retryInMs }, 'CA not read');
  }

  #changed(name: string, version: string | null): void {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    if (followed.isBeingRead) followed.heard = version ?? '';
    else if (version === null || version !== followed.version) void this.#read(name, followed);
  }

  #startWatch(): void {
    const { client, clock, log, telemetry, random } = this.#options;
    this.#watch = startWatch({
      client,
      resource: 'secrets',
      metadataOnly: true,
      clock,
      log,
      telemetry,
      random,
      present: (name, object) => this.#changed(name, parseMeta(object)?.resourceVersion ?? null),
      removed: (name) => this.#changed(name, null),
      listed: () => {},
      refused: (fault) => this.#refused(fault),
    });
  }

  #refused({ code, message: detail }: Fault): void {
    const { clock, log, random } = this.#options;
    void this.#stopWatch();
    const rereadInMs = rereadEveryMs * (0.9 + 0.2 * random());
    if (!this.#saidRefused)
      log.warn({ code, detail, rereadInMs }, 'Secrets may not be watched: renewed CAs are found by reading');
    this.#saidRefused = true;
    this.#rereading = clock.after(rereadInMs, () => {
      this.#rereading = null;
      for (const [name, followed] of this.#followed)
        if (!followed.isBeingRead) void this.#read(name, followed);
      this.#startWatch();
    });
  }

  async #stopWatch(): Promise<void> {
    this.#rereading?.cancel();
    this.#rereading = null;
    const watch = this.#watch;
    this.#watch = null;
    await watch?.stop();
  }
}
