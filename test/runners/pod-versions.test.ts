import { expect } from 'chai';
import type { RunFact, TunnelRun, TunnelRunRequest } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { ok } from '../../src/fault.ts';
import { PodRunner } from '../../src/runners/pod-runner.ts';
import { SeenDeployment } from '../../src/runners/seen-deployment.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryPods } from '../support/memory-pods.ts';
import { podRequest } from '../support/pod-request.ts';
import { podSettings } from '../support/pod-settings.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

const host = 'app.example.com';

describe('the Deployment of a tunnel, by what is told of it last', () => {
  let pods: MemoryPods;
  let runner: PodRunner;
  let clock: ManualClock;
  let told: Map<string, RunFact>;
  let run: TunnelRun;

  beforeEach(async () => {
    pods = new MemoryPods();
    pods.version = 50_000;
    told = new Map();
    clock = new ManualClock();
    const { log } = keptLog();
    runner = new PodRunner({
      ...{ pods, settings: podSettings, leadership: new ScriptedLeadership(), clock, log },
      image: async () => ok('warp:1'),
    });
    run = await start('first');
    pods.ready(host, 2);
    await quiet();
  });
  afterEach(() => runner.close());

  async function start(name: string, over: Partial<TunnelRunRequest> = {}) {
    const run = runner.start(podRequest(over), (fact) => told.set(name, fact));
    await quiet();
    return run;
  }

  async function quiet(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await settle();
  }

  const connections = (registered: number) => ({ type: 'connections', registered });

  describe('in a cluster that was restored from a backup, where versions begin lower again', () => {
    beforeEach(() => {
      pods.version = 100;
    });

    it('is as ready as its pods are', async () => {
      pods.ready(host, 1);
      await quiet();
      expect(told.get('first')).to.deep.equal(connections(4));
    });

    it('is made again when it is not there any more', async () => {
      pods.lose(host);
      await quiet();
      expect(pods.deployments.size).to.equal(1);
      pods.ready(host, 1);
      await quiet();
      expect(told.get('first')).to.deep.equal(connections(4));
    });

    it('is changed once, and the run that replaces another one counts', async () => {
      const writes = pods.writes.length;
      await start('second', { haConnections: 2 });
      pods.ready(host, 2);
      await quiet();
      expect(pods.writes).to.have.length(writes + 1);
      expect(told.get('second')).to.deep.equal(connections(4));
    });
  });

  it('is the one that a backup brings back, although we had removed that and made another one', async () => {
    const before = pods.deployments.get(pods.nameOf(host))!;
    pods.pod(host, 'drains');
    run.stop();
    await quiet();
    await start('second');
    pods.ready(host, 2);
    pods.restore({ ...before, ready: 1, resourceVersion: '100' });
    await quiet();
    expect(told.get('second')).to.deep.equal(connections(4));
  });

  it('is what a backup says also when our last write had changed nothing', () => {
    const seen = pods.deployments.get(pods.nameOf(host))!;
    const deployment = new SeenDeployment();
    deployment.told(seen);
    deployment.writing()(seen);
    const restored = { ...seen, resourceVersion: '100', ready: 1 };
    expect(deployment.told(restored)).to.equal(true);
    expect(deployment.now).to.equal(restored);
  });

  it('is not taken for what it was before our own write, which the watch tells later', async () => {
    const letGo = pods.hold();
    pods.ready(host, 1);
    await start('second', { haConnections: 2 });
    const writes = pods.writes.length;
    letGo();
    await quiet();
    expect(pods.writes).to.have.length(writes);
  });

  describe('of which a webhook takes our mark away', () => {
    let writes: number;
    beforeEach(() => {
      writes = 0;
      pods.apply = async () => {
        // An endless loop would leave the test no time to fail.
        if (++writes > 20) await new Promise(() => {});
        pods.edit(host, { stamp: writes }, { hash: '' });
        return ok(pods.deployments.get(pods.nameOf(host))!);
      };
    });

    it('is written again later and later while it serves', async () => {
      run.updateRoutes(routesToUrl(host, 'http://10.0.0.2'));
      await quiet();
      expect(writes).to.equal(1);
      await clock.advance(60_000);
      expect(writes).to.be.within(3, 8);
      expect(told.get('first')).to.deep.equal(connections(8));
    });

    it('ends the run that waits for it, and says why', async () => {
      await start('second', { haConnections: 2 });
      expect(writes, 'the other one is due as well').to.be.at.most(2);
      const end = told.get('second');
      expect(end).to.have.nested.property('fault.code', 'kube-refused');
      expect(end).to.have.nested.property('fault.message').that.contains('cloudflare-warp/wanted');
    });
  });

  it('is made again also when somebody deletes it before the answer to our write', async () => {
    const { apply } = pods;
    pods.apply = async (wanted) => {
      const answer = await apply.call(pods, wanted);
      pods.apply = apply;
      pods.lose(host);
      return answer;
    };
    await start('second', { haConnections: 2 });
    expect(pods.deployments.size).to.equal(1);
  });
});
