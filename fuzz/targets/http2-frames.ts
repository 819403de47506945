import assert from 'node:assert/strict';
import { tellFrames } from '../../test/support/frame-witness.ts';
import {
  getBlock,
  rawData,
  rawFrame,
  rawPreface,
  rawReset,
  rawSettings,
  rawSettingsAck,
  rawWindowUpdate,
  uint32,
} from '../../test/support/raw-frames.ts';
import { maxInputBytes, mutated, words } from '../mutate-bytes.ts';
import { placesIn } from '../pieces.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const opening = Buffer.concat([rawPreface, rawSettings({ 4: 70_000 })]);
const dictionary = [
  getBlock,
  rawSettingsAck,
  rawPreface,
  ...words('\0\0\0', '\0\x01\x11\x70', '\xff\xff\xff'),
];

/** What an edge sends on a connection: frames in any order, of any type and length. */
export const http2Frames: FuzzTarget = {
  name: 'http2-frames',
  make(random) {
    const frames = random.several(12, () => frame(random));
    const bytes = Buffer.concat([opening, ...frames]).subarray(0, maxInputBytes);
    return random.oneIn(2) ? bytes : mutated(bytes, random, dictionary);
  },
  check(input) {
    // Throws by itself what is no connection error.
    const told = tellFrames(input);
    assert.deepEqual(tellFrames(input, placesIn(input)), told);
    const inHex = told.reduce((sum, line) => sum + line.length, 0);
    assert.ok(inHex <= 4 * input.length + 64, 'more was told than came');
  },
};

function frame(random: Random): Buffer {
  const id = random.pick([0, 1, 1, 3, 2, 0x7fffffff]);
  const payload = random.bytes(random.pick([0, 1, 4, 5, 6, 8, 40, 300]));
  switch (random.below(10)) {
    case 0:
      return rawData(id, payload, random.oneIn(2));
    case 1: {
      const padding = random.below(20);
      const padded = Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]);
      return rawFrame(random.pick([0, 1]), 8 | random.below(8), id, padded);
    }
    case 2:
      return blockInParts(id, random);
    case 3:
      return rawSettings({ [random.below(10)]: random.uint32(), 8: 0 });
    case 4:
      return random.pick([rawSettingsAck, rawReset(id, random.below(20))]);
    case 5:
      return rawWindowUpdate(id, random.uint32());
    case 6:
      return rawFrame(7, 0, 0, Buffer.concat([uint32(random.uint32()), uint32(11), payload]));
    case 7:
      return rawFrame(2, 0, id, Buffer.concat([uint32(random.pick([id, 5])), Buffer.of(16)]));
    case 8:
      return rawFrame(6, random.below(2), 0, random.bytes(8));
    default:
      return rawFrame(random.below(12), random.below(256), id, payload);
  }
}

/** HEADERS and CONTINUATION, mostly well-formed. */
function blockInParts(id: number, random: Random): Buffer {
  const cut = random.below(getBlock.length);
  const more = random.several(6, () => rawFrame(9, 0, id, random.bytes(random.below(90))));
  return Buffer.concat([
    rawFrame(1, random.below(2), id, getBlock.subarray(0, cut)),
    ...more,
    rawFrame(9, 4, id, getBlock.subarray(cut)),
  ]);
}
