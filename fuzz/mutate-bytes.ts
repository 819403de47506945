import type { Random } from './random.ts';

/** Inputs never grow beyond this: what is quadratic shows well below it. */
export const maxInputBytes = 64 * 1024;

const edgeValues = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

type Mutation = (bytes: Buffer, random: Random, dictionary: readonly Buffer[]) => Buffer;

const mutations: readonly Mutation[] = [
  (bytes, random) => changed(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => changed(bytes, random, () => random.uint32()),
  (bytes, random) => changed(bytes, random, (byte) => byte + (random.oneIn(2) ? 1 : -1)),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const { start, end } = rangeOf(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (bytes, random) => {
    const { start, end } = rangeOf(bytes, random);
    const times = random.oneIn(8) ? random.below(200) : 1;
    const again = Array<Buffer>(times).fill(bytes.subarray(start, end));
    return spliced(bytes, random.below(bytes.length + 1), Buffer.concat(again));
  },
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), random.bytes(1 + random.below(8))),
  (bytes, random, dictionary) => {
    if (dictionary.length === 0) return bytes;
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, random.pick(dictionary));
  },
  (bytes, random, dictionary) => {
    if (dictionary.length === 0) return bytes;
    const token = random.pick(dictionary);
    return overwritten(bytes, random.below(bytes.length + 1), token);
  },
  (bytes, random) => {
    const width = random.pick([1, 2, 4]);
    const number = Buffer.alloc(4);
    const value = random.pick(edgeValues);
    if (random.oneIn(2)) number.writeUInt32LE(value);
    else number.writeUInt32BE(value);
    return overwritten(bytes, random.below(bytes.length), number.subarray(0, width));
  },
];

/** Up to six small damages. `dictionary`: words of the format, which chance would not find. */
export function mutated(bytes: Buffer, random: Random, dictionary: readonly Buffer[] = []): Buffer {
  let result = bytes;
  for (let left = 1 + random.below(6); left > 0; left -= 1) {
    result = random.pick(mutations)(result, random, dictionary);
  }
  return Buffer.from(result.subarray(0, maxInputBytes));
}

export function words(...texts: readonly string[]): readonly Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}

function changed(bytes: Buffer, random: Random, change: (byte: number) => number): Buffer {
  if (bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length);
  copy[at] = change(copy[at]!);
  return copy;
}

function rangeOf(bytes: Buffer, random: Random): { start: number; end: number } {
  const start = random.below(bytes.length + 1);
  const longest = random.oneIn(3) ? bytes.length : 16;
  return { start, end: Math.min(bytes.length, start + random.below(longest + 1)) };
}

function spliced(bytes: Buffer, at: number, piece: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}

function overwritten(bytes: Buffer, at: number, piece: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + piece.length)]);
}
