import { expect } from 'chai';
import { type FaultKind, faultKinds, ruleOf } from '../../chaos/faults.ts';
import { oneByOne, schedule } from '../../chaos/schedule.ts';

const seeds = Array.from({ length: 50 }, (_, seed) => seed);
const plan = (seed: number, kinds?: readonly FaultKind[]) =>
  schedule({ seed, count: 60, hosts: 4, pods: 2, ...(kinds && { kinds }) });

describe('the schedule of a seed', () => {
  it('is the same every time, and another one for another seed', () => {
    expect(plan(7)).to.deep.equal(plan(7));
    expect(plan(8)).to.not.deep.equal(plan(7));
  });

  it('never lets faults of one part overlap, nor two changes of one host', () => {
    for (const seed of seeds) {
      const freeMs = new Map<string, number>();
      for (const { kind, host, atMs, lengthMs } of plan(seed)) {
        const { part } = ruleOf(kind);
        const lane = part === 'cluster' || part === 'pods' ? `host ${host}` : part;
        expect(atMs, `seed ${seed}: ${kind}`).to.be.at.least(freeMs.get(lane) ?? 0);
        freeMs.set(lane, atMs + lengthMs);
      }
    }
  });

  it('comes to every kind that is not too slow to be drawn by chance', () => {
    const drawn = new Set(seeds.flatMap((seed) => plan(seed).map(({ kind }) => kind)));
    expect([...drawn].sort()).to.deep.equal(faultKinds.filter((kind) => ruleOf(kind).weight > 0).toSorted());
  });

  it('lets Ingresses come and go in the middle of outages of every part', () => {
    const parts = new Set<string>();
    for (const seed of seeds) {
      const faults = plan(seed);
      for (const { kind, atMs, lengthMs } of faults) {
        const isHit = faults.some(
          (other) => other.kind === 'ingress-recreated' && other.atMs > atMs && other.atMs < atMs + lengthMs,
        );
        if (isHit) parts.add(ruleOf(kind).part);
      }
    }
    expect([...parts]).to.include.members(['edge', 'kubernetes', 'cloudflare', 'process']);
  });

  it('keeps to the kinds that are asked for, also to one that chance never draws', () => {
    for (const kinds of [['edge-cut-all', 'thread-exits'], ['kubernetes-events-dropped']] as const) {
      const faults = plan(1, kinds);
      expect(faults).to.have.length(60);
      expect(faults.every(({ kind }) => kinds.some((each) => each === kind))).to.equal(true);
    }
  });

  it('one by one comes to every kind once before any comes again', () => {
    const drawable = faultKinds.filter((kind) => ruleOf(kind).weight > 0);
    const faults = oneByOne({ seed: 1, count: 2 * drawable.length, hosts: 4, pods: 2 });
    const kinds = faults.map(({ kind }) => kind);
    expect(kinds.slice(0, drawable.length)).to.deep.equal(drawable);
    expect(kinds.slice(drawable.length)).to.deep.equal(drawable);
    expect(new Set(faults.map(({ host }) => host)).size, 'hosts').to.equal(4);
  });
});
