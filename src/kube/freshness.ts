import { type Fault, failed, ok, type Result } from '../fault.ts';

/**
 * Whether what a watch has told is all there is by now, and those who wait until it is. It is while the history since
 * the last list is unbroken and what comes is heard. Owned by the watch.
 */
export class Freshness {
  #isUnbroken = false;
  #isWhole = false;
  readonly #waiting = new Set<(result: Result<void>) => void>();
  #hurry = new AbortController();

  /** Of one life of the watch and the pause after it; aborted when the watch stops, or somebody cannot wait. */
  begin(stopping: AbortSignal): AbortSignal {
    this.#hurry = new AbortController();
    return AbortSignal.any([stopping, this.#hurry.signal]);
  }

  /** Everything there is has been told. */
  listed(): void {
    this.#isUnbroken = true;
    this.#isWhole = true;
    this.#settle(ok(undefined));
  }

  /** What happens from now on is heard. What comes late after a break is not known to have come. */
  opened(): void {
    this.#isWhole = this.#isUnbroken;
  }

  /** `asAgreed`: the server had told everything until then. */
  ended(asAgreed: boolean): void {
    this.#isWhole = false;
    if (!asAgreed) this.#isUnbroken = false;
  }

  failed(fault: Fault): void {
    this.#settle({ ok: false, fault });
  }

  /** The watch has stopped. */
  close(): void {
    this.#settle(givenUp);
  }

  /** As `Watch.refresh`. Only while the watch runs. */
  wait(signal: AbortSignal): Promise<Result<void>> {
    if (this.#isWhole) return Promise.resolve(ok(undefined));
    if (signal.aborted) return Promise.resolve(givenUp);
    return new Promise((resolve) => {
      const giveUp = (): void => done(givenUp);
      const done = (result: Result<void>): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', giveUp);
        resolve(result);
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#hurry.abort();
    });
  }

  #settle(result: Result<void>): void {
    for (const done of [...this.#waiting]) done(result);
  }
}

const givenUp = failed('stopped', 'the watch is not waited for any more');
