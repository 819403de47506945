import { expect } from 'chai';
import { EdgeReturn, leastSilenceMs } from '../../src/tunnel/edge-return.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('return of the edge', () => {
  let clock: ManualClock;
  let edge: EdgeReturn;
  let attempts: string[];

  beforeEach(() => {
    clock = new ManualClock();
    edge = new EdgeReturn(clock);
    attempts = [];
  });
  afterEach(() => expect(clock.pendingTimers).to.equal(0));

  const wait = (name: string, delayMs: number) => edge.after(delayMs, 1_000, () => attempts.push(name));

  it('hastens those that wait, and only those that would wait longer', async () => {
    wait('long', 30_000);
    wait('given up', 30_000).cancel();
    await clock.advance(leastSilenceMs);
    wait('short', 500);
    edge.registered();
    wait('after it', 2_000);
    await clock.advance(500);
    expect(attempts).to.deep.equal(['short']);
    await clock.advance(500);
    expect(attempts).to.deep.equal(['short', 'long']);
    await clock.advance(1_000);
    expect(attempts).to.deep.equal(['short', 'long', 'after it']);
  });

  it('is none while another connection holds, nor after a moment without any', async () => {
    const first = edge.registered();
    wait('long', 30_000);
    await clock.advance(2 * leastSilenceMs);
    edge.registered()();
    first();
    await clock.advance(leastSilenceMs - 1);
    const second = edge.registered();
    await clock.advance(1_000);
    expect(attempts).to.deep.equal([]);
    second();
    await clock.advance(leastSilenceMs);
    edge.registered();
    await clock.advance(1_000);
    expect(attempts).to.deep.equal(['long']);
  });

  it('is called off also when it had been hastened', async () => {
    const timer = wait('never', 30_000);
    await clock.advance(leastSilenceMs);
    edge.registered();
    timer.cancel();
    await clock.advance(60_000);
    expect(attempts).to.deep.equal([]);
  });
});
