import { expect } from 'chai';
import fc from 'fast-check';
import { backoffDelayMs } from '../../src/time/backoff.ts';

const backoff = { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 120_000 };

describe('time/backoff', () => {
  const cases: [attempt: number, random: number, delayMs: number][] = [
    [0, 0, 500],
    [0, 0.5, 750],
    [0, 0.3333, 667],
    [1, 0, 1_000],
    [2, 0, 2_000],
    [5, 0, 16_000],
    [6, 0, 30_000],
    [1_000_000, 0, 30_000],
  ];
  for (const [attempt, random, delayMs] of cases) {
    it(`attempt ${attempt} with random ${random} waits ${delayMs} ms`, () => {
      expect(backoffDelayMs(backoff, attempt, random)).to.equal(delayMs);
    });
  }

  it('never exceeds the cap, is never below half of the first bound, and never shrinks from one attempt to the next', () => {
    fc.assert(
      fc.property(
        fc.record({
          baseMs: fc.integer({ min: 1, max: 10_000 }),
          factor: fc.integer({ min: 1, max: 1_000 }),
        }),
        fc.nat(200),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        ({ baseMs, factor }, attempt, random) => {
          const settings = { baseMs, capMs: baseMs * factor, healthyAfterMs: 1 };
          const delayMs = backoffDelayMs(settings, attempt, random);
          expect(delayMs).to.be.within(baseMs / 2, settings.capMs);
          expect(backoffDelayMs(settings, attempt + 1, random)).to.be.at.least(delayMs);
        },
      ),
    );
  });
});
