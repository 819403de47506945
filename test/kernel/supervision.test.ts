import { expect } from 'chai';
import fc from 'fast-check';
import { fault } from '../../src/fault.ts';
import type { Ending, Restart } from '../../src/kernel/actor.ts';
import {
  decide,
  firstHistory,
  type History,
  type Policy,
  type Verdict,
} from '../../src/kernel/supervision.ts';

const endings = {
  normal: { how: 'normal' },
  stopped: { how: 'stopped' },
  failed: { how: 'failed', fault: fault('edge-lost', 'the edge closed the connection') },
} as const satisfies Record<string, Ending>;

const policy: Policy = {
  restart: 'permanent',
  backoff: { baseMs: 2_000, capMs: 32_000, healthyAfterMs: 60_000 },
  intensity: { maxRestarts: 3, windowMs: 100_000, whenExceeded: 'escalate' },
};

/** The delay of a verdict that must be a restart. */
function restart(verdict: Verdict): { delayMs: number; history: History } {
  if (verdict.do !== 'restart') throw new Error(`expected a restart, got ${verdict.do}`);
  return verdict;
}

describe('kernel/supervision', () => {
  describe('restart type × ending', () => {
    const table: [Restart, keyof typeof endings, Verdict['do']][] = [
      ['permanent', 'normal', 'restart'],
      ['permanent', 'stopped', 'remove'],
      ['permanent', 'failed', 'restart'],
      ['transient', 'normal', 'remove'],
      ['transient', 'stopped', 'remove'],
      ['transient', 'failed', 'restart'],
      ['temporary', 'normal', 'remove'],
      ['temporary', 'stopped', 'remove'],
      ['temporary', 'failed', 'remove'],
    ];
    for (const [type, ending, expected] of table) {
      it(`${type} × ${ending}: ${expected}`, () => {
        const verdict = decide(endings[ending], { ...policy, restart: type }, firstHistory(0), 10, 0);
        expect(verdict.do).to.equal(expected);
      });
    }
  });

  describe('backoff', () => {
    it('doubles from one failure to the next', () => {
      let history = firstHistory(0);
      const delaysMs: number[] = [];
      for (let failure = 0; failure < 3; failure += 1) {
        const verdict = restart(decide(endings.failed, policy, history, history.startedAtMs, 0));
        delaysMs.push(verdict.delayMs);
        history = verdict.history;
      }
      expect(delaysMs).to.deep.equal([1_000, 2_000, 4_000]);
    });

    it('starts again after lasting health, and not a millisecond before', () => {
      const history: History = { startedAtMs: 1_000, attempt: 4, restartsAtMs: [] };
      expect(restart(decide(endings.failed, policy, history, 60_999, 0)).delayMs).to.equal(16_000);
      expect(restart(decide(endings.failed, policy, history, 61_000, 0)).delayMs).to.equal(1_000);
    });

    it("does not count the delay as health: it is not the actor's time", () => {
      const long = { ...policy, backoff: { baseMs: 400_000, capMs: 400_000, healthyAfterMs: 60_000 } };
      const first = restart(decide(endings.failed, long, firstHistory(0), 0, 0));
      expect(first.delayMs).to.equal(200_000);
      expect(first.history.startedAtMs).to.equal(200_000);
      const second = restart(decide(endings.failed, long, first.history, 200_001, 0));
      expect(second.history.attempt).to.equal(2);
    });

    it("waits as long as the fault's other side wishes", () => {
      const wish: Ending = { how: 'failed', fault: fault('cloudflare-rate-limited', 'wait', 300_000) };
      expect(restart(decide(wish, policy, firstHistory(0), 0, 0)).delayMs).to.equal(300_000);
      const smallWish: Ending = { how: 'failed', fault: fault('cloudflare-rate-limited', 'wait', 1) };
      expect(restart(decide(smallWish, policy, firstHistory(0), 0, 0)).delayMs).to.equal(1_000);
    });
  });

  describe('intensity', () => {
    const history: History = { startedAtMs: 0, attempt: 0, restartsAtMs: [0, 10, 20] };

    it('as many restarts as allowed within the window: restart', () => {
      const allowed = { ...history, restartsAtMs: [0, 10] };
      expect(decide(endings.failed, policy, allowed, 99_999, 0).do).to.equal('restart');
    });

    it('one more within the window × escalate: escalate, saying what was seen', () => {
      const verdict = decide(endings.failed, policy, history, 99_999, 0);
      if (verdict.do !== 'escalate') throw new Error(`expected an escalation, got ${verdict.do}`);
      expect(verdict.fault.code).to.equal('restart-intensity');
      expect(verdict.fault.message).to.contain('edge-lost').and.contain('3 restarts');
    });

    it('one more, but the oldest has left the window: restart', () => {
      expect(decide(endings.failed, policy, history, 100_000, 0).do).to.equal('restart');
    });

    it('one more within the window × hold: restart at the longest backoff', () => {
      const hold: Policy = { ...policy, intensity: { ...policy.intensity, whenExceeded: 'hold' } };
      const verdict = restart(decide(endings.failed, hold, history, 30, 0));
      expect(verdict.delayMs).to.equal(16_000);
    });

    it('remembers no more restarts than the intensity asks for, however long it holds', () => {
      const hold: Policy = { ...policy, intensity: { maxRestarts: 3, windowMs: 1e12, whenExceeded: 'hold' } };
      fc.assert(
        fc.property(fc.array(fc.nat(1_000), { minLength: 20, maxLength: 50 }), (ranMs) => {
          let past = firstHistory(0);
          for (const ms of ranMs) {
            past = restart(decide(endings.failed, hold, past, past.startedAtMs + ms, 0)).history;
            expect(past.restartsAtMs.length).to.be.at.most(3);
          }
        }),
        { numRuns: 20 },
      );
    });
  });
});
