import { expect } from 'chai';
import type { RunFact } from '../../src/actors/ports.ts';
import { ok } from '../../src/fault.ts';
import { PodRunner } from '../../src/runners/pod-runner.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryPods } from '../support/memory-pods.ts';
import { podRequest } from '../support/pod-request.ts';
import { podSettings } from '../support/pod-settings.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

describe('a pod runner that comes to lead', () => {
  it('makes nothing for a run that was stopped while another one led', async () => {
    const pods = new MemoryPods();
    const clock = new ManualClock();
    const leadership = new ScriptedLeadership();
    leadership.isLeading = false;
    const { log } = keptLog();
    const world = { pods, settings: podSettings, leadership, clock, log, random: () => 0.5 };
    const runner = new PodRunner({ ...world, image: async () => ok('warp:1') });
    const facts: RunFact[] = [];
    const run = runner.start(podRequest(), (fact) => facts.push(fact));
    await clock.advance(1_000);
    run.stop();
    await clock.advance(1_000);
    expect(facts).to.deep.equal([{ type: 'ended', fault: null }]);
    leadership.isLeading = true;
    await clock.advance(120_000);
    expect(pods.writes).to.be.empty;
    await runner.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
  });
});
