import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from './arena.ts';
import { endpointsOf, type Host } from './hosts.ts';
import type { Moment } from './recovery.ts';
import { lookEveryMs, type Sight } from './sight.ts';

/**
 * An application that is told to end goes on for so long after everybody could see that it leaves (`lifecycle.preStop`).
 */
const leavingMs = 3_000;
const pauseMs = 500;

/**
 * Replaces the only endpoint of every host that is reached by its endpoints, again and again, by one at another address: a
 * connector to which the routes come late, or never, asks one that is gone. Only while nothing else is wrong with the endpoints.
 */
export class Rollouts {
  readonly moments: Moment[] = [];
  readonly #arena: Arena;
  readonly #sight: Sight;
  readonly #leavingMs: number;
  readonly #over = new AbortController();
  readonly #rolling: readonly Promise<void>[];

  constructor(arena: Arena, sight: Sight, patience: number) {
    this.#arena = arena;
    this.#sight = sight;
    this.#leavingMs = leavingMs * patience;
    this.#rolling = arena.hosts.filter(({ via }) => via === 'endpoints').map((host) => this.#roll(host));
  }

  /** Resolves when none is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#rolling);
  }

  async #roll(host: Host): Promise<void> {
    const { instances, owner } = this.#arena;
    while (!this.#over.signal.aborted) {
      await this.#pause(pauseMs);
      if (!this.#isInOrder(host)) continue;
      const endBefore = await instances.replace(host.name);
      owner.apply(endpointsOf(host, this.#arena.portOf(host)));
      const sinceMs = this.#note(`another endpoint of ${host.host} takes the place of the one before`);
      while (!this.#sight.hasLasted(sinceMs, this.#leavingMs) && !this.#over.signal.aborted) {
        await this.#pause(lookEveryMs);
      }
      await endBefore();
      this.#note(`the endpoint of ${host.host} before that is gone`);
    }
  }

  /** Its endpoint is where it should be, and ready. */
  #isInOrder(host: Host): boolean {
    const { metadata, endpoints } = endpointsOf(host, this.#arena.portOf(host));
    const slice = this.#arena.owner
      .list('EndpointSlice')
      .find((each) => each.metadata.name === metadata.name);
    return JSON.stringify(slice?.endpoints) === JSON.stringify(endpoints);
  }

  #note(what: string): number {
    const ms = this.#arena.now();
    this.moments.push({ ms, what });
    return ms;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, null, { signal: this.#over.signal }).catch(() => {});
  }
}
