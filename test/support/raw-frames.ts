import { HpackEncoder } from '../../src/tunnel/wire/hpack-encoder.ts';

/** HTTP/2 frames byte by byte, for peers that break the rules. */

export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

export const rawPreface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function rawSettings(settings: Readonly<Record<number, number>> = {}): Buffer {
  const entries = Object.entries(settings).map(([id, value]) => {
    const entry = Buffer.alloc(6);
    entry.writeUInt16BE(Number(id), 0);
    entry.writeUInt32BE(value, 2);
    return entry;
  });
  return rawFrame(4, 0, 0, Buffer.concat(entries));
}

export const rawSettingsAck = rawFrame(4, 1, 0);

/** A header block that leaves no trace in the peer's table. */
export function rawBlock(...fields: string[]): Buffer {
  const target = Buffer.alloc(HpackEncoder.maxBytes(fields));
  return target.subarray(0, new HpackEncoder().encode(0, fields, target, 0));
}

export const getBlock = rawBlock(':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/');
export const postBlock = rawBlock(
  ':method',
  'POST',
  ':scheme',
  'https',
  ':authority',
  'a.test',
  ':path',
  '/',
);

/** HEADERS with END_HEADERS. */
export function rawHeaders(streamId: number, block: Uint8Array = getBlock, end = true): Buffer {
  return rawFrame(1, end ? 5 : 4, streamId, block);
}

export function rawData(streamId: number, payload: Uint8Array, end = false): Buffer {
  return rawFrame(0, end ? 1 : 0, streamId, payload);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function rawReset(streamId: number, code: number): Buffer {
  return rawFrame(3, 0, streamId, uint32(code));
}

export function rawWindowUpdate(streamId: number, increment: number): Buffer {
  return rawFrame(8, 0, streamId, uint32(increment));
}
