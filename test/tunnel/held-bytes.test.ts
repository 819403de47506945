import { expect } from 'chai';
import fc from 'fast-check';
import { HeldBytes } from '../../src/tunnel/held-bytes.ts';
import { SendQueue } from '../../src/tunnel/http2/send-queue.ts';

const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 9_000 }), { maxLength: 40 });

/** What a queue gives piece by piece, each taken in two parts. */
function takenFrom(queue: SendQueue): Buffer[] {
  const taken: Buffer[] = [];
  while (queue.bytes > 0) {
    const part = queue.head.subarray(0, Math.ceil(queue.head.length / 2));
    taken.push(Buffer.from(part));
    queue.took(part.length);
  }
  return taken;
}

describe('bytes that wait', () => {
  it('come out as they went in, whatever their pieces and what was taken in between', () => {
    fc.assert(
      fc.property(pieces, pieces, (before, after) => {
        const held = new HeldBytes();
        const queue = new SendQueue();
        const out: Buffer[] = [];
        for (const piece of before) {
          held.push(piece);
          queue.push(piece);
        }
        if (before.length > 0) out.push(held.shift());
        for (const piece of after) {
          held.push(piece);
          queue.push(piece);
        }
        while (held.bytes > 0) out.push(held.shift());
        const expected = Buffer.concat([...before, ...after]);
        expect(Buffer.concat(out).equals(expected)).to.equal(true);
        expect(Buffer.concat(takenFrom(queue)).equals(expected)).to.equal(true);
      }),
    );
  });

  it('lie in few buffers where they came one by one', () => {
    const held = new HeldBytes();
    const queue = new SendQueue();
    for (let i = 0; i < 64 * 1_024; i += 1) {
      held.push(Buffer.of(i));
      queue.push(Buffer.of(i));
    }
    let buffers = 0;
    for (; held.bytes > 0; buffers += 1) held.shift();
    expect(buffers).to.be.below(32);
    buffers = 0;
    for (; queue.bytes > 0; buffers += 1) queue.took(queue.head.length);
    expect(buffers).to.be.below(32);
  });
});
