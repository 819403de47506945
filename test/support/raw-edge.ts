import type { Socket } from 'node:net';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import { eventually } from './eventually.ts';
import { rawPreface, rawSettings, rawSettingsAck } from './raw-frames.ts';

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** An edge that sends whatever a test says and keeps every frame that comes back. Owns its socket. */
export class RawEdge {
  readonly frames: RawFrame[] = [];
  readonly socket: Socket;
  closed = false;
  #unread: Buffer = Buffer.alloc(0);
  readonly #decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 24, maxFields: 10_000 });

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Preface, SETTINGS, and the acknowledgement of the other side's. */
  shakeHands(settings: Readonly<Record<number, number>> = {}): void {
    this.send(rawPreface, rawSettings(settings), rawSettingsAck);
  }

  /** The frames of a stream (0: of the connection) of one type so far. */
  on(streamId: number, type: number): RawFrame[] {
    return this.frames.filter((frame) => frame.streamId === streamId && frame.type === type);
  }

  /** The first such frame, as soon as it is there. */
  async frame(type: number, streamId: number): Promise<RawFrame> {
    return await eventually(
      `a frame of type ${type} on stream ${streamId}`,
      () => this.on(streamId, type)[0],
    );
  }

  /** The code of the first RST_STREAM on the stream. */
  async resetOf(streamId: number): Promise<number> {
    return (await this.frame(3, streamId)).payload.readUInt32BE(0);
  }

  /** The code of GOAWAY. */
  async goaway(): Promise<number> {
    return (await this.frame(7, 0)).payload.readUInt32BE(4);
  }

  /** The header lists of the stream's HEADERS, decoded; only for answers of one frame, in the order they came. */
  async status(streamId: number): Promise<string> {
    const { payload } = await this.frame(1, streamId);
    return this.#decoder.decode(payload, 0, payload.length)![0]!.value;
  }

  bodyBytes(streamId: number): number {
    return this.on(streamId, 0).reduce((sum, { payload }) => sum + payload.length, 0);
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await eventually('the raw edge is closed', () => this.closed);
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < 9 + length) return;
      this.frames.push({
        type: this.#unread[3]!,
        flags: this.#unread[4]!,
        streamId: this.#unread.readUInt32BE(5),
        payload: this.#unread.subarray(9, 9 + length),
      });
      this.#unread = this.#unread.subarray(9 + length);
    }
  }
}
