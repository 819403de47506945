import { expect } from 'chai';
import type { TunnelRun } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { PodRunner } from '../../src/runners/pod-runner.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryPods } from '../support/memory-pods.ts';
import { podSettings } from '../support/pod-settings.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

const host = 'app.example.com';

describe('a Deployment of tunnel pods that somebody changes', () => {
  let pods: MemoryPods;
  let clock: ManualClock;
  let runner: PodRunner;
  let leadership: ScriptedLeadership;
  let run: TunnelRun;
  let kept: ReturnType<typeof keptLog>;

  beforeEach(async () => {
    pods = new MemoryPods();
    clock = new ManualClock();
    leadership = new ScriptedLeadership();
    await begin();
    pods.writes.length = 0;
  });
  afterEach(async () => {
    await runner.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
  });

  /** A process begins, and finds what there is. */
  async function begin(): Promise<void> {
    kept = keptLog();
    const all = { pods, settings: podSettings, leadership, clock, log: kept.log, random: () => 0.5 };
    runner = new PodRunner({ ...all, image: async () => ({ ok: true, value: 'warp:1' }) });
    await runner.open();
    const tunnel = { accountId: 'account', id: 'tunnel', token: 'token' };
    const routes = routesToUrl(host, 'http://10.0.0.1');
    const request = { host, ingress: 'web', tunnel, haConnections: 4, routes };
    run = runner.start({ ...request, place: { mode: 'pod', replicas: 2 } }, () => {});
    await quiet();
    pods.ready(host, 2);
    await quiet();
  }

  async function quiet(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await settle();
  }

  async function scale(replicas: number, over: object = {}): Promise<void> {
    pods.edit(host, { replicas }, over);
    await quiet();
  }

  const replicas = () =>
    (pods.deployments.get(pods.nameOf(host))!.stored.spec as { replicas?: number }).replicas;

  it('is put back at once, which the log says', async () => {
    await scale(5, { otherManagers: ['kubectl'] });
    expect(replicas()).to.equal(2);
    const said = kept.lines.find(({ msg }) => msg === 'tunnel pods put back');
    expect(said).to.deep.include({ host, changed: ['spec.replicas'], by: ['kubectl'] });
  });

  it('is put back by the next process, too, which writes nothing where nobody has', async () => {
    await runner.close();
    await begin();
    expect(pods.writes).to.be.empty;
    await runner.close();
    await scale(0);
    await begin();
    expect(replicas()).to.equal(2);
    expect(pods.writes).to.have.length(1);
  });

  it('is put back once more only later, and ever later, where it is changed again and again', async () => {
    const hourMs = 3_600_000;
    for (let second = 0; second < hourMs / 1_000; second += 5) {
      await scale(5);
      await clock.advance(5_000);
    }
    expect(pods.writes.length).to.be.within(8, 18);
    await clock.advance(hourMs);
    await quiet();
    expect(replicas()).to.equal(2);
    pods.writes.length = 0;
    await clock.advance(hourMs);
    await scale(5);
    expect(pods.writes, 'after a long rest at once').to.have.length(1);
    await scale(5);
    await clock.advance(5_000);
    await quiet();
    expect(pods.writes, 'and as soon as at first').to.have.length(2);
  });

  it('is waited for once only, and no longer than it is wanted', async () => {
    await scale(5);
    const before = clock.pendingTimers;
    await scale(6);
    await scale(7);
    expect(clock.pendingTimers).to.equal(before + 1);
    run.kill();
    await quiet();
    expect(clock.pendingTimers).to.be.at.most(before);
  });

  it('stays as an admission webhook makes it, after one try', async () => {
    const onTheWay = 'tunnel pods are changed on their way in';
    const isTold = () => kept.lines.some(({ msg }) => msg === onTheWay);
    expect(isTold()).to.equal(false);
    pods.admit = (deployment) => ({ ...deployment, spec: { ...deployment.spec, replicas: 1 } });
    await scale(7);
    expect(replicas()).to.equal(1);
    expect(isTold()).to.equal(true);
    expect(pods.writes).to.have.length(1);
    for (const ready of [1, 0, 1]) {
      pods.ready(host, ready);
      await clock.advance(600_000);
      await quiet();
    }
    expect(pods.writes).to.have.length(1);
    await scale(7);
    expect(pods.writes, 'what somebody does to it then is put back').to.have.length(2);
  });

  it('keeps the number of pods that an autoscaler has set, also when other pods are wanted', async () => {
    await scale(9, { isAutoscaled: true });
    expect(pods.writes).to.be.empty;
    pods.edit(host, { paused: true, revisionHistoryLimit: 7 });
    await quiet();
    expect(pods.writes).to.have.length(1);
    expect(replicas(), 'said by nobody but the autoscaler').to.equal(undefined);
    await scale(4, { isAutoscaled: false });
    await clock.advance(10_000);
    await quiet();
    expect(replicas()).to.equal(2);
  });

  it('is left alone by who does not lead, until it does', async () => {
    leadership.isLeading = false;
    await scale(5);
    expect(pods.writes).to.be.empty;
    leadership.isLeading = true;
    await quiet();
    expect(replicas()).to.equal(2);
  });
});
