import { expect } from 'chai';
import { Quarantine } from '../../src/runners/quarantine.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('the quarantine of a runner', () => {
  const minuteMs = 60_000;
  const tunnels = ['bad', 'good', 'other'];
  const room = { threads: 1, tunnelsPerThread: 2 };
  let clock: ManualClock;
  /** Whom it kept apart each time that it had judged. */
  let apart: string[][];
  let quarantine: Quarantine;
  let kept: ReturnType<typeof keptLog>;

  beforeEach(() => {
    clock = new ManualClock();
    apart = [];
    kept = keptLog();
    quarantine = new Quarantine({
      clock,
      log: kept.log,
      present: () => tunnels.map((tunnel) => ({ tunnel, host: `${tunnel}.example.com` })),
      judged: () => void apart.push(tunnels.filter((tunnel) => quarantine.companyOf(tunnel) !== 'any')),
    });
  });
  afterEach(() => {
    quarantine.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
  });

  it('is for the tunnel that was on both threads that died, until it has been without a death', async () => {
    quarantine.accuse(new Set(['bad', 'good']), room);
    expect([...quarantine.suspects]).to.deep.equal([
      ['bad', 1],
      ['good', 1],
    ]);
    expect(quarantine.companyOf('bad')).to.equal('any');
    quarantine.accuse(new Set(['bad', 'other']), room);
    expect(tunnels.map((tunnel) => quarantine.companyOf(tunnel))).to.deep.equal(['nobody', 'any', 'any']);
    expect(apart).to.deep.equal([[], ['bad']]);
    await clock.advance(10 * minuteMs + 1);
    expect(quarantine.companyOf('bad')).to.equal('any');
    expect(apart.at(-1)).to.deep.equal([]);
    expect(kept.lines[0]).to.include({ company: 'nobody', deaths: 2, accused: 1 });
    expect(kept.lines.map(({ msg, host }) => [msg, host])).to.deep.equal([
      ['tunnel put into quarantine', 'bad.example.com'],
      ['tunnel released from quarantine', 'bad.example.com'],
    ]);
  });

  it('judges nothing by time once it is closed', async () => {
    quarantine.accuse(new Set(['bad']), room);
    quarantine.accuse(new Set(['bad']), room);
    quarantine.close();
    await clock.advance(60 * minuteMs);
    expect(apart).to.deep.equal([[], ['bad']]);
  });
});
