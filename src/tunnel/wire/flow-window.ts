/** Flow control (RFC 9113, sections 5.2 and 6.9). */

/** No window may be larger (section 6.9.1). */
export const maxWindowBytes = 2 ** 31 - 1;

/** The default of both sides until SETTINGS or WINDOW_UPDATE say otherwise (section 6.9.2). */
export const defaultWindowBytes = 65_535;

/**
 * What the peer may still send us. Received bytes are taken from it at once; consumed ones are given back in
 * batches of half a window, so that a WINDOW_UPDATE is rare and the peer never runs dry while we keep up.
 */
export class ReceiveWindow {
  #bytes: number;
  #available: number;
  /** Consumed bytes that the peer was not told of. */
  #unannounced = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#available = bytes;
  }

  /** False when the peer sent more than it may. */
  receive(bytes: number): boolean {
    if (bytes > this.#available) return false;
    this.#available -= bytes;
    return true;
  }

  /** The window becomes so much larger, or smaller: the peer may have to wait until more than that was consumed. */
  resize(change: number): void {
    this.#bytes += change;
    this.#available += change;
  }

  /** These bytes need no more room here. */
  consume(bytes: number): void {
    this.#unannounced += bytes;
  }

  /** The increment to announce now; 0 while it is not worth a frame. The caller sends what it took. */
  takeIncrement(): number {
    if (this.#unannounced < this.#bytes >>> 1) return 0;
    const increment = this.#unannounced;
    this.#unannounced = 0;
    this.#available += increment;
    return increment;
  }
}
