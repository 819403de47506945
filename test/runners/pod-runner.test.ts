import { expect } from 'chai';
import type { Leadership, RunFact, TunnelRunRequest } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { failed, fault, ok, type Result } from '../../src/fault.ts';
import { PodRunner } from '../../src/runners/pod-runner.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryPods } from '../support/memory-pods.ts';
import { podRequest } from '../support/pod-request.ts';
import { podSettings } from '../support/pod-settings.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

const host = 'app.example.com';
const { graceMs } = podSettings;

describe('the pod runner', () => {
  let pods: MemoryPods;
  let clock: ManualClock;
  let runner: PodRunner;
  let image: Result<string>;

  beforeEach(() => {
    pods = new MemoryPods();
    clock = new ManualClock();
    image = ok('warp:1');
    runner = create();
  });
  afterEach(async () => {
    await runner.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    expect(pods.isWatched).to.equal(false);
  });

  function create(leadership: Leadership = new ScriptedLeadership()): PodRunner {
    const { log } = keptLog();
    const all = { pods, settings: podSettings, leadership, clock, log, random: () => 0.5 };
    return new PodRunner({ ...all, image: async () => image });
  }

  async function start(over: Partial<TunnelRunRequest> = {}, on = runner) {
    const facts: RunFact[] = [];
    const run = on.start(podRequest(over), (fact) => facts.push(fact));
    await quiet();
    const told = (): unknown => facts.at(-1);
    return { run, facts, told };
  }

  async function quiet(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await settle();
  }

  const connections = (registered: number) => ({ type: 'connections', registered });
  const ended = { type: 'ended', fault: null };
  const failing = (message: string | null): RunFact => ({
    type: 'failing',
    fault: message === null ? null : fault('pods-failing', message),
  });

  it('tells the readiness of the pods as connections', async () => {
    const { facts } = await start();
    expect(pods.writes).to.deep.equal([`apply ${host}`]);
    for (const ready of [1, 2, 0]) {
      pods.ready(host, ready);
      await quiet();
    }
    expect(facts).to.deep.equal([connections(4), connections(8), connections(0)]);
  });

  it('takes over what an earlier process left, without a write', async () => {
    await start();
    pods.ready(host, 2);
    await runner.close();
    pods.writes.length = 0;
    runner = create();
    const next = await start();
    expect(next.facts).to.deep.equal([connections(8)]);
    expect(pods.writes).to.be.empty;
  });

  it('leaves the pods alone when the process ends', async () => {
    const { run, facts } = await start();
    await runner.close();
    run.stop();
    await quiet();
    expect(facts).to.deep.equal([ended]);
    expect(pods.writes).to.deep.equal([`apply ${host}`]);
  });

  it('ends a run that is stopped once the last pod is gone', async () => {
    const { run, told } = await start();
    pods.ready(host, 1);
    pods.pod(host, 'pod-1');
    await quiet();
    run.stop();
    await quiet();
    expect(pods.writes.at(-1)).to.equal(`remove ${host}`);
    expect(told()).to.deep.equal(connections(4));
    pods.podGone('pod-1');
    await quiet();
    expect(told()).to.deep.equal(ended);
  });

  it('waits no longer than the grace period and some for pods that do not end', async () => {
    const { run, told } = await start();
    pods.pod(host, 'pod-1');
    run.stop();
    await quiet();
    await clock.advance(graceMs + 10_000);
    await quiet();
    expect(told()).to.deep.equal(ended);
  });

  it('gives the Deployment to a second run, which counts when all pods are of its making', async () => {
    const first = await start();
    pods.ready(host, 2);
    await quiet();
    const second = await start({ haConnections: 2 });
    expect(pods.writes).to.have.length(2);
    pods.ready(host, 2, false);
    await quiet();
    expect(second.facts).to.be.empty;
    pods.ready(host, 2);
    await quiet();
    expect(second.facts).to.deep.equal([connections(4)]);
    first.run.stop();
    await quiet();
    expect(first.told()).to.deep.equal(ended);
    expect(pods.writes).to.have.length(2);
  });

  it('takes back what a successor began that is not wanted after all', async () => {
    await start();
    pods.ready(host, 2);
    await quiet();
    const before = pods.deployments.get(pods.nameOf(host))!.hash;
    const second = await start({ haConnections: 1 });
    second.run.stop();
    await quiet();
    expect(pods.deployments.get(pods.nameOf(host))!.hash).to.equal(before);
  });

  it('follows routes with a new revision of the same Deployment', async () => {
    const { run, facts } = await start();
    pods.ready(host, 2);
    await quiet();
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await quiet();
    expect(pods.writes).to.have.length(2);
    expect(facts).to.deep.equal([connections(8)]);
  });

  it('makes again what somebody has deleted', async () => {
    await start();
    pods.lose(host);
    await quiet();
    expect(pods.writes).to.have.length(2);
    expect(pods.deployments.size).to.equal(1);
  });

  it('tells once why no pod gets to run, leaves them to Kubernetes, and tells when they do', async () => {
    const { facts } = await start();
    pods.ready(host, 0, false);
    for (const trouble of ['ErrImagePull', 'ErrImagePull in other words', null, 'ErrImagePull']) {
      pods.pod(host, 'pod-1', trouble);
      await quiet();
    }
    expect(facts).to.deep.equal([failing('pod pod-1: ErrImagePull')]);
    pods.pod(host, 'pod-1', 'CrashLoopBackOff');
    await quiet();
    expect(facts.at(-1)).to.deep.equal(failing('pod pod-1: CrashLoopBackOff'));
    pods.pod(host, 'pod-1');
    pods.ready(host, 2);
    await quiet();
    expect(facts.slice(2)).to.deep.equal([connections(8), failing(null)]);
    pods.ready(host, 1, false);
    pods.pod(host, 'pod-1', 'CrashLoopBackOff');
    await quiet();
    expect(facts.slice(4), 'another time').to.deep.equal([
      connections(4),
      failing('pod pod-1: CrashLoopBackOff'),
    ]);
    expect(pods.writes).to.deep.equal([`apply ${host}`]);
  });

  it('tells after a minute of pods that nothing else is known of, and only of those that were never ready', async () => {
    const { facts, run } = await start();
    await clock.advance(59_000);
    expect(facts).to.be.empty;
    await clock.advance(1_000);
    await quiet();
    expect(facts).to.deep.equal([failing('no pod was made within 60 s')]);
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await quiet();
    expect(facts.at(-1), 'other pods are wanted').to.deep.equal(failing(null));
    pods.pod(host, 'pod-1');
    await clock.advance(60_000);
    await quiet();
    const late = 'pod pod-1 is Running and was not ready within 60 s; its log says why';
    expect(facts.at(-1)).to.deep.equal(failing(late));
    pods.ready(host, 2);
    await quiet();
    facts.length = 0;
    pods.ready(host, 0, false);
    await clock.advance(120_000);
    await quiet();
    expect(facts).to.deep.equal([connections(0)]);
  });

  it('is patient while one pod after the other gets ready, and tells of the one that does not', async () => {
    const { facts } = await start({ place: { mode: 'pod', replicas: 4 } });
    const later = async (ms: number): Promise<void> => {
      await clock.advance(ms);
      await quiet();
    };
    for (let ready = 1; ready <= 3; ready++) {
      await later(40_000);
      pods.pod(host, `pod-${ready}`, null, null, true);
      pods.ready(host, ready, false);
      await quiet();
    }
    await later(59_000);
    expect(facts).to.deep.equal([connections(4), connections(8), connections(12)]);
    await later(1_000);
    expect(facts.at(-1)).to.deep.equal(failing('no further pod was made within 60 s'));
    pods.ready(host, 4);
    await quiet();
    expect(facts.slice(4)).to.deep.equal([connections(16), failing(null)]);
  });

  it('tells of a change that its pods cannot follow while those of before serve', async () => {
    const { facts, run } = await start();
    pods.ready(host, 2);
    await quiet();
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await quiet();
    pods.refuse(host, 'exceeded quota');
    await quiet();
    expect(facts).to.deep.equal([connections(8), failing('exceeded quota')]);
  });

  it('has Kubernetes try again within two minutes while it refuses pods, and no longer', async () => {
    await start();
    pods.writes.length = 0;
    pods.refuse(host, 'exceeded quota');
    for (let second = 0, tried = 0; second < 600; second++) {
      await clock.advance(1_000);
      if (pods.writes.length > tried) {
        tried = pods.writes.length;
        pods.ready(host, 0, false);
        await quiet();
        pods.refuse(host, 'exceeded quota');
      }
      await quiet();
    }
    expect(pods.writes.length).to.be.within(5, 10);
    expect(new Set(pods.writes)).to.deep.equal(new Set([`nudge ${host}`]));
    pods.writes.length = 0;
    pods.ready(host, 2);
    await clock.advance(600_000);
    expect(pods.writes).to.be.empty;
    pods.refuse(host, 'exceeded quota');
    await quiet();
    await clock.advance(30_000);
    expect(pods.writes, 'as soon as the first time').to.have.length(1);
  });

  it('does not take the failure of pods of an older making for one of the new', async () => {
    await start();
    pods.pod(host, 'old', 'ErrImagePull');
    await quiet();
    const { facts } = await start({ haConnections: 2 });
    expect(facts).to.be.empty;
    pods.ready(host, 0, false);
    pods.pod(host, 'new', null);
    await quiet();
    expect(facts).to.be.empty;
    pods.pod(host, 'new', 'CrashLoopBackOff');
    await quiet();
    expect(facts).to.deep.equal([failing('pod new: CrashLoopBackOff')]);
  });

  it('ends in a fault when nothing can be written and nothing serves', async () => {
    pods.failures.push(fault('kube-forbidden', 'no'));
    const { facts } = await start();
    expect(facts).to.deep.equal([{ type: 'ended', fault: fault('kube-forbidden', 'no') }]);
  });

  it('serves on and tries again when a change cannot be written', async () => {
    const { run, facts } = await start();
    pods.ready(host, 2);
    await quiet();
    pods.failures.push(fault('kube-unreachable', 'away'));
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await quiet();
    const { hash } = pods.deployments.get(pods.nameOf(host))!;
    await clock.advance(2_000);
    await quiet();
    expect(pods.deployments.get(pods.nameOf(host))!.hash).not.to.equal(hash);
    expect(facts).to.deep.equal([connections(8)]);
  });

  describe('with an Access policy', () => {
    const routes = {
      ...routesToUrl(host, 'http://10.0.0.1'),
      access: { team: 'acme', audience: ['app-1'] },
    };
    const access = (problem: string | null) => ({ type: 'access', problem });

    it('asks the pods whether they can let anybody in, and tells what changes', async () => {
      const { facts, run } = await start({ routes });
      pods.ready(host, 2);
      await quiet();
      facts.length = 0;
      pods.pod(host, 'pod-1', null, '10.2.0.1');
      pods.pod(host, 'pod-2', null, '10.2.0.2');
      pods.problems.set('10.2.0.1', null).set('10.2.0.2', 'no keys');
      await clock.advance(1_000);
      await quiet();
      expect(facts).to.deep.equal([access('no keys')]);
      await clock.advance(60_000);
      await quiet();
      expect(facts, 'once').to.have.length(1);
      expect(pods.asked.length).to.be.above(4);
      pods.problems.clear();
      await clock.advance(30_000);
      await quiet();
      expect(facts, 'who cannot be asked has said nothing').to.have.length(1);
      pods.problems.set('10.2.0.1', null);
      await clock.advance(30_000);
      await quiet();
      expect(facts.at(-1)).to.deep.equal(access(null));
      pods.problems.set('10.2.0.1', 'no keys again');
      await clock.advance(30_000);
      run.updateRoutes(routesToUrl(host, 'http://10.0.0.1'));
      await clock.advance(30_000);
      await quiet();
      expect(facts.slice(-2), 'a policy that is gone has no problem').to.deep.equal([
        access('no keys again'),
        access(null),
      ]);
      const { length } = pods.asked;
      await clock.advance(120_000);
      expect(pods.asked).to.have.length(length);
    });

    it('asks also while pods keep changing', async () => {
      await start({ routes });
      for (let pod = 1; pod <= 4; pod++) {
        pods.pod(host, `pod-${pod}`, null, `10.2.0.${pod}`);
        await clock.advance(400);
      }
      expect(pods.asked).not.to.be.empty;
    });

    it('leaves that to the leader', async () => {
      await runner.close();
      const leadership = new ScriptedLeadership();
      leadership.isLeading = false;
      runner = create(leadership);
      await start({ routes });
      pods.pod(host, 'pod-1', null, '10.2.0.1');
      await clock.advance(60_000);
      expect(pods.asked).to.be.empty;
    });
  });

  it('asks no pod that is ready of a tunnel that everybody may come to', async () => {
    await start();
    pods.pod(host, 'pod-1', null, '10.2.0.1', true);
    await clock.advance(60_000);
    expect(pods.asked).to.be.empty;
  });

  it('tells how the edge refuses pods that are not ready, until they are or others are wanted', async () => {
    const { run, facts } = await start();
    pods.ready(host, 0, false);
    pods.pod(host, 'pod-1', null, '10.2.0.1');
    pods.pod(host, 'pod-2', null, '10.2.0.2');
    const refusal = fault('edge-unauthorized', 'Unauthorized: Invalid tunnel secret');
    pods.problems.set('10.2.0.1', null).set('10.2.0.2', refusal);
    await clock.advance(31_500);
    const lost = { type: 'lost', connIndex: 2, fault: refusal };
    const told = () => facts.filter(({ type }) => type === 'lost');
    expect(told(), 'each attempt once, however often it is looked at').to.deep.equal([lost]);
    pods.attempts.set('10.2.0.2', 4);
    await clock.advance(20_000);
    expect(told()).to.deep.equal([lost, lost, lost, lost]);
    pods.attempts.set('10.2.0.2', 1);
    await clock.advance(20_000);
    expect(told(), 'of a process that has begun anew').to.have.length(5);
    pods.attempts.set('10.2.0.2', 10 ** 15);
    await clock.advance(20_000);
    expect(told()).to.have.length(13);
    pods.pod(host, 'pod-2', null, '10.2.0.2', true);
    pods.attempts.set('10.2.0.2', 1);
    await clock.advance(60_000);
    expect(told()).to.have.length(13);
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await quiet();
    const { length } = pods.asked;
    await clock.advance(60_000);
    expect(pods.asked).to.have.length(length);
  });

  it('says when it cannot know the image', async () => {
    image = failed('config-invalid', 'no image');
    const { facts } = await start();
    expect(facts).to.deep.equal([{ type: 'ended', fault: fault('config-invalid', 'no image') }]);
  });

  describe('clears a host of pods that no run has', () => {
    it('from an earlier process, also before those are known', async () => {
      await start();
      await runner.close();
      runner = create();
      runner.clear(host);
      await runner.open();
      await quiet();
      expect(pods.deployments.size).to.equal(0);
    });

    it('of a run that ended in a fault', async () => {
      const { run, told } = await start();
      pods.failures.push(fault('kube-refused', 'no'));
      run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
      await quiet();
      expect(told()).to.deep.equal({ type: 'ended', fault: fault('kube-refused', 'no') });
      runner.clear(host);
      await quiet();
      expect(pods.deployments.size).to.equal(0);
    });

    it('and does not watch where there is nothing', async () => {
      await runner.open();
      runner.clear(host);
      await quiet();
      expect(pods.isWatched).to.equal(false);
    });
  });

  it('tries again at once when it leads again, however long writes had failed', async () => {
    const leadership = new ScriptedLeadership();
    await runner.close();
    runner = create(leadership);
    const { run } = await start();
    pods.ready(host, 2);
    await quiet();
    pods.writes.length = 0;
    const away = { code: 'kube-unreachable', message: 'away' } as const;
    pods.failures.push(...Array.from({ length: 8 }, () => away));
    run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
    await clock.advance(100_000);
    expect(pods.writes).to.have.length(8);
    leadership.isLeading = false;
    leadership.isLeading = true;
    await quiet();
    expect(pods.writes).to.have.length(9);
  });

  it('only looks while another one leads, and acts from when it does itself', async () => {
    const hearers = new Set<(isLeading: boolean) => void>();
    const leadership = {
      isLeading: false,
      onChange: (hear: (isLeading: boolean) => void) => {
        hearers.add(hear);
        return () => void hearers.delete(hear);
      },
    };
    await start();
    pods.ready(host, 2);
    await runner.close();
    pods.writes.length = 0;
    runner = create(leadership);
    const { facts, run } = await start({ haConnections: 1 });
    expect(facts).to.deep.equal([connections(2)]);
    expect(pods.writes).to.be.empty;
    leadership.isLeading = true;
    for (const hear of hearers) hear(true);
    await quiet();
    expect(pods.writes).to.deep.equal([`apply ${host}`]);
    leadership.isLeading = false;
    run.stop();
    await quiet();
    expect(facts.at(-1)).to.deep.equal(ended);
    expect(pods.writes).to.have.length(1);
    await runner.close();
    expect(hearers.size).to.equal(0);
  });
});
