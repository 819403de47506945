import type { EdgeStream } from '../edge-session.ts';
import { HeldBytes } from '../held-bytes.ts';
import type { StreamHandler } from '../http2/stream.ts';

/**
 * A request that waits for its verdict, and then passes on what arrives to whoever serves it. Meanwhile its
 * stream is paused: at most one window of body comes and is kept, and over all streams the session's
 * `maxHeldBytes`.
 */
export class HeldRequest implements StreamHandler {
  readonly #stream: EdgeStream;
  readonly #cancelled: () => void;
  #handler: StreamHandler | null = null;
  readonly #body = new HeldBytes();
  #trailers: readonly string[] | null = null;
  #over = false;

  /** `cancelled` is called when the edge gives up before `serve` or `drop`. */
  constructor(stream: EdgeStream, cancelled: () => void) {
    this.#stream = stream;
    this.#cancelled = cancelled;
    stream.pause();
  }

  /** It was cancelled or dropped: nothing is to be done for it any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Whoever `open` gives gets what has arrived and everything that follows. */
  serve(open: () => StreamHandler): void {
    // Before there is a new owner, who may pause the stream again.
    this.#stream.resume();
    const handler = open();
    this.#handler = handler;
    while (this.#body.bytes > 0) handler.data(this.#body.shift());
    if (this.#trailers !== null) handler.end(this.#trailers);
  }

  /** Forgets what has arrived; the stream was answered by the caller. */
  drop(): void {
    this.#over = true;
    this.#body.clear();
  }

  data(chunk: Buffer): void {
    if (this.#handler !== null) this.#handler.data(chunk);
    else if (!this.#over) this.#body.push(chunk);
  }

  end(trailers: readonly string[]): void {
    if (this.#handler !== null) this.#handler.end(trailers);
    else this.#trailers = trailers;
  }

  reset(code: number): void {
    if (this.#handler !== null) return this.#handler.reset(code);
    if (this.#over) return;
    this.#over = true;
    this.#body.clear();
    this.#cancelled();
  }

  drain(): void {
    this.#handler?.drain();
  }
}
