import type { Result } from '../fault.ts';
import type { PodAnswer } from '../kube/pods/ask-pod.ts';
import type { Clock, Timer } from '../time/clock.ts';

/** A tunnel whose pods have something to say. */
export interface QuestionedTunnel {
  /** Addresses of pods that let nobody in without a token. */
  readonly guards: readonly string[];
  /** Addresses of pods that are waited for. */
  readonly unready: readonly string[];
  /** What those of them said that could be asked, by address. */
  hearPods(answers: ReadonlyMap<string, PodAnswer>): void;
}

export interface PodQuestionsOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly mayAsk: () => boolean;
  readonly tunnels: () => Iterable<QuestionedTunnel>;
  /** As `TunnelPods.ask`. */
  ask(address: string, signal: AbortSignal): Promise<Result<PodAnswer>>;
}

const askGuardsEveryMs = 30_000;
const askUnreadyEveryMs = 10_000;
/** Tunnels that are asked side by side: a pod that does not answer is waited for. */
const lanes = 50;
/** After pods have changed: they ask for their keys as they start. */
const askSoonMs = 1_000;

/**
 * Asks pods what Kubernetes shows nothing of: whether they can verify tokens, because one that cannot refuses everybody
 * while it is registered and ready; and why the edge does not take one that is not ready, because only another token
 * helps where that is refused. Who cannot be reached says nothing. Owns its timer.
 */
export class PodQuestions {
  readonly #options: PodQuestionsOptions;
  #timer: Timer | null = null;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #isAsking = false;

  constructor(options: PodQuestionsOptions) {
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
    let againInMs = Number.POSITIVE_INFINITY;
    const waiting = [...tunnels()].values();
    const lane = async (): Promise<void> => {
      for (const tunnel of waiting) {
        if (tunnel.guards.length > 0) againInMs = Math.min(againInMs, askGuardsEveryMs);
        if (tunnel.unready.length > 0) againInMs = askUnreadyEveryMs;
        if (mayAsk() && !signal.aborted) await this.#ask(tunnel);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    this.#isAsking = false;
    this.#askIn(againInMs);
  }

  async #ask(tunnel: QuestionedTunnel): Promise<void> {
    const { ask, signal } = this.#options;
    const addresses = [...new Set([...tunnel.guards, ...tunnel.unready])];
    const answers = new Map<string, PodAnswer>();
    await Promise.all(
      addresses.map(async (address) => {
        const answer = await ask(address, signal);
        if (answer.ok) answers.set(address, answer.value);
      }),
    );
    if (!signal.aborted) tunnel.hearPods(answers);
  }
}
