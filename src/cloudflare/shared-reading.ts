import { failed, ok, type Result } from '../fault.ts';
import type { Clock } from '../time/clock.ts';
import type { ApiResult } from './api-failure.ts';
import type { Credentials } from './credentials.ts';

/**
 * Something at Cloudflare that is read once for everybody who asks meanwhile, and kept until it is too old for
 * whoever asks next. What other credentials have read is never given out. Its owner calls `close`.
 */
export class SharedReading<T> {
  readonly #op: string;
  readonly #clock: Clock;
  readonly #read: (credentials: Credentials, signal: AbortSignal) => Promise<ApiResult<T>>;
  readonly #closing = new AbortController();
  #known: { readonly value: T; readonly asOfMs: number; readonly of: Credentials } | null = null;
  #underWay: { readonly answer: Promise<ApiResult<T>>; readonly of: Credentials } | null = null;

  constructor(
    op: string,
    clock: Clock,
    read: (credentials: Credentials, signal: AbortSignal) => Promise<ApiResult<T>>,
  ) {
    this.#op = op;
    this.#clock = clock;
    this.#read = read;
  }

  async get(credentials: Credentials, maxAgeMs: number, signal: AbortSignal): Promise<Result<T>> {
    const known = this.#known;
    if (known?.of === credentials && this.#clock.monotonic() - known.asOfMs < maxAgeMs)
      return ok(known.value);
    // One reading serves everybody who waits, so it ends with us and not with the first who gives up.
    const underWay = this.#underWay?.of === credentials ? this.#underWay : this.#begin(credentials);
    const answer = await unlessAborted(underWay.answer, signal);
    return answer ?? failed('stopped', `${this.#op} was given up because its caller stopped`);
  }

  /** Ends a reading that is under way. Idempotent. */
  close(): void {
    this.#closing.abort();
  }

  #begin(credentials: Credentials) {
    const asOfMs = this.#clock.monotonic();
    const mine = { of: credentials, answer: this.#read(credentials, this.#closing.signal) };
    this.#underWay = mine;
    const end = (answer: ApiResult<T> | null): void => {
      if (this.#underWay !== mine) return;
      this.#underWay = null;
      if (answer?.ok) this.#known = { value: answer.value, asOfMs, of: credentials };
    };
    // A bug in the reading is thrown to everybody who waits for it.
    mine.answer.then(end, () => end(null));
    return mine;
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(null);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
