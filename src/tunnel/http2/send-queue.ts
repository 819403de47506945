import { appendTo, queueSlabBytes, queueSlabs, type Slab, slabBehind } from '../slabs.ts';

/** Less than this is not worth a shared slab of its own. */
const leastPooledBytes = queueSlabBytes / 4;

/**
 * What of one stream waits for windows or for the socket, copied: pieces as they come lie in buffers that are read
 * into again at once.
 */
export class SendQueue {
  readonly #pieces: Slab[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Uint8Array): void {
    appendTo(this.#pieces, this.#bytes, bytes, slabFor);
    this.#bytes += bytes.length;
  }

  /** The oldest bytes, in one piece; there are some. Valid until `took`. */
  get head(): Buffer {
    const { buffer, given, used } = this.#pieces[0]!;
    return buffer.subarray(given, used);
  }

  /** So many of `head` have been sent. */
  took(bytes: number): void {
    const first = this.#pieces[0]!;
    this.#bytes -= bytes;
    first.given += bytes;
    if (first.given < first.used) return;
    this.#pieces.shift();
    queueSlabs.giveBack(first);
  }

  clear(): void {
    this.#bytes = 0;
    for (const piece of this.#pieces) queueSlabs.giveBack(piece);
    this.#pieces.length = 0;
  }
}

function slabFor(waitingBytes: number, wanted: number): Slab {
  return wanted < leastPooledBytes ? slabBehind(waitingBytes, wanted) : queueSlabs.take();
}
