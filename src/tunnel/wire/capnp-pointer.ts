import { wordBytes } from './capnp-framing.ts';
import { MalformedError } from './malformed.ts';

/*
 * Where the pointers of a Cap'n Proto message lead (encoding spec: struct, list, far and capability pointers). What
 * they lead to is read by `capnp-reader`, which checks the bounds of each object before it does.
 */

/**
 * Words that may be visited in one message, as a multiple of its size: overlapping pointers would otherwise
 * make a small message look endless. Zero-sized elements count as one word each.
 */
export const traversalFactor = 8;

/** Where an object is: `start` in words, `high` the upper half of its pointer (sizes). */
export interface Place<K extends string> {
  readonly kind: K;
  readonly segment: Buffer;
  readonly start: number;
  readonly high: number;
}

export type Target =
  | { readonly kind: 'null' }
  | { readonly kind: 'capability'; readonly index: number }
  | Place<'struct'>
  | Place<'list'>;

/** The segments of one message, and how much of it may still be visited. */
export class Message {
  readonly #segments: readonly Buffer[];
  #wordsLeft: number;

  constructor(segments: readonly Buffer[]) {
    this.#segments = segments;
    const words = segments.reduce((sum, segment) => sum + segment.length / wordBytes, 0);
    this.#wordsLeft = words * traversalFactor;
  }

  charge(words: number): void {
    this.#wordsLeft -= Math.max(1, words);
    if (this.#wordsLeft < 0) throw new MalformedError('a message refers to its own parts too often');
  }

  #segment(id: number): Buffer {
    const segment = this.#segments[id];
    if (segment === undefined)
      throw new MalformedError(`a far pointer names segment ${id}, which is not there`);
    return segment;
  }

  /** What the pointer word of a segment leads to. */
  follow(segment: Buffer, word: number): Target {
    const at = word * wordBytes;
    const low = segment.readUInt32LE(at);
    const high = segment.readUInt32LE(at + 4);
    return (low & 3) === 2 ? this.#far(low, high) : near(segment, word, low, high);
  }

  #far(low: number, high: number): Target {
    const segment = this.#segment(high);
    const pad = low >>> 3;
    const double = (low & 4) !== 0;
    checkBounds(segment, pad, double ? 2 : 1);
    this.charge(1);
    const padLow = segment.readUInt32LE(pad * wordBytes);
    const padHigh = segment.readUInt32LE(pad * wordBytes + 4);
    if (!double) {
      if ((padLow & 3) === 2) throw new MalformedError('a far pointer leads to another far pointer');
      return near(segment, pad, padLow, padHigh);
    }
    if ((padLow & 7) !== 2) throw new MalformedError('the pad of a double-far pointer is not a far pointer');
    const tagLow = segment.readUInt32LE((pad + 1) * wordBytes);
    const tagHigh = segment.readUInt32LE((pad + 1) * wordBytes + 4);
    if ((tagLow & 3) > 1 || tagLow >>> 2 !== 0) {
      throw new MalformedError('the tag of a double-far pointer is not a struct or list at offset 0');
    }
    const place = { segment: this.#segment(padHigh), start: padLow >>> 3, high: tagHigh };
    return (tagLow & 3) === 0 ? { kind: 'struct', ...place } : { kind: 'list', ...place };
  }
}

function near(segment: Buffer, word: number, low: number, high: number): Target {
  if (low === 0 && high === 0) return { kind: 'null' };
  switch (low & 3) {
    case 0:
      return { kind: 'struct', segment, start: word + 1 + ((low | 0) >> 2), high };
    case 1:
      return { kind: 'list', segment, start: word + 1 + ((low | 0) >> 2), high };
    default:
      if (low !== 3) throw new MalformedError('a pointer is of an unknown kind');
      return { kind: 'capability', index: high };
  }
}

/** Throws where these words are not all in the segment. */
export function checkBounds(segment: Buffer, startWord: number, words: number): void {
  if (startWord < 0 || (startWord + words) * wordBytes > segment.length) {
    throw new MalformedError('a pointer leads outside of its segment');
  }
}
