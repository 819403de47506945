import { expect } from 'chai';
import fc from 'fast-check';
import { CallBudget } from '../../src/cloudflare/budget.ts';

describe('the call budget', () => {
  it('never lets more than 900 calls into any five minutes, a quarter below the documented 1,200', () => {
    const gapsMs = fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(gapsMs, (gaps) => {
        const budget = new CallBudget(0);
        const calls: number[] = [];
        let nowMs = 0;
        for (const gapMs of gaps) {
          nowMs += gapMs;
          while (budget.waitMs(nowMs) === 0) {
            budget.spend(nowMs);
            calls.push(nowMs);
          }
        }
        for (const start of calls) {
          const within = calls.filter((at) => at >= start && at < start + 300_000).length;
          expect(within).to.be.at.most(900);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('lets a hundred new hosts, three calls each, start at once', () => {
    const budget = new CallBudget(0);
    for (let call = 0; call < 300; call++) {
      expect(budget.waitMs(0)).to.equal(0);
      budget.spend(0);
    }
  });

  it('says how long the next call has to wait, and is right', () => {
    const budget = new CallBudget(0, 2, 0.5);
    budget.spend(0);
    budget.spend(0);
    expect(budget.remaining(0)).to.equal(0);
    const waitMs = budget.waitMs(0);
    expect(budget.waitMs(waitMs - 1)).to.equal(1);
    expect(budget.waitMs(waitMs)).to.equal(0);
  });

  it('pays a debt before the next call', () => {
    const budget = new CallBudget(0, 1, 1);
    for (let call = 0; call < 3; call++) budget.spend(0);
    expect(budget.waitMs(0)).to.equal(3_000);
  });
});
