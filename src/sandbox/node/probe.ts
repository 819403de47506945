import { request } from 'node:http';
import type { Clock, Timer } from '../../time/clock.ts';

export interface ProbeSpec {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
  /** Asked more often until it passes for the first time, as a kubelet asks for readiness around a start. */
  readonly eager: boolean;
}

const eagerPeriodMs = 250;

/** Asks over HTTP, again and again, and tells when enough answers in a row say something else. Ends with `stop`. */
export class Probe {
  readonly #spec: ProbeSpec;
  readonly #clock: Clock;
  readonly #tell: (passes: boolean) => void;
  readonly #stopping = new AbortController();
  #timer: Timer;
  #inARow = 0;
  #last: boolean | null = null;
  #hasPassed = false;

  constructor(spec: ProbeSpec, clock: Clock, tell: (passes: boolean) => void) {
    this.#spec = spec;
    this.#clock = clock;
    this.#tell = tell;
    this.#timer = clock.after(spec.initialDelayMs, () => void this.#ask());
  }

  stop(): void {
    this.#stopping.abort();
    this.#timer.cancel();
  }

  async #ask(): Promise<void> {
    const passes = await answers(this.#spec, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    this.#inARow = passes === this.#last ? this.#inARow + 1 : 1;
    this.#last = passes;
    this.#hasPassed ||= passes;
    const { successThreshold, failureThreshold, periodMs, eager } = this.#spec;
    if (this.#inARow >= (passes ? successThreshold : failureThreshold)) this.#tell(passes);
    const delayMs = this.#hasPassed || !eager ? periodMs : Math.min(periodMs, eagerPeriodMs);
    this.#timer = this.#clock.after(delayMs, () => void this.#ask());
  }
}

/** 2xx and 3xx pass, as for a kubelet. */
function answers({ host, port, path, timeoutMs }: ProbeSpec, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host, port, path, agent: false, timeout: timeoutMs, signal }, (response) => {
      const { statusCode = 0 } = response;
      response.resume();
      resolve(statusCode >= 200 && statusCode < 400);
    });
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => resolve(false));
    sent.end();
  });
}
