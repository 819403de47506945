import { expect } from 'chai';
import { Mailbox } from '../../src/kernel/mailbox.ts';
import { eventually } from '../support/eventually.ts';
import { settle } from '../support/manual-clock.ts';

/** A mailbox that notes what it delivers and how deep it is. */
function noting(deliver: (letter: string) => void | Promise<void> = () => {}) {
  const read: string[] = [];
  let depth = 0;
  const mailbox = new Mailbox<string>({
    deliver: (letter) => {
      read.push(letter);
      return deliver(letter);
    },
    depthChanged: (delta) => {
      depth += delta;
    },
  });
  return { mailbox, read, reportedDepth: () => depth };
}

describe('kernel/mailbox', () => {
  it('delivers nothing before it is resumed, then everything in order', async () => {
    const { mailbox, read } = noting();
    for (const letter of ['a', 'b', 'c']) mailbox.put(letter, 0);
    await settle();
    expect(read).to.deep.equal([]);
    mailbox.resume();
    await settle();
    expect(read).to.deep.equal(['a', 'b', 'c']);
  });

  it("never delivers on the teller's stack", async () => {
    const { mailbox, read } = noting();
    mailbox.resume();
    mailbox.put('a', 0);
    expect(read).to.deep.equal([]);
    await settle();
    expect(read).to.deep.equal(['a']);
  });

  it('delivers the next letter only when the one before has settled', async () => {
    const first = Promise.withResolvers<void>();
    const { mailbox, read } = noting((letter) => (letter === 'first' ? first.promise : undefined));
    mailbox.resume();
    mailbox.put('first', 0);
    mailbox.put('second', 0);
    await settle();
    expect(read).to.deep.equal(['first']);
    first.resolve();
    await settle();
    expect(read).to.deep.equal(['first', 'second']);
  });

  it('delivers a higher priority first', async () => {
    const { mailbox, read } = noting();
    mailbox.put('user 1', 0);
    mailbox.put('user 2', 0);
    mailbox.put('system', 1);
    mailbox.resume();
    await settle();
    expect(read).to.deep.equal(['system', 'user 1', 'user 2']);
  });

  it('keeps the order of thousands that come while it is never empty', async () => {
    const { mailbox, read } = noting((letter) => {
      const next = Number(letter) + 2;
      if (next < 5_000) mailbox.put(String(next), 0, String(next));
    });
    mailbox.put('0', 0);
    mailbox.put('1', 0);
    mailbox.resume();
    await eventually('all are read', () => read.length === 5_000);
    expect(read).to.deep.equal(Array.from({ length: 5_000 }, (_, letter) => String(letter)));
  });

  it('puts a newer letter with the same key into the place of the older', async () => {
    const { mailbox, read } = noting();
    mailbox.put('x is 1', 0, 'x');
    mailbox.put('other', 0);
    mailbox.put('x is 2', 0, 'x');
    mailbox.put('y is 1', 0, 'y');
    expect(mailbox.depth).to.equal(3);
    mailbox.resume();
    await settle();
    expect(read).to.deep.equal(['x is 2', 'other', 'y is 1']);
  });

  it('does not replace a letter that is being read', async () => {
    const reading = Promise.withResolvers<void>();
    const { mailbox, read } = noting((letter) => (letter === 'x is 1' ? reading.promise : undefined));
    mailbox.resume();
    mailbox.put('x is 1', 0, 'x');
    await settle();
    mailbox.put('x is 2', 0, 'x');
    mailbox.put('x is 3', 0, 'x');
    reading.resolve();
    await settle();
    expect(read).to.deep.equal(['x is 1', 'x is 3']);
  });

  it('goes on after release although a letter never settles', async () => {
    const { mailbox, read } = noting((letter) =>
      letter === 'hangs' ? new Promise<void>(() => {}) : undefined,
    );
    mailbox.resume();
    mailbox.put('hangs', 0);
    mailbox.put('next', 0);
    await settle();
    expect(read).to.deep.equal(['hangs']);
    mailbox.release();
    await settle();
    expect(read).to.deep.equal(['hangs', 'next']);
  });

  it('pauses between two letters', async () => {
    const { mailbox, read } = noting((letter) => (letter === 'pause' ? mailbox.pause() : undefined));
    mailbox.resume();
    for (const letter of ['pause', 'a', 'b']) mailbox.put(letter, 0);
    await settle();
    expect(read).to.deep.equal(['pause']);
    mailbox.resume();
    await settle();
    expect(read).to.deep.equal(['pause', 'a', 'b']);
  });

  it('drains what waits and reports a depth of nothing', async () => {
    const { mailbox, read, reportedDepth } = noting();
    mailbox.put('a', 0);
    mailbox.put('b', 0, 'b');
    mailbox.put('c', 1);
    expect(reportedDepth()).to.equal(3);
    expect(mailbox.drain()).to.have.members(['a', 'b', 'c']);
    expect(reportedDepth()).to.equal(0);
    mailbox.put('b again', 0, 'b');
    mailbox.resume();
    await settle();
    expect(read).to.deep.equal(['b again']);
    expect(reportedDepth()).to.equal(0);
  });
});
