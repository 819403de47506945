/** Just enough of DER (X.690) to write an X.509 certificate. Writing only: OpenSSL and Go do the reading. */

export type Der = Buffer;

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** One tag-length-value; `content` parts are joined. */
export function der(tagByte: number, ...content: readonly Uint8Array[]): Der {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tagByte]), lengthBytes(length), ...content]);
}

export function sequence(...items: readonly Uint8Array[]): Der {
  return der(tag.sequence, ...items);
}

/** `[number] EXPLICIT`. */
export function explicit(number: number, content: Uint8Array): Der {
  return der(0xa0 | number, content);
}

/** `[number] IMPLICIT` of a primitive type. */
export function implicit(number: number, content: Uint8Array): Der {
  return der(0x80 | number, content);
}

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Der {
  const first = bytes.findIndex((byte) => byte !== 0);
  const minimal = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  return der(tag.integer, ...((minimal[0] ?? 0) & 0x80 ? [Uint8Array.of(0)] : []), minimal);
}

export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der(tag.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

export function utf8(text: string): Der {
  return der(tag.utf8String, Buffer.from(text));
}

/** RFC 5280 section 4.1.2.5: UTCTime up to 2049, GeneralizedTime after. */
export function time(epochMs: number): Der {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050'
    ? der(tag.utcTime, Buffer.from(digits.slice(2)))
    : der(tag.generalizedTime, Buffer.from(digits));
}

/** `unusedBits` are the low bits of the last byte that carry nothing. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Der {
  return der(tag.bitString, Uint8Array.of(unusedBits), bytes);
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift(0x80 | (rest % 128));
  return bytes;
}
