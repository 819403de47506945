import { assert } from 'chai';
import fc from 'fast-check';
import { maxMessageBytes, Reframer } from '../../../src/tunnel/wire/capnp-framing.ts';
import { readMessage } from '../../../src/tunnel/wire/capnp-reader.ts';
import { type Decoded, decoded } from '../../../src/tunnel/wire/malformed.ts';
import { decodeRegisterConnection, decodeRegistrationResult } from '../../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage } from '../../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { goldenMessages } from '../../support/golden-messages.ts';

const golden = [...goldenMessages().values()];

/** Decodes as far as anybody would; an exception that is not a value fails the test. */
function decodeDeeply(frame: Buffer): void {
  const message = decodeRpcMessage(frame);
  if (!message.ok) assertProblem(message);
  else if (message.value.type === 'call') assertProblem(decodeRegisterConnection(message.value.params));
  else if (message.value.type === 'return' && message.value.result.kind === 'results') {
    assertProblem(decodeRegistrationResult(message.value.result.payload));
  }
}

function assertProblem(result: Decoded<unknown>): void {
  if (!result.ok) assert.isNotEmpty(result.problem);
}

/** Words in hex, as in the golden file, to one frame of one segment. */
function frameOf(...words: string[]): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(words.length, 4);
  return Buffer.concat([header, Buffer.from(words.join(''), 'hex')]);
}

/** One frame of several segments. */
function framesOf(...segments: string[][]): Buffer {
  const header = Buffer.alloc(8 * Math.ceil((4 + 4 * segments.length) / 8));
  header.writeUInt32LE(segments.length - 1, 0);
  for (const [index, words] of segments.entries()) header.writeUInt32LE(words.length, 4 + 4 * index);
  return Buffer.concat([header, Buffer.from(segments.flat().join(''), 'hex')]);
}

function problem(result: Decoded<unknown>): string {
  if (result.ok) throw new Error('was to be refused');
  return result.problem;
}

describe('wire: hostile bytes', () => {
  it('turns arbitrary words into a value or a problem, nothing else', () => {
    const words = fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(words, (segment) =>
        decodeDeeply(frameOf(...segment.map((word) => Buffer.from(word).toString('hex')))),
      ),
      { numRuns: 2000 },
    );
  });

  it('survives any damage to real messages', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...golden),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        (original, damages) => {
          const frame = Buffer.from(original);
          for (const [at, value] of damages) frame[at % frame.length] = value;
          decodeDeeply(frame);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('refuses every truncation of real messages', () => {
    for (const frame of golden) {
      for (let length = 0; length < frame.length; length++) {
        assert.isFalse(decodeRpcMessage(frame.subarray(0, length)).ok);
      }
    }
  });

  it('refuses a list that is larger than the message could be', () => {
    const voids = frameOf('01000000f8ffffff');
    assert.match(problem(decoded(() => readMessage(voids).structList())), /too often/);
    const bytes = frameOf('01000000faffffff');
    assert.match(problem(decoded(() => readMessage(bytes).data())), /too often/);
    const outside = frameOf('01000000ca000000');
    assert.match(problem(decoded(() => readMessage(outside).data())), /outside of its segment/);
  });

  it('refuses a composite list whose elements take no room but are many', () => {
    const frame = frameOf('0100000007000000', 'fcffffff00000000');
    assert.match(problem(decoded(() => readMessage(frame).structList())), /too often/);
  });

  it('refuses to follow a message that points into itself for ever', () => {
    // A struct of one pointer that points to itself: offset −1.
    const frame = frameOf('0000000000000100', 'fcffffff00000100');
    const descend = (): void => {
      let struct = readMessage(frame).struct();
      for (;;) struct = struct.pointer(0).struct();
    };
    assert.match(problem(decoded(descend)), /deeper than 64|too often/);
  });

  it('refuses amplification: one object visited again and again', () => {
    const frame = frameOf('0000000000000100', '0100000082000000', '0011223344556677', '8899aabbccddeeff');
    const message = readMessage(frame).struct();
    const visit = (): void => {
      for (let visits = 0; visits < 1000; visits++) message.pointer(0).data();
    };
    assert.match(problem(decoded(visit)), /too often/);
  });

  it('follows far and double-far pointers to their object', () => {
    const far = framesOf(['0200000001000000'], ['0100000012000000', '6869000000000000']);
    assert.strictEqual(readMessage(far).data().toString('utf8'), 'hi');
    const double = framesOf(
      ['0600000001000000'],
      ['0200000002000000', '0100000012000000'],
      ['6869000000000000'],
    );
    assert.strictEqual(readMessage(double).data().toString('utf8'), 'hi');
  });

  it('refuses far pointers that lead nowhere, in circles or to a wrong pad', () => {
    const cases: [Buffer, RegExp][] = [
      [framesOf(['0200000005000000']), /names segment 5/],
      [framesOf(['0a00000000000000']), /outside of its segment/],
      [framesOf(['0200000000000000']), /leads to another far pointer/],
      [framesOf(['0600000001000000'], ['0000000001000000', '0000000001000000']), /pad of a double-far/],
      [framesOf(['0600000001000000'], ['0200000000000000', '0400000001000000']), /tag of a double-far/],
    ];
    for (const [frame, expected] of cases) {
      assert.match(problem(decoded(() => readMessage(frame).struct().uint32(0))), expected);
    }
  });
});

describe('wire: frames in a byte stream', () => {
  const stream = Buffer.concat(golden);

  it('come out the same, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 40 }), (cuts) => {
        const reframer = new Reframer();
        const frames: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          frames.push(...valueIn(reframer.push(stream.subarray(at, at + cut))));
          at += cut;
        }
        assert.deepEqual(frames, golden);
      }),
    );
  });

  it('are refused by their header when they are too large', () => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(maxMessageBytes / 8, 4);
    assert.match(problem(new Reframer().push(header)), /at most 65536/);
    assert.isTrue(new Reframer(2 * maxMessageBytes).push(header).ok);
  });

  it('are refused when they have too many segments', () => {
    assert.match(problem(new Reframer().push(Buffer.from('ffffffff', 'hex'))), /segments, at most 64/);
  });

  it('may be as large as the limit, byte by byte', () => {
    const frame = Buffer.alloc(maxMessageBytes);
    frame.writeUInt32LE(maxMessageBytes / 8 - 1, 4);
    const reframer = new Reframer();
    let frames = 0;
    for (let at = 0; at < frame.length; at++) {
      frames += valueIn(reframer.push(frame.subarray(at, at + 1))).length;
    }
    assert.strictEqual(frames, 1);
  });
});
