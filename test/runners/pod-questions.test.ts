import { expect } from 'chai';
import type { RunFact } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { ok } from '../../src/fault.ts';
import type { PodAnswer } from '../../src/kube/pods/ask-pod.ts';
import { PodQuestions } from '../../src/runners/pod-questions.ts';
import { PodRunner } from '../../src/runners/pod-runner.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { MemoryPods } from '../support/memory-pods.ts';
import { podRequest } from '../support/pod-request.ts';
import { podSettings } from '../support/pod-settings.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

const fine: PodAnswer = { accessProblem: null, edgeProblem: null };

it('tunnels whose pods do not answer delay no news of others, and no more than fifty are asked side by side', async () => {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const { signal } = stopping;
  const heard: number[] = [];
  const open = new Map<string, () => void>();
  const tunnels = Array.from({ length: 120 }, (_, index) => ({
    guards: [],
    unready: [index % 10 === 0 ? `dead-${index}` : `pod-${index}`],
    hearPods: () => void heard.push(index),
  }));
  let most = 0;
  let asked = 0;
  const questions = new PodQuestions({
    clock,
    signal,
    mayAsk: () => true,
    tunnels: () => tunnels,
    ask: async (address) => {
      asked += 1;
      const answered = Promise.withResolvers<void>();
      open.set(address, answered.resolve);
      most = Math.max(most, open.size);
      if (!address.startsWith('dead')) queueMicrotask(answered.resolve);
      await answered.promise;
      open.delete(address);
      return ok(fine);
    },
  });
  for (const tunnel of tunnels) questions.changed(tunnel);
  await clock.advance(1_000);
  for (let turn = 0; turn < 20; turn++) await settle();
  expect(heard).to.have.length(108);
  expect([...open.keys()].every((address) => address.startsWith('dead'))).to.equal(true);
  expect(most).to.equal(50);
  for (const answer of open.values()) answer();
  for (let turn = 0; turn < 5; turn++) await settle();
  expect(heard).to.have.length(120);
  await clock.advance(10_000);
  expect(asked, 'all once more').to.be.above(120);
  stopping.abort();
  questions.stop();
  expect(clock.pendingTimers).to.equal(0);
});

it('the news of one tunnel has only that asked at once, and of one that is not ready only that more often', async () => {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const asked: string[] = [];
  const tunnelOf = (name: string) => ({ guards: [name], unready: [] as string[], hearPods() {} });
  const [changing, waiting, calm] = ['changing', 'waiting', 'calm'].map(tunnelOf) as [
    ReturnType<typeof tunnelOf>,
    ReturnType<typeof tunnelOf>,
    ReturnType<typeof tunnelOf>,
  ];
  waiting.unready.push('unready');
  const questions = new PodQuestions({
    clock,
    signal: stopping.signal,
    mayAsk: () => true,
    tunnels: () => [changing, waiting, calm],
    ask: async (address) => {
      asked.push(address);
      return ok(fine);
    },
  });
  for (const tunnel of [changing, waiting, calm]) questions.changed(tunnel);
  await clock.advance(1_000);
  expect(asked.splice(0)).to.have.members(['changing', 'waiting', 'unready', 'calm']);
  for (let second = 0; second < 25; second++) {
    questions.changed(changing);
    await clock.advance(1_000);
  }
  const timesOf = (address: string) => asked.filter((each) => each === address).length;
  expect(['changing', 'unready', 'calm'].map(timesOf)).to.deep.equal([25, 2, 0]);
  await clock.advance(6_000);
  expect(timesOf('calm')).to.equal(1);
  questions.stop();
  expect(clock.pendingTimers).to.equal(0);
});

it('pods of an earlier process are asked also when their tunnel begins long after they were seen', async () => {
  const pods = new MemoryPods();
  const clock = new ManualClock();
  const { log } = keptLog();
  const host = 'app.example.com';
  const routes = { ...routesToUrl(host, 'http://10.0.0.1'), access: { team: 'acme', audience: ['app'] } };
  const facts: RunFact[] = [];
  const begin = () =>
    new PodRunner({
      ...{ pods, settings: podSettings, leadership: new ScriptedLeadership(), clock, log },
      image: async () => ok('warp:1'),
    });
  const quiet = async () => {
    for (let turn = 0; turn < 10; turn++) await settle();
  };
  const before = begin();
  before.start(podRequest({ routes }), () => {});
  await quiet();
  await before.close();
  const runner = begin();
  await runner.open();
  pods.pod(host, 'pod-1', null, '10.2.0.1');
  pods.problems.set('10.2.0.1', 'no keys');
  await clock.advance(60_000);
  runner.start(podRequest({ routes }), (fact) => facts.push(fact));
  await clock.advance(1_000);
  await quiet();
  expect(facts).to.deep.include({ type: 'access', problem: 'no keys' });
  await runner.close();
  expect(clock.pendingTimers).to.equal(0);
});
