import type { Result } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';

/** A tunnel whose pods let nobody in without a token. */
export interface GuardedTunnel {
  /** Of its pods; empty for one that asks for no token. */
  readonly guards: readonly string[];
  hearAccess(problem: string | null): void;
}

export interface PodAccessOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly mayAsk: () => boolean;
  readonly tunnels: () => Iterable<GuardedTunnel>;
  /** As `TunnelPods.ask`. */
  ask(address: string, signal: AbortSignal): Promise<Result<string | null>>;
}

const askEveryMs = 30_000;
/** After pods have changed: they ask for their keys as they start. */
const askSoonMs = 1_000;

/**
 * Asks pods whether they can verify tokens: nothing that Kubernetes shows of a pod has room for it, and one that cannot
 * refuses everybody while it is registered and ready. Who cannot be reached says nothing. Owns its timer.
 */
export class PodAccess {
  readonly #options: PodAccessOptions;
  #timer: Timer | null = null;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #isAsking = false;

  constructor(options: PodAccessOptions) {
    this.#options = options;
  }

  /** Something has changed. */
  changed(): void {
    this.#askIn(askSoonMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #askIn(delayMs: number): void {
    const { clock, signal } = this.#options;
    const dueAtMs = clock.monotonic() + delayMs;
    if (signal.aborted || dueAtMs >= this.#dueAtMs) return;
    this.#timer?.cancel();
    this.#dueAtMs = dueAtMs;
    this.#timer = clock.after(delayMs, () => {
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      void this.#askAll();
    });
  }

  async #askAll(): Promise<void> {
    const { mayAsk, tunnels, signal } = this.#options;
    if (this.#isAsking) return this.#askIn(askSoonMs);
    this.#isAsking = true;
    let isNeeded = false;
    for (const tunnel of [...tunnels()]) {
      isNeeded ||= tunnel.guards.length > 0;
      if (mayAsk() && !signal.aborted) await this.#ask(tunnel);
    }
    this.#isAsking = false;
    if (isNeeded) this.#askIn(askEveryMs);
  }

  async #ask(tunnel: GuardedTunnel): Promise<void> {
    const { ask, signal } = this.#options;
    const { guards } = tunnel;
    const answers = await Promise.all(guards.map((address) => ask(address, signal)));
    if (signal.aborted) return;
    const known = answers.flatMap((answer) => (answer.ok ? [answer.value] : []));
    // One that refuses everybody is enough to be told of.
    const problem = known.find((each) => each !== null);
    if (problem !== undefined) tunnel.hearAccess(problem);
    else if (known.length > 0 || guards.length === 0) tunnel.hearAccess(null);
  }
}
