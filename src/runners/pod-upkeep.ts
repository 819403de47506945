import type { ActorLog } from '../actors/ports.ts';
import { type Difference, differences } from '../kube/pods/differences.ts';
import type { SeenPods } from '../kube/pods/parse-pods.ts';
import type { WantedPods } from '../kube/pods/tunnel-deployment.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';

/** The first time at once; whoever changes it again and again is answered more and more seldom. */
const backoff: Backoff = { baseMs: 5_000, capMs: 600_000, healthyAfterMs: 1_800_000 };
const maxTold = 5;

export interface PodUpkeepWorld {
  readonly clock: Clock;
  readonly log: ActorLog;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What was not as we had said. */
interface Strays {
  readonly found: readonly Difference[];
  /** Who may have done that. */
  readonly by: readonly string[];
}

/**
 * Whether a Deployment is still as we have written it. What somebody has changed by hand is to be put back; what comes out
 * of our own write differently is the word of the API server or of an admission webhook, and stays. Owns its timer.
 */
export class PodUpkeep {
  readonly #world: PodUpkeepWorld;
  readonly #due: () => void;
  /** What our last write did not come out as. */
  #accepted = textOf([]);
  #putBack = 0;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #wait: Timer | null = null;

  /** `due`: it is time to look again. */
  constructor(world: PodUpkeepWorld, due: () => void) {
    this.#world = world;
    this.#due = due;
  }

  /** What is to be put back now; nothing also while it is too early for that. */
  look(said: WantedPods, seen: SeenPods): readonly Difference[] {
    const found = straysOf(said, seen);
    this.stop();
    if (textOf(found) === this.#accepted) return [];
    const waitMs = this.#notBeforeMs - this.#world.clock.monotonic();
    if (waitMs <= 0) return found;
    this.#wait = this.#world.clock.after(waitMs, () => {
      this.#wait = null;
      this.#due();
    });
    return [];
  }

  /** Our write of `said` has come out as `now`. `before`: what it was to put back, by whom; null: others were wanted. */
  written(said: WantedPods, now: SeenPods, before: Strays | null): void {
    const left = straysOf(said, now);
    this.#accepted = textOf(left);
    const fields = { host: now.host, pods: now.name };
    if (before === null) {
      this.#world.log.info(fields, 'tunnel pods changed');
    } else if (textOf(before.found) !== this.#accepted) {
      this.#world.log.warn(
        { ...fields, changed: pathsOf(before.found), by: before.by },
        'tunnel pods put back',
      );
    }
    if (left.length > 0)
      this.#world.log.info({ ...fields, changed: pathsOf(left) }, 'tunnel pods are changed on their way in');
    if (before !== null) this.#pace();
  }

  /** Idempotent. */
  stop(): void {
    this.#wait?.cancel();
    this.#wait = null;
  }

  #pace(): void {
    const nowMs = this.#world.clock.monotonic();
    if (nowMs - this.#lastAtMs > backoff.healthyAfterMs) this.#putBack = 0;
    this.#lastAtMs = nowMs;
    this.#notBeforeMs = nowMs + backoffDelayMs(backoff, this.#putBack++, this.#world.random());
  }
}

function straysOf({ deployment }: WantedPods, { stored }: SeenPods): readonly Difference[] {
  const { metadata, spec } = deployment;
  const { labels, annotations } = metadata;
  return differences({ metadata: { labels, annotations }, spec }, stored);
}

function textOf(found: readonly Difference[]): string {
  return JSON.stringify(found);
}

function pathsOf(found: readonly Difference[]): readonly string[] {
  return found.slice(0, maxTold).map(({ path }) => path);
}
