import { connect, type Socket } from 'node:net';
import { onChunk, withSharedReads } from '../../src/tunnel/shared-reads.ts';

/** How one turn of a client ends: the answer was 2xx or 101 and whole, or it was not. */
export type Outcome = 'answered' | 'failed';

/**
 * One client of the load generator: HTTP/1.1 over one socket, the same prepared request again and again, one at a
 * time. Counts the bytes of an answer and keeps none.
 */
export class Client {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #done: (outcome: Outcome) => void;
  #waiting = false;
  #bodyLeft = -1;
  #partialHead: Buffer | null = null;
  #isGood = false;

  /** `done` is called once for every `send`. */
  constructor(port: number, request: Buffer, done: (outcome: Outcome) => void) {
    this.#request = request;
    this.#done = done;
    this.#socket = withSharedReads((reads) => connect({ port, host: '127.0.0.1', noDelay: true, ...reads }));
    onChunk(this.#socket, (chunk) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#finish('failed'));
  }

  send(): void {
    this.#waiting = true;
    if (this.#socket.destroyed) queueMicrotask(() => this.#finish('failed'));
    else this.#socket.write(this.#request);
  }

  destroy(): void {
    this.#waiting = false;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let bytes = chunk.length;
    if (this.#bodyLeft < 0) {
      const data = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
      const end = data.indexOf('\r\n\r\n');
      // A copy: the chunk is read into again.
      this.#partialHead = end < 0 ? Buffer.from(data) : null;
      if (end < 0) return;
      const head = data.toString('latin1', 0, end);
      this.#isGood = head.startsWith('HTTP/1.1 2') || head.startsWith('HTTP/1.1 101');
      this.#bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      bytes = data.length - end - 4;
    }
    this.#bodyLeft -= bytes;
    if (this.#bodyLeft > 0) return;
    const isWhole = this.#bodyLeft === 0;
    this.#bodyLeft = -1;
    this.#finish(this.#isGood && isWhole ? 'answered' : 'failed');
  }

  #finish(outcome: Outcome): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#done(outcome);
  }
}
