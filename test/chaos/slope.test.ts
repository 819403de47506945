import { expect } from 'chai';
import { grows, type Point, slopeWithin } from '../../chaos/slope.ts';
import { Random } from '../../fuzz/random.ts';

const minuteMs = 60_000;
const points = (valueAt: (minute: number) => number): readonly Point[] =>
  Array.from({ length: 60 }, (_, minute) => ({ ms: minute * minuteMs, value: valueAt(minute) }));

describe('the slope of samples', () => {
  it('is what a straight line has, an hour, without error', () => {
    const { perHour, errorPerHour } = slopeWithin([points((minute) => 500 + minute / 6)]);
    expect(perHour).to.be.closeTo(10, 1e-9);
    expect(errorPerHour).to.be.closeTo(0, 1e-9);
  });

  it('of noise is no growth, and of noise on a leak is one', () => {
    const random = new Random(1);
    const noise = points(() => random.below(1_000) / 100);
    const leak = points((minute) => random.below(1_000) / 100 + minute);
    expect(grows(slopeWithin([noise]), 1)).to.equal(false);
    expect(grows(slopeWithin([leak]), 1)).to.equal(true);
    expect(grows(slopeWithin([leak]), 100)).to.equal(false);
  });

  it('takes three points', () => {
    expect(() => slopeWithin([points(() => 0).slice(0, 2)])).to.throw('2 points');
  });
});
