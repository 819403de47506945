import { expect } from 'chai';
import { createCounts } from '../../src/tunnel/counts.ts';
import { durationBucketsSeconds } from '../../src/tunnel/link.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('counts of a tunnel', () => {
  it('are nothing until something was counted', () => {
    expect(createCounts(new ManualClock()).take(true)).to.equal(null);
  });

  it('put each request into its class and its bucket', () => {
    const counts = createCounts(new ManualClock());
    counts.request(2, 0);
    counts.request(2, durationBucketsSeconds[0]);
    counts.request(0, durationBucketsSeconds[0] + 0.001);
    counts.request(5, 1e6);
    counts.originError('tls');
    counts.originError('tls');
    expect(counts.take()).to.deep.equal({
      requests: [1, 0, 2, 0, 0, 1],
      durations: [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      durationSumSeconds: 1e6 + 2 * durationBucketsSeconds[0] + 0.001,
      originErrors: { tls: 2 },
    });
  });

  it('are taken once, at most once a second, and whenever the tunnel ends', async () => {
    const clock = new ManualClock();
    const counts = createCounts(clock);
    counts.request(2, 0);
    expect(counts.take()).not.to.equal(null);
    counts.request(2, 0);
    await clock.advance(999);
    expect(counts.take()).to.equal(null);
    expect(counts.take(true)?.requests[2]).to.equal(1);
    counts.request(2, 0);
    await clock.advance(1_000);
    expect(counts.take()?.requests[2]).to.equal(1);
    expect(counts.take(true)).to.equal(null);
  });
});
