import { readFile } from 'node:fs/promises';
import type { Replica } from './replica.ts';
import { readSmaps } from './resident.ts';

/** What a controller's process holds at one moment, garbage collected in all of its threads; MiB or pieces. */
export interface Sample {
  readonly ms: number;
  /** Numbers of the worker threads. */
  readonly threads: readonly number[];
  /** Used heap of the main thread. */
  readonly heapMib: number;
  /** Used heap of a worker thread, on average. */
  readonly threadHeapMib: number;
  /** What JavaScript holds outside of its heaps, of all threads: buffers above all. */
  readonly externalMib: number;
  /** Resident in glibc's heap and arenas: TLS, libuv, V8 itself, and what is free there and not given back. */
  readonly mallocMib: number;
  readonly rssMib: number;
  readonly descriptors: number;
  /** Of the main thread. */
  readonly timers: number;
}

export type Measure = Exclude<keyof Sample, 'ms' | 'threads'>;

const mib = 2 ** 20;

/** From outside: by the inspector and by /proc, so Linux only. */
export async function sampled(replica: Replica, nowMs: number): Promise<Sample> {
  const [main, ...workers] = await replica.process.threadMemory();
  const { pid } = replica.process.view();
  const resident = readSmaps(await readFile(`/proc/${pid}/smaps`, 'utf8'));
  const open = await replica.descriptors();
  const sum = (of: readonly number[]): number => of.reduce((total, value) => total + value, 0);
  return {
    ms: Math.round(nowMs),
    threads: workers.map(({ thread }) => thread),
    heapMib: main!.heapUsedBytes / mib,
    threadHeapMib: sum(workers.map(({ heapUsedBytes }) => heapUsedBytes)) / mib / Math.max(1, workers.length),
    externalMib: sum([main!, ...workers].map(({ externalBytes }) => externalBytes)) / mib,
    mallocMib: resident.malloc / mib,
    rssMib: resident.rss / mib,
    descriptors: sum([...open.values()]),
    timers: main!.resources.Timeout ?? 0,
  };
}
