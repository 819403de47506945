import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';

/** The server's side of WebSocket framing (RFC 6455): client frames as they come, our own frames as bytes. */

export const closeCode = {
  normal: 1000,
  protocolError: 1002,
  invalidData: 1007,
  tooBig: 1009,
  internalError: 1011,
} as const;

/** What a client's frames say. After `close` or `broken` nothing is told any more. */
export interface FrameSink {
  /** A piece of a binary message: any size, in order; where messages begin and end is not told. Never empty. */
  binary(payload: Buffer): void;
  ping(payload: Buffer): void;
  /** `code` is null where the client gave none. */
  close(code: number | null): void;
  /** The client broke a rule: `code` says to it which. */
  broken(code: number, why: string): void;
}

const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** Payload of a control frame (section 5.5). */
const maxControlBytes = 125;
const longestHeadBytes = 14;
const handshakeGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * Reads the frames of a client from chunks that are cut anywhere. Keeps no payload but a control frame's; a binary
 * payload is unmasked in its chunk and given on as a view of it. Text is not looked at.
 */
export class ClientFrameReader {
  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(longestHeadBytes);
  #headBytes = 0;
  #opcode = 0;
  /** The data message that goes on: its opcode, or continuation when there is none. */
  #message = 0;
  #inPayload = false;
  #missingBytes = 0;
  readonly #mask = Buffer.alloc(4);
  #maskOffset = 0;
  #control: Buffer[] = [];
  #over = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Takes `chunk` over: it is written into. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (!this.#over && (at < chunk.length || (this.#inPayload && this.#missingBytes === 0))) {
      at = this.#inPayload ? this.#payload(chunk, at) : this.#header(chunk, at);
    }
  }

  /** One byte more of a frame's head (section 5.2). */
  #header(chunk: Buffer, at: number): number {
    this.#head[this.#headBytes++] = chunk[at]!;
    if (this.#headBytes === 2) this.#check(this.#head[0]!, this.#head[1]!);
    const size = this.#head[1]! & 0x7f;
    const lengthBytes = size === 126 ? 2 : size === 127 ? 8 : 0;
    if (this.#over || this.#headBytes < 2 + lengthBytes + 4) return at + 1;

    let length = size;
    if (size === 126) length = this.#head.readUInt16BE(2);
    else if (size === 127) {
      const high = this.#head.readUInt32BE(2);
      if (high >= 0x80000000) this.#break(closeCode.protocolError, 'a length of more than 63 bits');
      else if (high >= 0x200000) this.#break(closeCode.tooBig, 'a frame of more than 2^53 bytes');
      length = high * 2 ** 32 + this.#head.readUInt32BE(6);
    }
    this.#head.copy(this.#mask, 0, 2 + lengthBytes, 6 + lengthBytes);
    this.#maskOffset = 0;
    this.#headBytes = 0;
    this.#missingBytes = length;
    this.#inPayload = true;
    return at + 1;
  }

  #check(first: number, second: number): void {
    this.#opcode = first & 0x0f;
    const final = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) return this.#break(closeCode.protocolError, 'reserved bits are set');
    if ((second & 0x80) === 0) return this.#break(closeCode.protocolError, 'a frame is not masked');
    switch (this.#opcode) {
      case opcode.continuation:
        if (this.#message === 0) this.#break(closeCode.protocolError, 'nothing is there to be continued');
        this.#opcode = this.#message;
        if (final) this.#message = 0;
        return;
      case opcode.text:
      case opcode.binary:
        if (this.#message !== 0) this.#break(closeCode.protocolError, 'a message begins within another');
        if (!final) this.#message = this.#opcode;
        return;
      case opcode.close:
      case opcode.ping:
      case opcode.pong:
        if (!final) this.#break(closeCode.protocolError, 'a control frame is fragmented');
        else if ((second & 0x7f) > maxControlBytes) {
          this.#break(closeCode.protocolError, `a control frame has more than ${maxControlBytes} bytes`);
        }
        return;
      default:
        this.#break(closeCode.protocolError, `opcode ${this.#opcode} is not defined`);
    }
  }

  #payload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#missingBytes);
    const piece = chunk.subarray(at, end);
    this.#missingBytes -= piece.length;
    this.#inPayload = this.#missingBytes > 0;
    if (this.#opcode !== opcode.text) unmask(piece, this.#mask, this.#maskOffset);
    this.#maskOffset = (this.#maskOffset + piece.length) & 3;
    if (this.#opcode === opcode.binary) {
      if (piece.length > 0) this.#sink.binary(piece);
    } else if (this.#opcode !== opcode.text) {
      this.#control.push(Buffer.from(piece));
      if (!this.#inPayload) this.#endControl();
    }
    return end;
  }

  #endControl(): void {
    const payload = Buffer.concat(this.#control);
    this.#control = [];
    if (this.#opcode === opcode.ping) return this.#sink.ping(payload);
    if (this.#opcode === opcode.close) this.#close(payload);
  }

  /** Section 5.5.1. */
  #close(payload: Buffer): void {
    if (payload.length === 1) return this.#break(closeCode.protocolError, 'a close code of one byte');
    const code = payload.length === 0 ? null : payload.readUInt16BE(0);
    if (code !== null && !mayBeSent(code)) {
      return this.#break(closeCode.protocolError, `close code ${code} may not be sent`);
    }
    if (!isUtf8(payload.subarray(2)))
      return this.#break(closeCode.invalidData, 'a close reason is not UTF-8');
    this.#over = true;
    this.#sink.close(code);
  }

  #break(code: number, why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.broken(code, why);
  }
}

/** `Sec-WebSocket-Accept` for a client's key (section 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${handshakeGuid}`, 'latin1').digest('base64');
}

/** What stands before the payload of a whole binary message; a server does not mask (section 5.1). */
export function binaryHead(payloadBytes: number): Buffer {
  return headOf(opcode.binary, payloadBytes);
}

/** At most 125 bytes of payload, as a client's ping has them. */
export function pongFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([headOf(opcode.pong, payload.length), payload]);
}

export function pingFrame(): Buffer {
  return headOf(opcode.ping, 0);
}

/** `null`: without a code. */
export function closeFrame(code: number | null): Buffer {
  if (code === null) return headOf(opcode.close, 0);
  return Buffer.from([0x80 | opcode.close, 2, code >> 8, code & 0xff]);
}

function headOf(code: number, payloadBytes: number): Buffer {
  if (payloadBytes < 126) return Buffer.from([0x80 | code, payloadBytes]);
  if (payloadBytes < 0x10000) return Buffer.from([0x80 | code, 126, payloadBytes >> 8, payloadBytes & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = 0x80 | code;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(payloadBytes), 2);
  return head;
}

/** Section 7.4: 1004, 1005, 1006 and 1015 stand for what was not sent; 1016–2999 are not given out. */
function mayBeSent(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** Exclusive or with the key, from its byte `offset` on (section 5.3). */
function unmask(bytes: Buffer, mask: Buffer, offset: number): void {
  const a = mask[offset]!;
  const b = mask[(offset + 1) & 3]!;
  const c = mask[(offset + 2) & 3]!;
  const d = mask[(offset + 3) & 3]!;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    bytes[i]! ^= a;
    bytes[i + 1]! ^= b;
    bytes[i + 2]! ^= c;
    bytes[i + 3]! ^= d;
  }
  for (let i = whole; i < bytes.length; i += 1) bytes[i]! ^= mask[(offset + i) & 3]!;
}
