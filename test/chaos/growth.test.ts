import { expect } from 'chai';
import { growthOf, settlingMs } from '../../chaos/growth.ts';
import type { Measure, Sample } from '../../chaos/sampling.ts';
import { Random } from '../../fuzz/random.ts';

const everyMs = 15_000;
const minutes = 20;
const mib = 2 ** 20;
/** Of an Ingress, by the soak. */
const changesPerMinute = 600;

/** Twenty minutes as they were measured without a leak: the same noise, and a little growth of what is still compiled. */
function quietSamples(): readonly Sample[] {
  const random = new Random(1);
  const noise = (least: number, most: number): number =>
    least + ((most - least) * random.below(1_000)) / 1_000;
  return Array.from({ length: (minutes * 60_000) / everyMs }, (_, index) => {
    const hours = (index * everyMs) / 3_600_000;
    return {
      ms: index * everyMs,
      threads: [1, 2],
      heapMib: 52 + 3 * hours + noise(-0.2, 0.2),
      threadHeapMib: 11.5 + hours + noise(-0.2, 0.2),
      externalMib: 24 + noise(-0.5, 0.5),
      mallocMib: 50 + noise(-0.1, 0.1),
      rssMib: 200 + 6 * hours + noise(-3, 3),
      descriptors: 80 + random.below(20),
      timers: 15 + random.below(10),
    };
  });
}

const growing = (samples: readonly Sample[]): readonly Measure[] =>
  growthOf(samples).flatMap(({ measure, isGrowing }) => (isGrowing ? [measure] : []));

const leaking = (measure: Measure, perMinute: number): readonly Sample[] =>
  quietSamples().map((sample) => ({
    ...sample,
    [measure]: sample[measure] + (perMinute * sample.ms) / 60_000,
  }));

describe('the verdict of a soak', () => {
  it('is that nothing grows where there is only noise', () => {
    expect(growing(quietSamples())).to.deep.equal([]);
  });

  const found: readonly [bytes: number, measures: readonly Measure[]][] = [
    [256, ['heapMib', 'threadHeapMib', 'externalMib']],
    [1024, ['heapMib', 'threadHeapMib', 'externalMib', 'mallocMib', 'rssMib']],
  ];
  for (const [bytes, measures] of found) {
    it(`sees ${bytes} bytes that are kept for each change of an Ingress, in ${measures.join(', ')}`, () => {
      const perMinute = (bytes * changesPerMinute) / mib;
      for (const measure of measures) {
        expect(growing(leaking(measure, perMinute)), measure).to.deep.equal([measure]);
      }
    });
  }

  it('sees one descriptor or timer that is left behind in each hundredth change', () => {
    expect(growing(leaking('descriptors', changesPerMinute / 100))).to.deep.equal(['descriptors']);
    expect(growing(leaking('timers', changesPerMinute / 100))).to.deep.equal(['timers']);
  });

  it('does not take the memory of threads that come for a leak, and sees one beside it', () => {
    const withMoreThreads = (samples: readonly Sample[]): readonly Sample[] =>
      samples.map((sample) => {
        const sinceMs = sample.ms - 7 * 60_000;
        if (sinceMs < 0) return sample;
        const settled = Math.min(1, sinceMs / settlingMs);
        return { ...sample, threads: [2, 3, 4], rssMib: sample.rssMib + 12 + 8 * settled };
      });
    expect(growing(withMoreThreads(quietSamples()))).to.deep.equal([]);
    expect(growing(withMoreThreads(leaking('rssMib', 0.8)))).to.deep.equal(['rssMib']);
  });

  it('sees growth beside what malloc gives back at once, and does not mistake that for anything', () => {
    const givingBack = (samples: readonly Sample[]): readonly Sample[] =>
      samples.map((sample) =>
        sample.ms < 600_000 ? sample : { ...sample, mallocMib: sample.mallocMib - 14 },
      );
    expect(growing(givingBack(quietSamples()))).to.deep.equal([]);
    expect(growing(givingBack(leaking('mallocMib', 0.6)))).to.deep.equal(['mallocMib']);
  });

  it('is none without samples enough', () => {
    expect(() => growthOf(quietSamples().slice(0, 2))).to.throw('2 points in 1 groups');
  });
});
