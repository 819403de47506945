import { z } from 'zod';
import { type Inspector, mainThread, type ThreadView, withInspector } from './inspector.ts';

/** For the collection of garbage in many threads, on a machine that is busy. */
const collectionLimitMs = 30_000;

const shape = z.object({
  rssBytes: z.number(),
  heapUsedBytes: z.number(),
  /** What the heap has taken from the system, used or not. */
  heapTotalBytes: z.number(),
  externalBytes: z.number(),
  /** Part of the external ones. */
  arrayBufferBytes: z.number(),
  /** What keeps its event loop alive, by kind, as Node.js names them: `Timeout`, `TCPSocketWrap`, … */
  resources: z.record(z.string(), z.number()),
});

/** `rssBytes` is the whole process', the rest its main thread's. */
export type ProcessMemory = z.infer<typeof shape>;
/** The same of any thread. */
export type ThreadMemory = ThreadView & ProcessMemory;

const expression = `(() => {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { rssBytes: rss, heapUsedBytes: heapUsed, heapTotalBytes: heapTotal, externalBytes: external,
    arrayBufferBytes: arrayBuffers, resources };
})()`;

/** Collects garbage first: what is left is held by somebody. */
export function readMemory(inspectorUrl: string): Promise<ProcessMemory> {
  return withInspector(inspectorUrl, ({ send }) => memoryOf(send));
}

/** Of each thread, the main thread first, once garbage is collected in all of them. */
export function readThreadMemory(inspectorUrl: string): Promise<readonly ThreadMemory[]> {
  const read = async ({ workers, send, ask }: Inspector): Promise<readonly ThreadMemory[]> => {
    const main = { ...mainThread, ...(await memoryOf(send)) };
    const others: ThreadMemory[] = [];
    for (const { sessionId, view } of workers) {
      const memory = await memoryOf((method, params) => ask(sessionId, method, params));
      others.push({ ...view, ...memory });
    }
    return [main, ...others];
  };
  return withInspector(inspectorUrl, read, collectionLimitMs);
}

async function memoryOf(ask: (method: string, params: object) => Promise<unknown>): Promise<ProcessMemory> {
  await ask('HeapProfiler.collectGarbage', {});
  const evaluated = await ask('Runtime.evaluate', { expression, returnByValue: true });
  return z.object({ result: z.object({ value: shape }) }).parse(evaluated).result.value;
}
