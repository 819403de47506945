import { expect } from 'chai';
import fc from 'fast-check';
import { planRollout, type RolloutPod } from '../../../src/sandbox/node/rollout.ts';

const limits = { replicas: 2, maxSurge: 1, maxUnavailable: 0 };
const pod = (name: string, isNew: boolean, isReady: boolean): RolloutPod => ({ name, isNew, isReady });

describe('a rollout', () => {
  it('starts a new pod beside the old ones, and ends an old one when it is ready', () => {
    const old = [pod('a', false, true), pod('b', false, true)];
    expect(planRollout(old, limits)).to.deep.equal({ create: 1, remove: [] });
    expect(planRollout([...old, pod('c', true, false)], limits)).to.deep.equal({ create: 0, remove: [] });
    expect(planRollout([...old, pod('c', true, true)], limits)).to.deep.equal({ create: 0, remove: ['a'] });
  });

  it('ends first what serves nobody', () => {
    const pods = [pod('a', false, true), pod('b', false, false), pod('c', true, true)];
    expect(planRollout(pods, limits).remove).to.deep.equal(['b']);
    const surplus = [pod('a', true, true), pod('b', true, false), pod('c', true, true)];
    expect(planRollout(surplus, limits)).to.deep.equal({ create: 0, remove: ['b'] });
  });

  it('keeps an old pod that is not ready yet for as long as the new one is not either', () => {
    const one = { ...limits, replicas: 1 };
    const young = pod('a', false, false);
    expect(planRollout([young], one)).to.deep.equal({ create: 1, remove: [] });
    expect(planRollout([young, pod('b', true, false)], one).remove).to.deep.equal([]);
    expect(planRollout([young, pod('b', true, true)], one).remove).to.deep.equal(['a']);
  });

  it('never has fewer ready pods or more pods than it may, and comes to an end', () => {
    const input = fc.record({
      old: fc.integer({ min: 0, max: 5 }),
      replicas: fc.integer({ min: 0, max: 5 }),
      maxSurge: fc.integer({ min: 1, max: 3 }),
      maxUnavailable: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(input, ({ old, ...bounds }) => {
        let pods = Array.from({ length: old }, (_, index) => pod(`old-${index}`, false, true));
        for (let round = 0; round < 20; round++) {
          const { create, remove } = planRollout(pods, bounds);
          const fresh = Array.from({ length: create }, (_, index) => pod(`${round}-${index}`, true, false));
          const ready = (all: readonly RolloutPod[]): number => all.filter((each) => each.isReady).length;
          const left = pods.filter(({ name }) => !remove.includes(name));
          const least = Math.min(ready(pods), bounds.replicas - bounds.maxUnavailable);
          expect(ready(left)).to.be.at.least(least);
          expect(left.length + create).to.be.at.most(Math.max(old, bounds.replicas + bounds.maxSurge));
          pods = [...left.map((each) => ({ ...each, isReady: true })), ...fresh];
        }
        expect(pods.filter((each) => each.isNew && each.isReady)).to.have.length(bounds.replicas);
        expect(pods).to.have.length(bounds.replicas);
      }),
    );
  });
});
