import { expect } from 'chai';
import type { FaultKind } from '../../chaos/faults.ts';
import { runChaos } from '../../chaos/run.ts';
import { schedule } from '../../chaos/schedule.ts';

/** The short form: the same ones in every run. `npm run chaos` takes others, and as many as there is time for. */
const plans: readonly {
  seed: number;
  pods: number;
  flags: readonly string[];
  kinds: readonly FaultKind[];
}[] = [
  {
    seed: 3,
    pods: 2,
    flags: [],
    kinds: [
      'thread-exits',
      'clock-ahead',
      'edge-cut-one',
      'edge-cut-host',
      'edge-goaway',
      'edge-delays',
      'kubernetes-watches-expire',
      'kubernetes-conflicts',
      'cloudflare-outage',
      'cloudflare-loses-answers',
      'ingress-recreated',
      'ingress-moves-host',
      'ingress-changes-class',
      'endpoints-roll',
      'pod-killed',
      'pod-deleted',
      'only-pod-killed',
    ],
  },
];

describe('a controller in trouble', function () {
  this.timeout(240_000);

  for (const { seed, pods, flags, kinds } of plans) {
    it(`keeps every promise with seed ${seed}`, async () => {
      const news: string[] = [];
      const { violations, faults, requests } = await runChaos({
        plan: schedule({ seed, count: 12, hosts: 4, pods, kinds, gapMs: 500 }),
        hosts: 4,
        pods,
        replicas: 1,
        haConnections: 4,
        flags,
        patience: 3,
        pauseMs: 50,
        onNews: (line) => news.push(line),
      });
      expect(violations, news.join('\n')).to.deep.equal([]);
      // One may find nothing to break: the pods of a host that is just being made again.
      expect(faults, news.join('\n')).to.have.length.within(10, 12);
      expect(requests).to.be.above(100);
    });
  }
});
