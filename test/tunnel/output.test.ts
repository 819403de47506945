import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { HighWater } from '../../src/tunnel/high-water.ts';
import { Output } from '../../src/tunnel/output.ts';
import { slabBytes } from '../../src/tunnel/slabs.ts';

/** Takes what it is given when the test says so, and looks at the bytes only then, as a busy socket does. */
class SlowSocket extends Writable {
  readonly #pieces: Buffer[] = [];
  /** Pieces that Node.js would have to copy together because they waited in the socket. */
  waited = 0;
  #take: (() => void) | null = null;

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.#take = () => {
      this.#take = null;
      this.#pieces.push(Buffer.from(piece));
      done();
    };
  }

  get received(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /** True if there is more to take. */
  take(): boolean {
    this.waited = Math.max(this.waited, this.writableLength);
    this.#take?.();
    return this.writableLength > 0;
  }
}

function stage(highWaterBytes = Number.MAX_SAFE_INTEGER): {
  socket: SlowSocket;
  output: Output;
  drains: () => number;
} {
  const socket = new SlowSocket();
  let drains = 0;
  const output = new Output(socket as unknown as Socket, new HighWater(highWaterBytes), () => {
    drains += 1;
  });
  return { socket, output, drains: () => drains };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function takeAll(socket: SlowSocket, output: Output): Promise<void> {
  while (output.unsentBytes > 0) {
    socket.take();
    await turn();
  }
}

describe('the output of an HTTP/2 session', () => {
  it('sends every byte in order, however frames, turns and a slow socket fall together', async () => {
    const { socket, output } = stage();
    const sent: Buffer[] = [];
    let state = 12_345;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let i = 0; i < 1500; i++) {
      const most = next(4) === 0 ? slabBytes : 2000;
      const frame = Buffer.alloc(1 + next(most), i + 1);
      sent.push(frame);
      if (next(6) === 0) output.sendAsItLies(frame);
      else output.frame(frame);
      if (next(3) === 0) socket.take();
      if (next(5) === 0) await turn();
      if (next(11) === 0) output.flush();
    }
    await takeAll(socket, output);
    expect(Buffer.concat(sent).equals(socket.received)).to.equal(true);
  });

  it('sends what never changes from where it lies, at once, when nothing is under way', async () => {
    const { socket, output } = stage();
    const constant = Buffer.from('constant');
    output.sendAsItLies(constant);
    expect(socket.writableLength).to.equal(constant.length);
    output.sendAsItLies(constant);
    output.frame(Buffer.from('other'));
    await takeAll(socket, output);
    expect(socket.received.toString()).to.equal('constantconstantother');
  });

  it('gives the socket one piece of one slab at a time', async () => {
    const { socket, output } = stage();
    for (let i = 0; i < 40; i++) output.frame(Buffer.alloc(10_000, i));
    await takeAll(socket, output);
    expect(socket.received).to.have.length(400_000);
    expect(socket.waited).to.be.greaterThan(0).and.at.most(slabBytes);
  });

  it('gives everything to the socket when it finishes', async () => {
    const { socket, output } = stage();
    const sent: Buffer[] = [];
    for (let i = 0; i < 20; i++) {
      sent.push(Buffer.alloc(10_000, i + 1));
      output.frame(sent[i]!);
    }
    output.finish();
    // Another session takes slabs of the same thread meanwhile.
    const other = stage();
    for (let i = 0; i < 20; i++) other.output.frame(Buffer.alloc(10_000, 255));
    while (socket.take()) await turn();
    expect(Buffer.concat(sent).equals(socket.received)).to.equal(true);
    other.output.close();
  });

  it('says once that there is room again', async () => {
    const { socket, output, drains } = stage(100_000);
    for (let i = 0; i < 12; i++) output.frame(Buffer.alloc(10_000));
    expect(output.full).to.equal(true);
    expect(drains()).to.equal(0);
    await takeAll(socket, output);
    expect(output.full).to.equal(false);
    expect(drains()).to.equal(1);
  });

  it('takes bytes and text that are longer than a slab, behind what is there', async () => {
    const { socket, output } = stage();
    const bytes = Buffer.from(Array.from({ length: slabBytes * 2 + 5 }, (_, index) => index % 251));
    const text = 'é/'.repeat(slabBytes);
    output.latin1('first');
    output.append(bytes);
    output.latin1(text);
    await takeAll(socket, output);
    const expected = Buffer.concat([Buffer.from('first'), bytes, Buffer.from(text, 'latin1')]);
    expect(socket.received.equals(expected)).to.equal(true);
  });
});
