import assert from 'node:assert/strict';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import { HpackEncoder } from '../../src/tunnel/wire/hpack-encoder.ts';
import { fieldOverheadBytes, type HeaderField } from '../../src/tunnel/wire/hpack-static.ts';
import { Http2ConnectionError, http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { anyRepresentation, type Field } from '../header-blocks.ts';
import { mutated, words } from '../mutate-bytes.ts';
import type { FuzzTarget } from '../target.ts';

const tableBytes = 4096;
const limits = { maxListBytes: 8192, maxFields: 40 };
const fields: readonly Field[] = [
  ...([':method', 'x-a', 'cookie', '', 'X-UPPER'] as const).map((name): Field => [name, 'v']),
  ['x-long', 'l'.repeat(1000)],
  ['n'.repeat(300), ''],
  ['x-b', '\u00ff\0\r\n'],
];
const dictionary = words('\x82', '\xbe', '\x3f\xe1\x1f', '\x20', '\x7f\xff\xff\xff\x0f', '\xff\x80\x80\x01');

/** Header blocks of one connection, one after the other: each stands behind its length, two bytes. */
export const hpack: FuzzTarget = {
  name: 'hpack',
  make(random) {
    const blocks = Array.from({ length: 1 + random.below(5) }, () => {
      const parts = random.several(12, () => anyRepresentation(random, random.pick(fields)));
      const block = Buffer.concat(parts);
      return random.oneIn(3) ? mutated(block, random, dictionary) : block;
    });
    return Buffer.concat(blocks.flatMap((block) => [lengthOf(block), block.subarray(0, 0xffff)]));
  },
  check(input) {
    const decoder = new HpackDecoder(tableBytes, limits);
    const elsewhere = new HpackDecoder(tableBytes, limits);
    const encoder = new HpackEncoder();
    const peer = new HpackDecoder(tableBytes, { maxListBytes: 2 ** 24, maxFields: 1000 });
    for (const block of blocksOf(input)) {
      const decoded = decode(decoder, block, 0);
      assert.deepEqual(pairs(decode(elsewhere, Buffer.concat([block, block]), block.length)), pairs(decoded));
      if (typeof decoded === 'number') return;
      if (decoded === null) continue;
      assert.ok(decoded.length <= limits.maxFields);
      const bytes = decoded.reduce((sum, { size }) => sum + size, 0);
      assert.ok(bytes <= limits.maxListBytes);
      assert.equal(decoder.listBytes, bytes);
      assert.ok(decoded.length * fieldOverheadBytes <= bytes);
      // What was read can be written, and is read the same.
      const flat = decoded.flatMap(({ name, value }) => [name, value]);
      const target = Buffer.alloc(HpackEncoder.maxBytes(flat));
      const end = encoder.encode(0, flat, target, 0);
      assert.deepEqual(pairs(peer.decode(target, 0, end)), pairs(decoded));
    }
  },
};

function lengthOf(block: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(Math.min(block.length, 0xffff));
  return length;
}

function blocksOf(input: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at + 2 <= input.length; ) {
    const end = at + 2 + input.readUInt16BE(at);
    blocks.push(input.subarray(at + 2, end));
    at = end;
  }
  return blocks;
}

/** Decodes at an offset, so that bytes before and behind the block would show. A number: the error's code. */
function decode(decoder: HpackDecoder, block: Buffer, from: number): HeaderField[] | null | number {
  try {
    return decoder.decode(block, from, block.length);
  } catch (thrown) {
    if (!(thrown instanceof Http2ConnectionError)) throw thrown;
    assert.equal(thrown.code, http2Error.compressionError);
    return thrown.code;
  }
}

function pairs(decoded: readonly HeaderField[] | null | number): unknown {
  return typeof decoded === 'object' ? (decoded?.map(({ name, value }) => [name, value]) ?? null) : decoded;
}
