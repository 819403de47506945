import { setTimeout as sleep } from 'node:timers/promises';
import { listThreads } from '../../src/sandbox/inspector.ts';
import { breakThread } from '../../src/sandbox/thread-faults.ts';
import { threadTimesUs } from '../process-usage.ts';
import { Absences, quantile } from './absences.ts';
import { firstPath } from './manifests.ts';
import type { ScaleOptions } from './options.ts';
import type { Settlement } from './settlement.ts';
import { until, type Visitors } from './visitors.ts';

/** What the end of one thread, or of several, costs. Times are milliseconds. */
export interface ThreadDeath {
  readonly lost: number;
  /** From the first connection that the edge saw go with a thread until those of this thread are back. */
  readonly halfMs: number | null;
  /** 99 of 100. */
  readonly nearlyAllMs: number | null;
  readonly allMs: number | null;
  /** Into quarantine, or out of it: they take leave, and come from another thread. */
  readonly moved: number;
  readonly movedHalfMs: number | null;
  readonly movedAllMs: number | null;
  /** Until what was lost is back: of the controller's threads that live, and of this process, which is the edge, the APIs and the visitors; 0 where unknown. */
  readonly cpuMs: number;
  readonly worldCpuMs: number;
  /** From before the death until nothing moves any more. */
  readonly requests: number;
  /** Failed, and had begun before a thread's end. */
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
/** So long nothing has come or gone: parts are moved in steps of a second. */
const restMs = 3_000;

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
  const absences = new Absences();
  const diedAtMs: number[] = [];
  /** A thread was told to end, and nothing of it was seen to go yet. */
  let isDue = false;
  let changedAtMs = 0;
  const cpus = [controller.pid, process.pid].map((pid) => new CpuOfThreads(pid));
  world.onConnection = (change, connection) => {
    const nowMs = performance.now();
    changedAtMs = nowMs;
    if (change !== 'lost') return absences[change](connection, nowMs);
    if (diedAtMs.length === 0) for (const cpu of cpus) cpu.begin();
    if (isDue) diedAtMs.push(nowMs);
    isDue = false;
    absences.lost(connection, diedAtMs.at(-1) ?? nowMs);
  };
  const failed: { readonly sinceMs: number; readonly atMs: number }[] = [];
  let requests = 0;
  let visiting = true;
  const visit = async (from: number): Promise<void> => {
    await sleep((from / visitors) * visitEveryMs);
    for (let index = from; visiting; index += visitors) {
      const sinceMs = performance.now();
      const due = sleep(visitEveryMs);
      const answer = await visits.get(names[index % names.length]!, firstPath).catch(() => null);
      requests += 1;
      if (answer?.status !== 200) failed.push({ sinceMs, atMs: performance.now() });
      await due;
    }
  };
  const underWay = Array.from({ length: visitors }, (_, index) => visit(index));
  await sleep(beforeMs);
  for (let ended = 0; ended < deaths; ended++) {
    if (ended > 0) await sleep(apartMs);
    isDue = true;
    await endThread(controller.inspectorUrl);
    changedAtMs = performance.now();
  }
  const isAtRest = (): boolean => performance.now() - changedAtMs > restMs;
  await until('what was lost is back', () => absences.missing === 0 && (!isDue || isAtRest()));
  const [cpuMs = 0, worldCpuMs = 0] = cpus.map((cpu) => cpu.ms);
  await until('nothing moves any more', () => world.connections() === whole && isAtRest());
  visiting = false;
  await Promise.all(underWay);
  world.onConnection = () => {};
  const { lostForMs, movedForMs } = absences;
  const wereInFlight = failed.filter(({ sinceMs, atMs }) =>
    diedAtMs.some((diedMs) => sinceMs <= diedMs && diedMs <= atMs),
  );
  return {
    lost: lostForMs.length,
    halfMs: quantile(lostForMs, 0.5),
    nearlyAllMs: quantile(lostForMs, 0.99),
    allMs: quantile(lostForMs, 1),
    moved: movedForMs.length,
    movedHalfMs: quantile(movedForMs, 0.5),
    movedAllMs: quantile(movedForMs, 1),
    requests,
    cpuMs,
    worldCpuMs,
    failedInFlight: wereInFlight.length,
    failedLater: failed.length - wereInFlight.length,
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
