import { expect } from 'chai';
import { sleep, systemClock } from '../../src/time/clock.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

describe('time/clock', () => {
  describe('sleep', () => {
    it('resolves when its time has come, not before, and leaves no timer', async () => {
      const clock = new ManualClock();
      let woke = false;
      const sleeping = sleep(clock, 100).then(() => {
        woke = true;
      });
      await clock.advance(99);
      expect(woke).to.equal(false);
      await clock.advance(1);
      expect(woke).to.equal(true);
      await sleeping;
      expect(clock.pendingTimers).to.equal(0);
    });

    it('rejects with the reason as soon as the signal is aborted, and leaves no timer', async () => {
      const clock = new ManualClock();
      const stop = new AbortController();
      const sleeping = sleep(clock, 100, stop.signal);
      const reason = new Error('enough');
      stop.abort(reason);
      expect(await sleeping.catch((thrown: unknown) => thrown)).to.equal(reason);
      expect(clock.pendingTimers).to.equal(0);
    });

    it('never starts a timer for a signal that is aborted already', async () => {
      const clock = new ManualClock();
      const reason = new Error('too late');
      expect(await sleep(clock, 100, AbortSignal.abort(reason)).catch((thrown: unknown) => thrown)).to.equal(
        reason,
      );
      expect(clock.pendingTimers).to.equal(0);
    });
  });

  describe('systemClock', () => {
    it('fires a due timer and never a cancelled one', async () => {
      const fired: string[] = [];
      const cancelled = systemClock.after(0, () => fired.push('cancelled'));
      cancelled.cancel();
      cancelled.cancel();
      await new Promise<void>((resolve) => {
        const timer = systemClock.after(1, () => {
          fired.push('due');
          timer.cancel();
          resolve();
        });
      });
      expect(fired).to.deep.equal(['due']);
    });

    it("does not fire a wait longer than Node's longest timer at once", async () => {
      let fired = false;
      const timer = systemClock.after(2 ** 31 + 1_000, () => {
        fired = true;
      });
      await new Promise<void>((resolve) => systemClock.after(5, resolve));
      timer.cancel();
      expect(fired).to.equal(false);
    });
  });

  describe('ManualClock', () => {
    it('fires in the order of time, equal times in the order they were made, nested ones on their way', async () => {
      const clock = new ManualClock();
      const fired: string[] = [];
      const note = (name: string) => () => void fired.push(`${name}@${clock.monotonic()}`);
      clock.after(20, note('c'));
      clock.after(10, note('a'));
      clock.after(10, note('b'));
      clock.after(10, () => void settle().then(() => clock.after(5, note('nested'))));
      await clock.advance(30);
      expect(fired).to.deep.equal(['a@10', 'b@10', 'nested@15', 'c@20']);
      expect(clock.monotonic()).to.equal(30);
    });
  });
});
