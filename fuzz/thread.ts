import { Worker } from 'node:worker_threads';
import { type FuzzTarget, inputOf } from './target.ts';
import type { FuzzOrder, FuzzReport } from './worker.ts';

/** A case that is at work for so long will not end. Milliseconds. */
const hangMs = 30_000;
/** Heap of the thread; a decoder that needs more for 64 KiB of input is at fault. */
const maxHeapMb = 512;
const lookEveryMs = 500;

export interface Found {
  readonly cases: number;
  /** Null when nothing was found. */
  readonly failure: { readonly input: Buffer; readonly why: string } | null;
}

/**
 * Lets one target run for `seconds` in a thread of its own: a hang and a full heap are then findings like others.
 * The thread is gone when this resolves.
 */
export async function fuzz(target: FuzzTarget, seed: number, seconds: number): Promise<Found> {
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { target: target.name, seed, progress } satisfies FuzzOrder,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  const startedMs = performance.now();
  let caseSinceMs = startedMs;
  let lastCase = 0;
  const { promise, resolve } = Promise.withResolvers<FuzzReport>();
  const broken = (why: string): void => resolve({ cases: Atomics.load(progress, 0) + 1, why });
  worker.on('message', resolve);
  worker.on('error', (error) => broken(`it ended the thread: ${(error as Error).message}`));
  worker.on('exit', (code) => broken(`it ended the thread with ${code}`));
  const looking = setInterval(() => {
    const nowMs = performance.now();
    if (nowMs - startedMs >= seconds * 1_000) Atomics.store(progress, 1, 1);
    const nowCase = Atomics.load(progress, 0);
    if (nowCase !== lastCase) {
      lastCase = nowCase;
      caseSinceMs = nowMs;
    } else if (nowMs - caseSinceMs > hangMs) broken(`it did not end within ${hangMs} ms`);
  }, lookEveryMs);
  const { cases, why } = await promise;
  clearInterval(looking);
  await worker.terminate();
  return { cases, failure: why === null ? null : { input: inputOf(target, seed, cases - 1), why } };
}
