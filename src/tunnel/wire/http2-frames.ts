/** Frames as numbers (RFC 9113, sections 4.1 and 6) and how they are written. */

export const clientPreface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const frameHeaderBytes = 9;
/** What every peer accepts before its SETTINGS say otherwise, and the least it may say. */
export const defaultMaxFrameBytes = 16_384;
export const largestMaxFrameBytes = 2 ** 24 - 1;

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = {
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  /** RFC 9218, section 2.1. */
  noRfc7540Priorities: 9,
} as const;

/** Offset of the flags within a frame header. */
export const flagsOffset = 4;

export function writeFrameHeader(
  target: Buffer,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  target[at] = payloadBytes >>> 16;
  target[at + 1] = (payloadBytes >>> 8) & 0xff;
  target[at + 2] = payloadBytes & 0xff;
  target[at + 3] = type;
  target[at + 4] = flags;
  writeUint32(target, at + 5, streamId);
}

function writeUint32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = (value >>> 16) & 0xff;
  target[at + 2] = (value >>> 8) & 0xff;
  target[at + 3] = value & 0xff;
}

export function readUint32(source: Uint8Array, at: number): number {
  return source[at]! * 2 ** 24 + ((source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!);
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + settings.length * 6);
  writeFrameHeader(frame, 0, settings.length * 6, frameType.settings, 0, 0);
  let at = frameHeaderBytes;
  for (const [id, value] of settings) {
    frame.writeUInt16BE(id, at);
    frame.writeUInt32BE(value, at + 2);
    at += 6;
  }
  return frame;
}

export function settingsAckFrame(): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes);
  writeFrameHeader(frame, 0, 0, frameType.settings, frameFlag.ack, 0);
  return frame;
}

export function pingFrame(ack: boolean, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 8);
  writeFrameHeader(frame, 0, 8, frameType.ping, ack ? frameFlag.ack : 0, 0);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

export function resetFrame(streamId: number, code: number): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 4);
  writeFrameHeader(frame, 0, 4, frameType.rstStream, 0, streamId);
  writeUint32(frame, frameHeaderBytes, code);
  return frame;
}

export function windowUpdateFrame(streamId: number, increment: number): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 4);
  writeFrameHeader(frame, 0, 4, frameType.windowUpdate, 0, streamId);
  writeUint32(frame, frameHeaderBytes, increment);
  return frame;
}

/** `debug` is latin1 text for whoever reads the peer's log (section 6.8). */
export function goawayFrame(lastStreamId: number, code: number, debug: string): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 8 + debug.length);
  writeFrameHeader(frame, 0, 8 + debug.length, frameType.goaway, 0, 0);
  writeUint32(frame, frameHeaderBytes, lastStreamId);
  writeUint32(frame, frameHeaderBytes + 4, code);
  frame.write(debug, frameHeaderBytes + 8, 'latin1');
  return frame;
}
