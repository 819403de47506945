import type { ControllerProcess } from '../src/sandbox/controller-process.ts';
import type { ThreadFault } from '../src/sandbox/thread-faults.ts';
import type { Act, Begin } from './act.ts';

/* What is done to the controllers' processes and their threads. */

/** Until a thread that spins or fills its heap is given up, at most; then the fault counts as over all the same. */
const threadLimitMs = 30_000;

export async function terminate(process: ControllerProcess): Promise<Act | null> {
  if (process.view().state !== 'running') return null;
  await process.stop();
  return { end: () => process.start() };
}

export async function kill(process: ControllerProcess): Promise<Act | null> {
  if (process.view().state !== 'running') return null;
  await process.kill();
  return {};
}

/** While nobody leads there is nobody to break. */
export function ofLeader(act: (process: ControllerProcess) => Promise<Act | null> | Act): Begin {
  return async ({ replicas }) => {
    for (const replica of replicas) {
      if (replica.process.view().state === 'running' && (await replica.leads())) return act(replica.process);
    }
    return null;
  };
}

/** Breaks one of the worker threads; it hits until the controller has said that this thread is lost. */
export function breaksThread(fault: ThreadFault, code: string): Begin {
  return async (arena, { pick }) => {
    const replica = arena.replicas[pick % arena.replicas.length]!;
    const listed = await replica.process.threads().catch(() => []);
    const threads = listed.filter(({ thread }) => thread > 0);
    const chosen = threads[pick % Math.max(1, threads.length)];
    if (chosen === undefined) return null;
    const lost = Promise.withResolvers<void>();
    const stopListening = replica.onLine((line) => {
      if (line.includes('"thread lost"') && line.includes(code)) lost.resolve();
    });
    const limit = setTimeout(lost.resolve, threadLimitMs);
    const wasThere = await replica.process.breakThread(chosen.thread, fault).catch(() => false);
    if (!wasThere) lost.resolve();
    const hit = lost.promise.then(() => {
      clearTimeout(limit);
      stopListening();
    });
    return wasThere ? { hit } : null;
  };
}

export function shiftsClock(shiftMs: number): Begin {
  return async ({ replicas }, { pick }) => {
    const { process } = replicas[pick % replicas.length]!;
    const shift = (ms: number): Promise<boolean> =>
      process.shiftWallClock(ms).then(
        () => true,
        // Not running, or ended meanwhile: a new one has the right time.
        () => false,
      );
    return (await shift(shiftMs)) ? { end: async () => void (await shift(0)) } : null;
  };
}
