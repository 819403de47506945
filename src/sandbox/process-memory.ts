import { z } from 'zod';
import { withInspector } from './inspector.ts';

const shape = z.object({
  rssBytes: z.number(),
  heapUsedBytes: z.number(),
  externalBytes: z.number(),
  arrayBufferBytes: z.number(),
  /** What keeps its event loop alive, by kind, as Node.js names them: `Timeout`, `TCPSocketWrap`, … */
  resources: z.record(z.string(), z.number()),
});

/** `rssBytes` is the whole process', the rest its main thread's. */
export type ProcessMemory = z.infer<typeof shape>;

const expression = `(() => {
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external, arrayBufferBytes: arrayBuffers, resources };
})()`;

/** Collects garbage first: what is left is held by somebody. */
export function readMemory(inspectorUrl: string): Promise<ProcessMemory> {
  return withInspector(inspectorUrl, async ({ send }) => {
    await send('HeapProfiler.collectGarbage', {});
    const evaluated = await send('Runtime.evaluate', { expression, returnByValue: true });
    return z.object({ result: z.object({ value: shape }) }).parse(evaluated).result.value;
  });
}
