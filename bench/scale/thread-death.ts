import { setTimeout as sleep } from 'node:timers/promises';
import { listThreads } from '../../src/sandbox/inspector.ts';
import { breakThread } from '../../src/sandbox/thread-faults.ts';
import { firstPath } from './manifests.ts';
import type { Settlement } from './settlement.ts';
import { until, type Visitors } from './visitors.ts';

/** What the end of one thread costs. Times are milliseconds from the first connection that the edge saw go. */
export interface ThreadDeath {
  readonly lost: number;
  readonly halfMs: number;
  /** 99 of 100. */
  readonly nearlyAllMs: number;
  readonly allMs: number;
  /** From before the death until all connections were back. */
  readonly requests: number;
  /** Failed, and had begun when the first connection went. */
  readonly failedInFlight: number;
  readonly failedLater: number;
}

/** So many requests are under way all the while, each for another host. */
const visitorsAtOnce = 8;
const visitPauseMs = 5;
const beforeMs = 1_000;
const afterMs = 1_000;

/** Ends the first worker thread of the controller, which is idle and whole, while its hosts are visited. */
export async function measureThreadDeath(
  world: Settlement,
  visitors: Visitors,
  names: readonly string[],
  inspectorUrl: string,
): Promise<ThreadDeath> {
  const whole = world.connections();
  const backAtMs: number[] = [];
  let lost = 0;
  let diedAtMs: number | null = null;
  world.onConnection = (change) => {
    const nowMs = performance.now();
    if (change === 'opened') backAtMs.push(nowMs);
    else {
      lost += 1;
      diedAtMs ??= nowMs;
    }
  };
  const failedSinceMs: number[] = [];
  let requests = 0;
  let visiting = true;
  const visit = async (from: number): Promise<void> => {
    for (let index = from; visiting; index += visitorsAtOnce) {
      const sinceMs = performance.now();
      const answer = await visitors.get(names[index % names.length]!, firstPath).catch(() => null);
      requests += 1;
      if (answer?.status !== 200) failedSinceMs.push(sinceMs);
      await sleep(visitPauseMs);
    }
  };
  const visits = Array.from({ length: visitorsAtOnce }, (_, index) => visit(index));
  await sleep(beforeMs);
  const worker = (await listThreads(inspectorUrl)).find(({ thread }) => thread !== 0);
  if (worker === undefined) throw new Error('the controller has no thread besides its own');
  await breakThread(inspectorUrl, worker.thread, 'exit');
  await until('the thread is gone', () => diedAtMs !== null);
  await until('its connections are back', () => world.connections() === whole);
  await sleep(afterMs);
  visiting = false;
  await Promise.all(visits);
  world.onConnection = () => {};
  const inFlight = failedSinceMs.filter((sinceMs) => sinceMs <= diedAtMs!);
  const backMs = (share: number): number => backAtMs[Math.ceil(lost * share) - 1]! - diedAtMs!;
  return {
    ...{ lost, halfMs: backMs(0.5), nearlyAllMs: backMs(0.99), allMs: backMs(1), requests },
    ...{ failedInFlight: inFlight.length, failedLater: failedSinceMs.length - inFlight.length },
  };
}
