import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from './campaign.ts';
import { inputOf } from './target.ts';
import { targets } from './targets.ts';

/** What `fuzz/thread.ts` starts: one target, case after case, in a thread that can be ended when a case hangs. */
export interface FuzzOrder {
  readonly target: string;
  readonly seed: number;
  /** Two numbers: the case at hand, and 1 as soon as it is enough. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

/** The one message that comes back. `why` null: nothing was found in `cases` cases. */
export interface FuzzReport {
  readonly cases: number;
  readonly why: string | null;
}

/** Cases between two looks at whether it is enough. */
const casesPerTurn = 64;

const { target: name, seed, progress } = workerData as FuzzOrder;
const target = targets.find((one) => one.name === name);
if (target === undefined) throw new Error(`there is no target ${name}`);

let cases = 0;
let why: string | null = null;
while (why === null && Atomics.load(progress, 1) === 0) {
  for (let left = casesPerTurn; left > 0 && why === null; left -= 1) {
    Atomics.store(progress, 0, cases);
    why = await failureOf(target, inputOf(target, seed, cases));
    cases += 1;
  }
  await new Promise((resolve) => setImmediate(resolve));
}
parentPort?.postMessage({ cases, why } satisfies FuzzReport);
