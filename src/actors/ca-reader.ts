import type { OriginCa } from '../domain/compile-host.ts';
import type { Result } from '../fault.ts';
import type { ActorContext } from '../kernel/actor.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Timer } from '../time/clock.ts';
import type { IngressMessage } from './messages.ts';
import type { ActorLog, Secrets } from './ports.ts';

/** Secrets that are not ours are not watched, so a rotated CA is found by looking: about this often. */
const rereadEveryMs = 300_000;
/** After a failure: whoever has just forgotten the Secret should not wait long once it is there. */
const retryBackoff: Backoff = { baseMs: 4_000, capMs: 60_000, healthyAfterMs: 0 };

interface Reading {
  attempts: number;
  timer: Timer | null;
}

/**
 * The CAs of an Ingress' origins, read from the Secrets that settings name and again every few minutes. What was
 * read stays in force while it cannot be read anew. Owned by one ingress actor, which hands it the outcomes and
 * compiles its routes anew after each.
 */
export class CaReader {
  readonly #context: ActorContext<IngressMessage>;
  readonly #world: { readonly secrets: Secrets; readonly log: ActorLog; readonly random: () => number };
  readonly #readings = new Map<string, Reading>();
  readonly #known = new Map<string, OriginCa>();

  constructor(
    context: ActorContext<IngressMessage>,
    world: { readonly secrets: Secrets; readonly log: ActorLog; readonly random: () => number },
  ) {
    this.#context = context;
    this.#world = world;
  }

  /** By the name of the Secret; no entry before the first outcome. */
  get known(): ReadonlyMap<string, OriginCa> {
    return this.#known;
  }

  /** A Secret is being read for the first time: what it means for the routes is not known for the moment. */
  get isPending(): boolean {
    return this.#known.size < this.#readings.size;
  }

  /** Reads what is new among these, and forgets the others. */
  want(secrets: ReadonlySet<string>): void {
    for (const [secret, { timer }] of this.#readings) {
      if (secrets.has(secret)) continue;
      timer?.cancel();
      this.#readings.delete(secret);
      this.#known.delete(secret);
    }
    for (const secret of secrets) {
      if (this.#readings.has(secret)) continue;
      this.#readings.set(secret, { attempts: 0, timer: null });
      this.due(secret);
    }
  }

  /** The outcome of a reading. One that nobody wants any more is passed over. */
  read(secret: string, result: Result<string>): void {
    const reading = this.#readings.get(secret);
    if (reading === undefined) return;
    const { random, log } = this.#world;
    let delayMs = rereadEveryMs * (0.9 + 0.2 * random());
    if (result.ok) {
      reading.attempts = 0;
      this.#known.set(secret, { pem: result.value, note: null });
    } else {
      const { code, message, retryAfterMs = 0 } = result.fault;
      delayMs = Math.max(backoffDelayMs(retryBackoff, reading.attempts, random()), retryAfterMs);
      reading.attempts += 1;
      const pem = this.#known.get(secret)?.pem ?? null;
      const then =
        pem === null ? 'until it can be read the answer is 503' : 'the CA that was read before stays';
      const text = `ca-secret: ${message}; ${then}`;
      this.#known.set(secret, { pem, note: { type: 'Warning', reason: 'InvalidIngress', message: text } });
      log.warn({ secret, code, detail: message, retryInMs: delayMs }, 'CA not read');
    }
    // A name that was dropped and wanted again while it was read has two outcomes.
    reading.timer?.cancel();
    reading.timer = this.#context.after(delayMs, { type: 'ca.due', secret });
  }

  /** It is time to read. */
  due(secret: string): void {
    if (!this.#readings.has(secret)) return;
    this.#context.run(
      (signal) => this.#world.secrets.readCa(secret, signal),
      (result) => ({ type: 'ca.read', secret, result }),
    );
  }
}
