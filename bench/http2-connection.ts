import type { Socket } from 'node:net';
import { onChunk } from '../src/tunnel/shared-reads.ts';
import { HpackDecoder } from '../src/tunnel/wire/hpack-decoder.ts';
import { HpackEncoder } from '../src/tunnel/wire/hpack-encoder.ts';
import type { HeaderField } from '../src/tunnel/wire/hpack-static.ts';
import {
  clientPreface,
  defaultMaxFrameBytes,
  frameFlag,
  frameHeaderBytes,
  frameType,
  pingFrame,
  readUint32,
  setting,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
  writeFrameHeader,
} from '../src/tunnel/wire/http2-frames.ts';
import { StreamSlots } from '../src/tunnel/wire/stream-slots.ts';

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
const slabBytes = 256 * 1024;
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
 * generator on one to the edge's front. Made for speed with a peer that is trusted: what cannot be understood throws, and that ends the bench. What
 * is written during one turn of the event loop goes out as one write.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(headerTableBytes, headerLimits);
  readonly #streams = new StreamSlots<OpenStream>();
  readonly #blocked = new Set<OpenStream>();
  readonly #closed: () => void;
  #nextId = 1;
  #sendWindow = 65_535;
  #peerStreamWindow = 65_535;
  #receivedBytes = 0;

  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #slabStart = 0;
  #slabEnd = 0;
  #flushIsDue = false;
  readonly #flush = (): void => this.#writeOut();

  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerFilled = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #payloadLeft = 0;
  #payloadParts: Buffer[] = [];
  #blockParts: Buffer[] = [];

  /** Owns `socket`; `closed` is called once, after every open exchange has failed. */
  constructor(socket: Socket, closed: () => void) {
    this.#socket = socket;
    this.#closed = closed;
    socket.setNoDelay(true);
    onChunk(socket, (chunk) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => this.#lost());
    this.#append(Buffer.from(clientPreface, 'latin1'));
    this.#append(
      settingsFrame([
        [setting.enablePush, 0],
        [setting.initialWindowSize, streamWindowBytes],
      ]),
    );
    this.#append(windowUpdateFrame(0, connectionWindowBytes - 65_535));
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
    const at = this.#room(frameHeaderBytes + HpackEncoder.maxBytes(headers));
    const end = this.#encoder.encode(0, headers, this.#slab, at + frameHeaderBytes);
    const flags = frameFlag.endHeaders | (endStream ? frameFlag.endStream : 0);
    writeFrameHeader(this.#slab, at, end - at - frameHeaderBytes, frameType.headers, flags, id);
    this.#slabEnd = end;
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
    if (!this.#streams.delete(id)) return;
    const at = this.#room(frameHeaderBytes + 4);
    writeFrameHeader(this.#slab, at, 4, frameType.rstStream, 0, id);
    this.#slab.writeUInt32BE(8, at + frameHeaderBytes);
    this.#slabEnd = at + frameHeaderBytes + 4;
  }

  /** Sends what was written, and ends the connection: what an edge does after a connector has unregistered. */
  close(): void {
    this.#writeOut();
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
      this.#dataFrame(stream.id, chunk.subarray(0, bytes), last);
      if (last) return this.#sent(stream);
    }
    this.#blocked.delete(stream);
    if (!stream.localEnded) return;
    this.#dataFrame(stream.id, noBytes, true);
    this.#sent(stream);
  }

  #sent(stream: OpenStream): void {
    this.#blocked.delete(stream);
    if (stream.remoteEnded) this.#streams.delete(stream.id);
  }

  #dataFrame(id: number, bytes: Buffer, last: boolean): void {
    const at = this.#room(frameHeaderBytes + bytes.length);
    writeFrameHeader(this.#slab, at, bytes.length, frameType.data, last ? frameFlag.endStream : 0, id);
    bytes.copy(this.#slab, at + frameHeaderBytes);
    this.#slabEnd = at + frameHeaderBytes + bytes.length;
  }

  #append(bytes: Buffer): void {
    const at = this.#room(bytes.length);
    bytes.copy(this.#slab, at);
    this.#slabEnd = at + bytes.length;
  }

  /** Where the next frame begins, with so much room behind it. */
  #room(bytes: number): number {
    if (this.#slabEnd + bytes > slabBytes) {
      this.#writeOut();
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#slabStart = 0;
      this.#slabEnd = 0;
    }
    if (!this.#flushIsDue) {
      this.#flushIsDue = true;
      setImmediate(this.#flush);
    }
    return this.#slabEnd;
  }

  #writeOut(): void {
    this.#flushIsDue = false;
    if (this.#slabEnd === this.#slabStart || !this.#socket.writable) return;
    this.#socket.write(this.#slab.subarray(this.#slabStart, this.#slabEnd));
    this.#slabStart = this.#slabEnd;
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft === 0) {
        const taken = Math.min(frameHeaderBytes - this.#headerFilled, chunk.length - at);
        chunk.copy(this.#header, this.#headerFilled, at, at + taken);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled === frameHeaderBytes) this.#frameBegins();
        continue;
      }
      const taken = Math.min(this.#payloadLeft, chunk.length - at);
      const piece = chunk.subarray(at, at + taken);
      at += taken;
      this.#payloadLeft -= taken;
      if (this.#type === frameType.data) this.#data(piece);
      else this.#payload(piece);
    }
  }

  #frameBegins(): void {
    const header = this.#header;
    this.#headerFilled = 0;
    this.#payloadLeft = (header[0]! << 16) | (header[1]! << 8) | header[2]!;
    this.#type = header[3]!;
    this.#flags = header[4]!;
    this.#streamId = readUint32(header, 5) & 0x7fffffff;
    if ((this.#flags & frameFlag.padded) !== 0 && this.#type <= frameType.headers) {
      throw new Error('the bench edge reads no padded frames');
    }
    if (this.#payloadLeft > 0) return;
    if (this.#type === frameType.data) this.#dataEnds();
    else this.#payload(noBytes);
  }

  #data(piece: Buffer): void {
    const stream = this.#streams.get(this.#streamId);
    this.#receivedBytes += piece.length;
    if (this.#receivedBytes >= connectionWindowBytes / 2) {
      this.#append(windowUpdateFrame(0, this.#receivedBytes));
      this.#receivedBytes = 0;
    }
    if (stream !== undefined) {
      stream.receivedBytes += piece.length;
      if (stream.receivedBytes >= streamWindowBytes / 2) {
        this.#append(windowUpdateFrame(stream.id, stream.receivedBytes));
        stream.receivedBytes = 0;
      }
      stream.exchange.data(piece);
    }
    if (this.#payloadLeft === 0) this.#dataEnds();
  }

  #dataEnds(): void {
    if ((this.#flags & frameFlag.endStream) !== 0) this.#remoteEnds();
  }

  #remoteEnds(): void {
    const stream = this.#streams.get(this.#streamId);
    if (stream === undefined) return;
    stream.remoteEnded = true;
    if (stream.localEnded && stream.waiting.length === 0) this.#streams.delete(stream.id);
    stream.exchange.ended();
  }

  #payload(piece: Buffer): void {
    if (this.#payloadLeft > 0 || this.#payloadParts.length > 0) {
      this.#payloadParts.push(piece);
      if (this.#payloadLeft > 0) return;
    }
    const whole = this.#payloadParts.length === 0 ? piece : Buffer.concat(this.#payloadParts);
    this.#payloadParts = [];
    switch (this.#type) {
      case frameType.headers:
      case frameType.continuation:
        return this.#headerBlock(whole);
      case frameType.rstStream: {
        const stream = this.#streams.get(this.#streamId);
        if (stream === undefined) return;
        this.#blocked.delete(stream);
        this.#streams.delete(stream.id);
        // After a whole answer it only says that the rest of the request is not wanted (RFC 9113, section 8.1).
        if (!stream.remoteEnded) stream.exchange.failed();
        return;
      }
      case frameType.settings:
        if ((this.#flags & frameFlag.ack) === 0) this.#settings(whole);
        return;
      case frameType.ping:
        if ((this.#flags & frameFlag.ack) === 0) this.#append(pingFrame(true, whole));
        return;
      case frameType.windowUpdate:
        return this.#windowUpdate(readUint32(whole, 0) & 0x7fffffff);
    }
  }

  #headerBlock(part: Buffer): void {
    let block = part;
    if ((this.#flags & frameFlag.endHeaders) === 0) {
      this.#blockParts.push(Buffer.from(part));
      // CONTINUATION has no END_STREAM of its own; none of the bench's answers is that large without a body.
      if ((this.#flags & frameFlag.endStream) !== 0) throw new Error('a large header block ends its stream');
      return;
    }
    if (this.#blockParts.length > 0) {
      block = Buffer.concat([...this.#blockParts, part]);
      this.#blockParts = [];
    }
    const fields = this.#decoder.decode(block, 0, block.length);
    const stream = this.#streams.get(this.#streamId);
    if (fields === null) throw new Error('the header list of an answer is too large');
    stream?.exchange.headers(fields);
    if ((this.#flags & frameFlag.endStream) !== 0) this.#remoteEnds();
  }

  #settings(list: Buffer): void {
    for (let at = 0; at + 6 <= list.length; at += 6) {
      const value = list.readUInt32BE(at + 2);
      switch (list.readUInt16BE(at)) {
        case setting.headerTableSize:
          this.#encoder.setPeerTableBytes(value);
          break;
        case setting.initialWindowSize: {
          const change = value - this.#peerStreamWindow;
          this.#peerStreamWindow = value;
          for (const stream of this.#streams.values()) stream.sendWindow += change;
          break;
        }
      }
    }
    this.#append(settingsAckFrame());
  }

  #windowUpdate(increment: number): void {
    if (this.#streamId === 0) {
      this.#sendWindow += increment;
      for (const stream of [...this.#blocked]) this.#pump(stream);
      return;
    }
    const stream = this.#streams.get(this.#streamId);
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
