import { Http2ConnectionError, http2Error } from './http2-errors.ts';

/**
 * The Huffman code of RFC 7541, appendix B. It is canonical, so the length of each symbol's code is the whole
 * table: symbols sorted by (length, value) have consecutive codes.
 */
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const endOfString = 256;
const shortestCode = 5;
const longestCode = 30;
/** Codes up to this length are decoded by one look into a table. */
const lookupBits = 10;

/** Every symbol in the order of its code. */
const ordered = codeLengths
  .map((length, symbol) => ({ length, symbol }))
  .sort((a, b) => a.length - b.length || a.symbol - b.symbol);

const codes = new Uint32Array(codeLengths.length);
const lengths = Uint8Array.from(codeLengths);
/** By first `lookupBits` bits: symbol × 32 + length; 0 where the code is longer. */
const shortCodes = new Uint16Array(1 << lookupBits);
/** By length: the first code, how many there are, and where their symbols begin in `ordered`. */
const firstCode = new Uint32Array(longestCode + 1);
const codeCount = new Uint32Array(longestCode + 1);
const firstOrdered = new Uint32Array(longestCode + 1);

let nextCode = 0;
let lastLength = 0;
for (const [position, { length, symbol }] of ordered.entries()) {
  nextCode *= 2 ** (length - lastLength);
  if (length !== lastLength) {
    firstCode[length] = nextCode;
    firstOrdered[length] = position;
  }
  lastLength = length;
  codeCount[length]! += 1;
  codes[symbol] = nextCode;
  if (length <= lookupBits) {
    const from = nextCode << (lookupBits - length);
    shortCodes.fill(symbol * 32 + length, from, from + (1 << (lookupBits - length)));
  }
  nextCode += 1;
}
const orderedSymbols = Uint16Array.from(ordered, ({ symbol }) => symbol);

/** The most bytes that `encodedBytes` of Huffman code can stand for. */
export function maxDecodedBytes(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / shortestCode);
}

/**
 * Decodes `source[start, end)` into `target` (at least `maxDecodedBytes` long) and answers how many bytes it
 * wrote. Throws COMPRESSION_ERROR for an end-of-string symbol or for padding that is not its prefix (RFC 7541,
 * section 5.2).
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let bits = 0;
  let count = 0;
  let written = 0;
  let at = start;
  for (;;) {
    // Below 22 bits are left over here, so the sum never outgrows a small integer.
    while (count <= 14 && at < end) {
      bits = (bits << 8) | source[at++]!;
      count += 8;
    }
    if (count === 0) return written;
    const index = count >= lookupBits ? bits >>> (count - lookupBits) : bits << (lookupBits - count);
    const short = shortCodes[index]!;
    const length = short & 31;
    if (short !== 0 && length <= count) {
      target[written++] = short >>> 5;
      count -= length;
      bits &= (1 << count) - 1;
      continue;
    }
    if (at >= end && count < 8 && bits === (1 << count) - 1) return written;
    // A long code, rare in header fields: on, bit by bit, until it is one of its length.
    let code = 0;
    for (let taken = 1; ; taken++) {
      if (count === 0) {
        if (at >= end || taken > longestCode) throw badHuffman();
        bits = source[at++]!;
        count = 8;
      }
      count -= 1;
      code = (code << 1) | (bits >>> count);
      bits &= (1 << count) - 1;
      const offset = code - firstCode[taken]!;
      if (offset < 0 || offset >= codeCount[taken]!) continue;
      const symbol = orderedSymbols[firstOrdered[taken]! + offset]!;
      if (symbol === endOfString) throw badHuffman();
      target[written++] = symbol;
      break;
    }
  }
}

function badHuffman(): Http2ConnectionError {
  return new Http2ConnectionError(http2Error.compressionError, 'HPACK string is not valid Huffman code');
}

/** Bytes that `text` (latin1) takes in Huffman code. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) as Huffman code; answers the offset behind it. */
export function huffmanEncode(text: string, target: Uint8Array, start: number): number {
  let bits = 0;
  let count = 0;
  let at = start;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let left = lengths[symbol]!;
    const code = codes[symbol]!;
    // Codes have up to 30 bits: fed in pieces, so that the accumulator stays a small integer.
    while (left > 0) {
      const piece = Math.min(left, 16);
      left -= piece;
      bits = (bits << piece) | ((code >>> left) & ((1 << piece) - 1));
      count += piece;
      while (count >= 8) {
        count -= 8;
        target[at++] = (bits >>> count) & 0xff;
      }
      bits &= (1 << count) - 1;
    }
  }
  if (count > 0) target[at++] = ((bits << (8 - count)) | ((1 << (8 - count)) - 1)) & 0xff;
  return at;
}
