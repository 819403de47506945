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
  /** When each tunnel is to be asked. */
  readonly #dueAtMs = new WeakMap<QuestionedTunnel, number>();
  #timer: Timer | null = null;
  #wakesAtMs = Number.POSITIVE_INFINITY;
  #isAsking = false;

  constructor(options: PodQuestionsOptions) {
    this.#options = options;
  }

  /** Something has changed of this tunnel. */
  changed(tunnel: QuestionedTunnel): void {
    this.#askIn(askSoonMs, tunnel);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #askIn(delayMs: number, tunnel: QuestionedTunnel): void {
    const dueAtMs = Math.min(this.#dueOf(tunnel), this.#options.clock.monotonic() + delayMs);
    this.#dueAtMs.set(tunnel, dueAtMs);
    this.#wakeAt(dueAtMs);
  }

  #dueOf(tunnel: QuestionedTunnel): number {
    return this.#dueAtMs.get(tunnel) ?? Number.POSITIVE_INFINITY;
  }

  #wakeAt(atMs: number): void {
    const { clock, signal } = this.#options;
    if (signal.aborted || atMs >= this.#wakesAtMs) return;
    this.#timer?.cancel();
    this.#wakesAtMs = atMs;
    this.#timer = clock.after(atMs - clock.monotonic(), () => {
      this.#wakesAtMs = Number.POSITIVE_INFINITY;
      void this.#askDue();
    });
  }

  async #askDue(): Promise<void> {
    const { clock, mayAsk, tunnels, signal } = this.#options;
    const nowMs = clock.monotonic();
    if (this.#isAsking) return this.#wakeAt(nowMs + askSoonMs);
    this.#isAsking = true;
    const due = [...tunnels()].filter((tunnel) => this.#dueOf(tunnel) <= nowMs);
    for (const tunnel of due) this.#dueAtMs.delete(tunnel);
    const waiting = due.values();
    const lane = async (): Promise<void> => {
      for (const tunnel of waiting) {
        if (mayAsk() && !signal.aborted) await this.#ask(tunnel);
        if (tunnel.unready.length > 0) this.#askIn(askUnreadyEveryMs, tunnel);
        else if (tunnel.guards.length > 0) this.#askIn(askGuardsEveryMs, tunnel);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    this.#isAsking = false;
    // Those that were not due yet.
    this.#wakeAt(Math.min(...Array.from(tunnels(), (tunnel) => this.#dueOf(tunnel))));
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
