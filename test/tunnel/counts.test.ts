import { expect } from 'chai';
import { createCounts } from '../../src/tunnel/counts.ts';
import { durationBucketsSeconds } from '../../src/tunnel/link.ts';

describe('counts of a tunnel', () => {
  it('are nothing until something was counted', () => {
    expect(createCounts().take()).to.equal(null);
  });

  it('put each request into its class and its bucket', () => {
    const counts = createCounts();
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

  it('are taken once', () => {
    const counts = createCounts();
    counts.request(2, 0);
    counts.originError('tls');
    expect(counts.take()?.originErrors).to.deep.equal({ tls: 1 });
    expect(counts.take()).to.equal(null);
    counts.request(2, 0);
    expect(counts.take()).to.deep.include({ requests: [0, 0, 1, 0, 0, 0], originErrors: {} });
  });
});
