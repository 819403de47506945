import { expect } from 'chai';
import { ok } from '../../src/fault.ts';
import type { PodAnswer } from '../../src/kube/pods/ask-pod.ts';
import { PodQuestions } from '../../src/runners/pod-questions.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

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
  questions.changed();
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
