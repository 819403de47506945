import { expect } from 'chai';
import { allowedCpus } from '../../bench/cpus.ts';
import { Latencies } from '../../bench/generator/latencies.ts';
import type { Measured } from '../../bench/generator/load.ts';
import { median, summarise } from '../../bench/summary.ts';
import { processesLine } from '../../bench/table.ts';

const mebibyte = 1 << 20;

function round(cpuUsPerRequest: number | null, rssMib: number | null): Measured {
  return {
    requests: 100,
    failed: 0,
    requestsPerSecond: 1000,
    p50Us: 10,
    p99Us: 20,
    cpuUsPerRequest,
    rssBytes: rssMib === null ? null : rssMib * mebibyte,
  };
}

describe('bench: summary', () => {
  it('is the median, which one slow round does not move', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 3])).to.equal(2.5);
    expect(median([1, 1, 900])).to.equal(1);
  });

  it('has no median where a round is missing', () => {
    expect(median([1, null, 3])).to.equal(null);
    expect(median([])).to.equal(null);
  });

  it("compares CPU, and memory where sockets are idle, with cloudflared's", () => {
    const results = [
      { contestant: 'direct', processes: [[round(null, null)]] },
      { contestant: 'warp-ingress', processes: [[round(50, 60)]] },
      { contestant: 'cloudflared', processes: [[round(200, 40)]] },
    ] as const;
    const ratios = (kind: 'load' | 'idle') =>
      summarise('x', kind, results).map(({ ratio_to_cloudflared }) => ratio_to_cloudflared);
    expect(ratios('load')).to.deep.equal([null, 0.25, 1]);
    expect(ratios('idle')).to.deep.equal([null, 1.5, 1]);
  });

  it('has no ratio without cloudflared', () => {
    const processes = [[round(50, 60)]];
    const [row] = summarise('x', 'load', [{ contestant: 'warp-ingress', processes }]);
    expect(row).to.include({ cpu_us_per_request: 50, rss_mib: 60, ratio_to_cloudflared: null });
  });

  it('counts a process once, however many rounds fell to it', () => {
    const processes = [[round(90, 60), round(92, 60), round(94, 60)], [round(70, 50)], [round(80, 40)]];
    const result = { contestant: 'warp-ingress', processes };
    const [row] = summarise('x', 'load', [result]);
    expect(row).to.include({ cpu_us_per_request: 80, rss_mib: 50 });
    expect(processesLine(result)).to.equal('  CPU µs of each process of warp-ingress: 92.0, 70.0, 80.0');
  });

  it('knows percentiles by nearest rank', () => {
    const latencies = new Latencies();
    for (let us = 10_000; us >= 1; us--) latencies.add(us);
    expect(latencies.percentile(0.5)).to.equal(5_000);
    expect(latencies.percentile(0.99)).to.equal(9_900);
    expect(new Latencies().percentile(0.99)).to.equal(0);
  });

  it('reads the CPUs that a process may use', () => {
    expect(allowedCpus('Name:\tx\nCpus_allowed_list:\t0-2,5\nMems_allowed:\t1\n')).to.deep.equal([
      0, 1, 2, 5,
    ]);
    expect(allowedCpus('')).to.deep.equal([]);
  });
});
