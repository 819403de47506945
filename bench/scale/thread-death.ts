import { setTimeout as sleep } from 'node:timers/promises';
import { listThreads } from '../../src/sandbox/inspector.ts';
import { breakThread } from '../../src/sandbox/thread-faults.ts';
import { threadTimesUs } from '../process-usage.ts';
import { firstPath } from './manifests.ts';
import type { ScaleOptions } from './options.ts';
import type { Settlement } from './settlement.ts';
import { until, type Visitors } from './visitors.ts';

/** What the end of one thread, or of several, costs. Times are milliseconds from the first connection that the edge saw go. */
export interface ThreadDeath {
  readonly lost: number;
  readonly halfMs: number;
  /** 99 of 100. */
  readonly nearlyAllMs: number;
  readonly allMs: number;
  /** Until then: of the controller's threads that live, and of this process, which is the edge, the APIs and the visitors; 0 where unknown. */
  readonly cpuMs: number;
  readonly worldCpuMs: number;
  /** From before the death until all connections were back. */
  readonly requests: number;
  /** Failed, and had begun when the first connection went. */
  readonly failedInFlight: number;
  readonly failedLater: number;
}

/**
 * A hundred requests a second at most, each for another host: as many as the machine can answer take more of the edge's
 * one thread than the connections do.
 */
const visitors = 8;
const visitEveryMs = 80;
const beforeMs = 1_000;
const afterMs = 1_000;

/**
 * Ends the first worker thread of the controller, which is idle and whole, and then one after the other, while its
 * hosts are visited.
 */
export async function measureThreadDeath(
  world: Settlement,
  visits: Visitors,
  names: readonly string[],
  controller: { readonly pid: number; readonly inspectorUrl: string },
  { deaths, apartMs }: Pick<ScaleOptions, 'deaths' | 'apartMs'>,
): Promise<ThreadDeath> {
  const whole = world.connections();
  const backAtMs: number[] = [];
  let lost = 0;
  let diedAtMs: number | null = null;
  const cpus = [controller.pid, process.pid].map((pid) => new CpuOfThreads(pid));
  world.onConnection = (change) => {
    const nowMs = performance.now();
    if (change === 'opened') backAtMs.push(nowMs);
    else {
      lost += 1;
      if (diedAtMs !== null) return;
      diedAtMs = nowMs;
      for (const cpu of cpus) cpu.begin();
    }
  };
  const failedSinceMs: number[] = [];
  let requests = 0;
  let visiting = true;
  const visit = async (from: number): Promise<void> => {
    await sleep((from / visitors) * visitEveryMs);
    for (let index = from; visiting; index += visitors) {
      const sinceMs = performance.now();
      const due = sleep(visitEveryMs);
      const answer = await visits.get(names[index % names.length]!, firstPath).catch(() => null);
      requests += 1;
      if (answer?.status !== 200) failedSinceMs.push(sinceMs);
      await due;
    }
  };
  const underWay = Array.from({ length: visitors }, (_, index) => visit(index));
  await sleep(beforeMs);
  await endThread(controller.inspectorUrl);
  await until('the thread is gone', () => diedAtMs !== null);
  for (let ended = 1; ended < deaths; ended++) {
    await sleep(apartMs);
    await endThread(controller.inspectorUrl);
  }
  await until('its connections are back', () => world.connections() === whole);
  const [cpuMs = 0, worldCpuMs = 0] = cpus.map((cpu) => cpu.ms);
  await sleep(afterMs);
  visiting = false;
  await Promise.all(underWay);
  world.onConnection = () => {};
  const inFlight = failedSinceMs.filter((sinceMs) => sinceMs <= diedAtMs!);
  const backMs = (share: number): number => backAtMs[Math.ceil(lost * share) - 1]! - diedAtMs!;
  return {
    ...{
      lost,
      halfMs: backMs(0.5),
      nearlyAllMs: backMs(0.99),
      allMs: backMs(1),
      requests,
      cpuMs,
      worldCpuMs,
    },
    ...{ failedInFlight: inFlight.length, failedLater: failedSinceMs.length - inFlight.length },
  };
}

async function endThread(inspectorUrl: string): Promise<void> {
  // On a machine that is busy enough the inspector does not answer in time.
  await until('a thread is told to end', async () => {
    const threads = await listThreads(inspectorUrl).catch(() => null);
    if (threads === null) return false;
    const worker = threads.find(({ thread }) => thread !== 0);
    if (worker === undefined) throw new Error('the controller has no thread besides its own');
    return breakThread(inspectorUrl, worker.thread, 'exit').catch(() => false);
  });
}

/** What the threads of a process that live have used since it began to count. */
class CpuOfThreads {
  readonly #pid: number;
  #before: ReadonlyMap<string, number> | null = null;

  constructor(pid: number) {
    this.#pid = pid;
  }

  begin(): void {
    this.#before = threadTimesUs(this.#pid);
  }

  get ms(): number {
    const before = this.#before;
    const now = threadTimesUs(this.#pid);
    if (before === null || now === null) return 0;
    return [...now].reduce((sum, [thread, us]) => sum + us - (before.get(thread) ?? 0), 0) / 1_000;
  }
}
