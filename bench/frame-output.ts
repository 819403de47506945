import type { Socket } from 'node:net';
import { HpackEncoder } from '../src/tunnel/wire/hpack-encoder.ts';
import { frameFlag, frameHeaderBytes, frameType, writeFrameHeader } from '../src/tunnel/wire/http2-frames.ts';

const slabBytes = 256 * 1024;
const cancelled = 8;

/** HTTP/2 frames on their way to a socket: what is written during one turn of the event loop goes out as one write. */
export class FrameOutput {
  readonly #socket: Socket;
  readonly #encoder = new HpackEncoder();
  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #start = 0;
  #end = 0;
  #flushIsDue = false;
  readonly #flush = (): void => this.flush();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  setPeerTableBytes(bytes: number): void {
    this.#encoder.setPeerTableBytes(bytes);
  }

  /** `list` is name, value, … with the pseudo headers first. */
  headers(id: number, list: readonly string[], endStream: boolean): void {
    const at = this.#room(frameHeaderBytes + HpackEncoder.maxBytes(list));
    const end = this.#encoder.encode(0, list, this.#slab, at + frameHeaderBytes);
    const flags = frameFlag.endHeaders | (endStream ? frameFlag.endStream : 0);
    writeFrameHeader(this.#slab, at, end - at - frameHeaderBytes, frameType.headers, flags, id);
    this.#end = end;
  }

  data(id: number, bytes: Buffer, last: boolean): void {
    const at = this.#room(frameHeaderBytes + bytes.length);
    writeFrameHeader(this.#slab, at, bytes.length, frameType.data, last ? frameFlag.endStream : 0, id);
    bytes.copy(this.#slab, at + frameHeaderBytes);
    this.#end = at + frameHeaderBytes + bytes.length;
  }

  /** RST_STREAM CANCEL. */
  cancel(id: number): void {
    const at = this.#room(frameHeaderBytes + 4);
    writeFrameHeader(this.#slab, at, 4, frameType.rstStream, 0, id);
    this.#slab.writeUInt32BE(cancelled, at + frameHeaderBytes);
    this.#end = at + frameHeaderBytes + 4;
  }

  /** Whole frames. */
  append(bytes: Buffer): void {
    const at = this.#room(bytes.length);
    bytes.copy(this.#slab, at);
    this.#end = at + bytes.length;
  }

  flush(): void {
    this.#flushIsDue = false;
    if (this.#end === this.#start || !this.#socket.writable) return;
    this.#socket.write(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  /** Where the next frame begins, with so much room behind it. */
  #room(bytes: number): number {
    if (this.#end + bytes > slabBytes) {
      this.flush();
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#start = 0;
      this.#end = 0;
    }
    if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      setImmediate(this.#flush);
    }
    return this.#end;
  }
}
