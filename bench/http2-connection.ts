import type { Socket } from 'node:net';
import { onChunk } from '../src/tunnel/shared-reads.ts';
import { HpackDecoder } from '../src/tunnel/wire/hpack-decoder.ts';
import type { HeaderField } from '../src/tunnel/wire/hpack-static.ts';
import {
  clientPreface,
  defaultMaxFrameBytes,
  frameFlag,
  frameType,
  pingFrame,
  readUint32,
  setting,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../src/tunnel/wire/http2-frames.ts';
import { StreamSlots } from '../src/tunnel/wire/stream-slots.ts';
import { FrameInput } from './frame-input.ts';
import { FrameOutput } from './frame-output.ts';

/** One stream's other end, in the client. After `ended` or `failed` nothing is called any more. */
export interface Exchange {
  headers(fields: readonly HeaderField[]): void;
  /** The piece is the receiver's, unless the socket was opened with shared reads: then it is valid during the call only. */
  data(piece: Buffer): void;
  ended(): void;
  failed(): void;
}

/** What an edge lets a connector send before it gives window back (RFC 9113, section 5.2), and a visitor an edge. */
const streamWindowBytes = 1 << 20;
const connectionWindowBytes = 16 << 20;
const headerTableBytes = 4096;
const headerLimits = { maxListBytes: 1 << 20, maxFields: 1000 };

interface OpenStream {
  readonly id: number;
  readonly exchange: Exchange;
  sendWindow: number;
  receivedBytes: number;
  /** Request body that waits for window. */
  readonly waiting: Buffer[];
  localEnded: boolean;
  remoteEnded: boolean;
}

/**
 * HTTP/2 as the client: of the edge on a socket that a connector dialled (protocol page, section 5), of the load
 * generator on one to the edge's front. Made for speed with a peer that is trusted: what cannot be understood throws, and
 * that ends the bench.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #output: FrameOutput;
  readonly #input = new FrameInput({
    data: (id, piece) => this.#data(id, piece),
    dataEnds: (id, flags) => this.#dataEnds(id, flags),
    frame: (type, flags, id, payload) => this.#frame(type, flags, id, payload),
  });
  readonly #decoder = new HpackDecoder(headerTableBytes, headerLimits);
  readonly #streams = new StreamSlots<OpenStream>();
  readonly #blocked = new Set<OpenStream>();
  readonly #closed: () => void;
  #nextId = 1;
  #sendWindow = 65_535;
  #peerStreamWindow = 65_535;
  #receivedBytes = 0;
  #blockParts: Buffer[] = [];

  /** Owns `socket`; `closed` is called once, after every open exchange has failed. */
  constructor(socket: Socket, closed: () => void) {
    this.#socket = socket;
    this.#output = new FrameOutput(socket);
    this.#closed = closed;
    socket.setNoDelay(true);
    onChunk(socket, (chunk) => this.#input.read(chunk));
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => this.#lost());
    this.#output.append(Buffer.from(clientPreface, 'latin1'));
    this.#output.append(
      settingsFrame([
        [setting.enablePush, 0],
        [setting.initialWindowSize, streamWindowBytes],
      ]),
    );
    this.#output.append(windowUpdateFrame(0, connectionWindowBytes - 65_535));
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Sends HEADERS; `headers` is name, value, … with the pseudo headers first. Gives the stream's id. */
  open(headers: readonly string[], endStream: boolean, exchange: Exchange): number {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#streams.set(id, {
      id,
      exchange,
      sendWindow: this.#peerStreamWindow,
      receivedBytes: 0,
      waiting: [],
      localEnded: endStream,
      remoteEnded: false,
    });
    this.#output.headers(id, headers, endStream);
    return id;
  }

  /** Request body, sent as the windows allow. */
  write(id: number, chunk: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.waiting.push(chunk);
    this.#pump(stream);
  }

  end(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.localEnded) return;
    stream.localEnded = true;
    this.#pump(stream);
  }

  /** RST_STREAM CANCEL; the exchange hears nothing more. */
  cancel(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#blocked.delete(stream);
    this.#streams.delete(id);
    this.#output.cancel(id);
  }

  /** Sends what was written, and ends the connection: what an edge does after a connector has unregistered. */
  close(): void {
    this.#output.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #pump(stream: OpenStream): void {
    const { waiting } = stream;
    while (waiting.length > 0) {
      const chunk = waiting[0]!;
      const bytes = Math.min(chunk.length, defaultMaxFrameBytes, stream.sendWindow, this.#sendWindow);
      if (bytes <= 0) {
        this.#blocked.add(stream);
        return;
      }
      stream.sendWindow -= bytes;
      this.#sendWindow -= bytes;
      if (bytes === chunk.length) waiting.shift();
      else waiting[0] = chunk.subarray(bytes);
      const last = stream.localEnded && waiting.length === 0;
      this.#output.data(stream.id, chunk.subarray(0, bytes), last);
      if (last) return this.#sent(stream);
    }
    this.#blocked.delete(stream);
    if (!stream.localEnded) return;
    this.#output.data(stream.id, noBytes, true);
    this.#sent(stream);
  }

  #sent(stream: OpenStream): void {
    this.#blocked.delete(stream);
    if (stream.remoteEnded) this.#streams.delete(stream.id);
  }

  #data(id: number, piece: Buffer): void {
    const stream = this.#streams.get(id);
    this.#receivedBytes += piece.length;
    if (this.#receivedBytes >= connectionWindowBytes / 2) {
      this.#output.append(windowUpdateFrame(0, this.#receivedBytes));
      this.#receivedBytes = 0;
    }
    if (stream === undefined) return;
    stream.receivedBytes += piece.length;
    if (stream.receivedBytes >= streamWindowBytes / 2) {
      this.#output.append(windowUpdateFrame(stream.id, stream.receivedBytes));
      stream.receivedBytes = 0;
    }
    stream.exchange.data(piece);
  }

  #dataEnds(id: number, flags: number): void {
    if ((flags & frameFlag.endStream) !== 0) this.#remoteEnds(id);
  }

  #remoteEnds(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.remoteEnded = true;
    if (stream.localEnded && stream.waiting.length === 0) this.#streams.delete(stream.id);
    stream.exchange.ended();
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    switch (type) {
      case frameType.headers:
      case frameType.continuation:
        return this.#headerBlock(flags, id, payload);
      case frameType.rstStream: {
        const stream = this.#streams.get(id);
        if (stream === undefined) return;
        this.#blocked.delete(stream);
        this.#streams.delete(stream.id);
        // After a whole answer it only says that the rest of the request is not wanted (RFC 9113, section 8.1).
        if (!stream.remoteEnded) stream.exchange.failed();
        return;
      }
      case frameType.settings:
        if ((flags & frameFlag.ack) === 0) this.#settings(payload);
        return;
      case frameType.ping:
        if ((flags & frameFlag.ack) === 0) this.#output.append(pingFrame(true, payload));
        return;
      case frameType.windowUpdate:
        return this.#windowUpdate(id, readUint32(payload, 0) & 0x7fffffff);
    }
  }

  #headerBlock(flags: number, id: number, part: Buffer): void {
    let block = part;
    if ((flags & frameFlag.endHeaders) === 0) {
      this.#blockParts.push(Buffer.from(part));
      // CONTINUATION has no END_STREAM of its own; none of the bench's answers is that large without a body.
      if ((flags & frameFlag.endStream) !== 0) throw new Error('a large header block ends its stream');
      return;
    }
    if (this.#blockParts.length > 0) {
      block = Buffer.concat([...this.#blockParts, part]);
      this.#blockParts = [];
    }
    const fields = this.#decoder.decode(block, 0, block.length);
    if (fields === null) throw new Error('the header list of an answer is too large');
    this.#streams.get(id)?.exchange.headers(fields);
    if ((flags & frameFlag.endStream) !== 0) this.#remoteEnds(id);
  }

  #settings(list: Buffer): void {
    for (let at = 0; at + 6 <= list.length; at += 6) {
      const value = list.readUInt32BE(at + 2);
      switch (list.readUInt16BE(at)) {
        case setting.headerTableSize:
          this.#output.setPeerTableBytes(value);
          break;
        case setting.initialWindowSize: {
          const change = value - this.#peerStreamWindow;
          this.#peerStreamWindow = value;
          for (const stream of this.#streams.values()) stream.sendWindow += change;
          break;
        }
      }
    }
    this.#output.append(settingsAckFrame());
  }

  #windowUpdate(id: number, increment: number): void {
    if (id === 0) {
      this.#sendWindow += increment;
      for (const stream of [...this.#blocked]) this.#pump(stream);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (this.#blocked.has(stream)) this.#pump(stream);
  }

  #lost(): void {
    const open = [...this.#streams.values()];
    this.#streams.clear();
    this.#blocked.clear();
    for (const { exchange, remoteEnded } of open) if (!remoteEnded) exchange.failed();
    this.#closed();
  }
}

const noBytes = Buffer.alloc(0);
