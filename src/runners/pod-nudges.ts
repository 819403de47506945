import type { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { RetryTimer } from '../time/retry-timer.ts';

/** Kubernetes itself waits for up to a thousand seconds. */
const backoff: Backoff = { baseMs: 30_000, capMs: 120_000, healthyAfterMs: 0 };
/** Tunnels that are tried at a time: a quota that refuses one mostly refuses all. */
const triedAtOnce = 8;
/** Tunnels that are tried when one has got its pods: with each that gets them in its turn, all soon are. */
const triedByEach = 2;

/** A tunnel whose pods Kubernetes refuses to make. */
export interface RefusedTunnel {
  /** Has Kubernetes try again. Never rejects. */
  askAgain(): Promise<void>;
}

/**
 * While Kubernetes refuses to make pods (a quota, a policy), has it try again sooner than its own backoff would: nobody
 * tells us, and nobody tells it, that there is room again. A few tunnels of the namespace feel for it, whoever has waited
 * longest; the first that finds it tells others. Owns its timer.
 */
export class PodNudges {
  readonly #timer: RetryTimer;
  /** Those that are not all there since they were refused, whoever was tried last at the end; and whether they are refused now. */
  readonly #waiting = new Map<RefusedTunnel, boolean>();

  /** `random` is in [0, 1). */
  constructor(world: { readonly clock: Clock; readonly random: () => number }) {
    this.#timer = new RetryTimer(world, backoff, () => this.#feel());
  }

  /** Each try takes the refusal back for a moment, so only pods that are all there are the end of it. */
  look(tunnel: RefusedTunnel, areRefused: boolean, isRolledOut: boolean): void {
    if (isRolledOut) {
      if (this.#forget(tunnel)) this.#try(triedByEach);
    } else if (areRefused) {
      this.#waiting.set(tunnel, true);
      if (!this.#timer.isWaiting) this.#timer.wait();
    } else if (this.#waiting.has(tunnel)) this.#waiting.set(tunnel, false);
  }

  /** It wants no pods any more. Idempotent. */
  leave(tunnel: RefusedTunnel): void {
    this.#forget(tunnel);
  }

  #forget(tunnel: RefusedTunnel): boolean {
    const waited = this.#waiting.delete(tunnel);
    if (this.#waiting.size === 0) this.#timer.reset();
    return waited;
  }

  #feel(): void {
    if (this.#try(triedAtOnce)) this.#timer.wait();
  }

  /** Whether there was anybody to try. */
  #try(most: number): boolean {
    const refused = [...this.#waiting].filter(([, isRefused]) => isRefused).slice(0, most);
    for (const [tunnel] of refused) {
      this.#waiting.delete(tunnel);
      // Until it is heard of again.
      this.#waiting.set(tunnel, false);
      void tunnel.askAgain();
    }
    return refused.length > 0;
  }
}
