import { isDeepStrictEqual } from 'node:util';
import type { Result } from '../fault.ts';
import type { ActorContext } from '../kernel/actor.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Timer } from '../time/clock.ts';
import type { IngressMessage } from './messages.ts';
import type { ActorLog, IngressRef, IngressSink, Leadership } from './ports.ts';
import { ToldCauses } from './told-causes.ts';
import { whileLeading } from './while-leading.ts';

const retryBackoff: Backoff = { baseMs: 1_000, capMs: 120_000, healthyAfterMs: 0 };

interface PublisherWorld {
  readonly sink: IngressSink;
  readonly leadership: Leadership;
  readonly log: ActorLog;
  readonly random: () => number;
}

/**
 * Keeps an Ingress' status equal to what its actor wants there: one write at a time, the newest wish wins, and
 * a write that failed is tried again for ever. Rests while another replica leads. Owned by one ingress actor, which
 * hands it the outcomes.
 */
export class StatusPublisher {
  readonly #context: ActorContext<IngressMessage>;
  readonly #world: PublisherWorld;
  #published: readonly string[];
  #writing = false;
  /** What the watch said last while a write was under way. */
  #seenMeanwhile: readonly string[] | null = null;
  /** Until a write that failed is tried again. */
  #retry: Timer | null = null;
  #attempts = 0;
  /** Of which causes there was a warning since a write succeeded. */
  readonly #warned = new ToldCauses();

  constructor(context: ActorContext<IngressMessage>, world: PublisherWorld, published: readonly string[]) {
    this.#context = context;
    this.#world = world;
    this.#published = published;
  }

  get published(): readonly string[] {
    return this.#published;
  }

  /**
   * What the watch says the status is. During a write of our own that may be older than the write or newer, so it is
   * believed once that has settled: what is older costs a look that finds nothing to write.
   */
  seen(hostnames: readonly string[]): void {
    if (this.#writing) this.#seenMeanwhile = hostnames;
    else this.#published = hostnames;
  }

  want(ingress: IngressRef, hostnames: readonly string[]): void {
    const { sink, leadership } = this.#world;
    if (this.#writing || this.#retry !== null || !leadership.isLeading) return;
    // In whatever order: another replica may know of the hosts in another one.
    if (isDeepStrictEqual([...hostnames].sort(), [...this.#published].sort())) return;
    this.#writing = true;
    this.#context.run(
      (signal) =>
        whileLeading(leadership, signal, (whileWeLead) =>
          sink.publish(ingress, hostnames, this.#published, whileWeLead),
        ),
      (result) => ({ type: 'status.written', hostnames, result }),
    );
  }

  written(hostnames: readonly string[], result: Result<void>): void {
    this.#writing = false;
    // A write that failed may have been carried out all the same.
    if (this.#seenMeanwhile !== null) this.#published = this.#seenMeanwhile;
    else if (result.ok) this.#published = hostnames;
    this.#seenMeanwhile = null;
    if (result.ok) {
      this.#attempts = 0;
      this.#warned.clear();
      return;
    }
    const { code, message: detail, retryAfterMs = 0 } = result.fault;
    if (code === 'not-leading') return;
    const delayMs = Math.max(
      backoffDelayMs(retryBackoff, this.#attempts, this.#world.random()),
      retryAfterMs,
    );
    this.#attempts += 1;
    this.#retry = this.#context.after(delayMs, { type: 'status.due' });
    const isNews = this.#warned.isNews(code, this.#context.clock.monotonic());
    this.#world.log[isNews ? 'warn' : 'debug'](
      { hostnames, code, detail, retryInMs: delayMs },
      'status not written',
    );
  }

  due(): void {
    this.#retry = null;
  }

  /** Whoever leads has the API server, and what failed before says nothing about the next try. */
  leadershipChanged(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#attempts = 0;
  }
}
