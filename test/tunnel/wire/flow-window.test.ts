import { expect } from 'chai';
import fc from 'fast-check';
import { FloodGuard } from '../../../src/tunnel/wire/flood-guard.ts';
import { ReceiveWindow } from '../../../src/tunnel/wire/flow-window.ts';

describe('a receive window', () => {
  it('takes as much as it has, not a byte more', () => {
    const window = new ReceiveWindow(10);
    expect(window.receive(10)).to.equal(true);
    expect(window.receive(1)).to.equal(false);
    expect(window.receive(0)).to.equal(true);
  });

  it('gives back in halves', () => {
    const window = new ReceiveWindow(10);
    window.receive(10);
    window.consume(4);
    expect(window.takeIncrement()).to.equal(0);
    window.consume(2);
    expect(window.takeIncrement()).to.equal(6);
    expect(window.takeIncrement()).to.equal(0);
    expect(window.receive(6)).to.equal(true);
    expect(window.receive(1)).to.equal(false);
  });

  it('never lets more than its size be unconsumed, and never starves a peer whose bytes are consumed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 1000 }), fc.array(fc.nat(600)), (size, sends) => {
        const window = new ReceiveWindow(size);
        let peerMay = size;
        for (const wanted of sends) {
          const sent = Math.min(wanted, peerMay);
          expect(window.receive(sent)).to.equal(true);
          peerMay -= sent;
          window.consume(sent);
          peerMay += window.takeIncrement();
          expect(peerMay).to.be.within(1, size);
        }
        expect(window.receive(peerMay + 1)).to.equal(false);
      }),
    );
  });
});

describe('a flood guard', () => {
  it('lets a burst through, then the rate', () => {
    let nowMs = 0;
    const guard = new FloodGuard({ burst: 3, perSecond: 2 }, () => nowMs);
    expect([1, 2, 3, 4].map(() => guard.take())).to.deep.equal([true, true, true, false]);
    nowMs = 1000;
    expect([1, 2, 3].map(() => guard.take())).to.deep.equal([true, true, false]);
    nowMs = 3_600_000;
    expect([1, 2, 3, 4].map(() => guard.take())).to.deep.equal([true, true, true, false]);
  });

  it('lets more through where more was earned, up to the burst', () => {
    const guard = new FloodGuard({ burst: 2, perSecond: 0 }, () => 0);
    expect([guard.take(), guard.take(), guard.take()]).to.deep.equal([true, true, false]);
    guard.allow(100);
    expect([guard.take(), guard.take(), guard.take()]).to.deep.equal([true, true, false]);
  });
});
