/** What a socket takes in this time is enough to have ready for it, milliseconds. */
const aheadMs = 20;

/**
 * How many unsent bytes keep a socket busy: whoever feeds it should wait. On a slow way few, because whatever is sent next
 * waits behind them. On a fast one more: there a connection's streams would else be stopped all the time, and what came in
 * the meantime lies in their queues and is copied once more. Between `leastBytes` and `mostBytes` it is what the socket took
 * in `aheadMs` when it was full last.
 */
export class HighWater {
  readonly #leastBytes: number;
  readonly #mostBytes: number;
  readonly #monotonicMs: () => number;
  #bytes: number;
  #filledMs = 0;

  /** Without `mostBytes` it stays where it is. */
  constructor(leastBytes: number, mostBytes = leastBytes, monotonicMs: () => number = () => 0) {
    this.#leastBytes = leastBytes;
    this.#mostBytes = mostBytes;
    this.#monotonicMs = monotonicMs;
    this.#bytes = leastBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** That many, or more, are unsent. */
  filled(): void {
    this.#filledMs = this.#monotonicMs();
  }

  /** There is room again: since `filled` the socket has taken so many bytes. */
  drained(takenBytes: number): void {
    const tookMs = Math.max(this.#monotonicMs() - this.#filledMs, 0);
    // No time at all is a very fast one.
    const bytes = tookMs === 0 ? this.#mostBytes : (takenBytes / tookMs) * aheadMs;
    this.#bytes = Math.min(Math.max(bytes, this.#leastBytes), this.#mostBytes);
  }
}
