import { MalformedError } from './malformed.ts';

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return uuidText.test(text);
}

/** The 16 bytes of a UUID, big-endian as printed (RFC 9562). The text must be one. */
export function uuidBytes(uuid: string): Buffer {
  if (!isUuid(uuid)) throw new Error('a UUID was expected');
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** Throws `MalformedError` unless there are exactly 16 bytes. */
export function uuidOf(bytes: Buffer): string {
  if (bytes.length !== 16) throw new MalformedError(`a UUID has ${bytes.length} bytes, expected 16`);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
