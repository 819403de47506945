import { WebSocket } from 'ws';
import { z } from 'zod';

/** How a thread of another process can be made to fail. */
export const threadFaults = {
  exit: 'process.exit(1)',
  throw: `void setTimeout(() => { throw new Error('thrown on purpose by the sandbox'); })`,
  spin: 'void setTimeout(() => { for (;;); })',
  exhaust:
    'void setTimeout(() => { const kept = []; for (;;) kept.push(new Array(100_000).fill(kept.length)); })',
} as const;

export type ThreadFault = keyof typeof threadFaults;

export interface ThreadView {
  /** As the process itself numbers its threads; 0 is the main thread. */
  readonly thread: number;
  readonly title: string;
  readonly url: string;
}

const mainThread: ThreadView = { thread: 0, title: 'main thread', url: '' };
const answerLimitMs = 5_000;

const messageShape = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
});
const attachedShape = z.object({
  sessionId: z.string(),
  workerInfo: z.object({ workerId: z.string(), title: z.string(), url: z.string() }),
});

/** The worker threads of a Node.js process whose inspector listens at `inspectorUrl`, the main thread first. */
export function listThreads(inspectorUrl: string): Promise<ThreadView[]> {
  return withInspector(inspectorUrl, async (inspector) => [
    mainThread,
    ...inspector.workers.map(({ view }) => view),
  ]);
}

/**
 * Lets a thread run into its end. The process learns of it only by what happens: nothing in it knows of the
 * sandbox. False when there is no such thread.
 */
export function breakThread(inspectorUrl: string, thread: number, fault: ThreadFault): Promise<boolean> {
  const evaluate = { method: 'Runtime.evaluate', params: { expression: threadFaults[fault] } };
  return withInspector(inspectorUrl, async (inspector) => {
    if (thread === mainThread.thread) {
      // `process.exit` in the main thread gives no answer any more.
      await inspector.send(evaluate.method, evaluate.params).catch(() => {});
      return true;
    }
    const worker = inspector.workers.find(({ view }) => view.thread === thread);
    if (worker === undefined) return false;
    const message = JSON.stringify({ id: 1, ...evaluate });
    await inspector.send('NodeWorker.sendMessageToWorker', { sessionId: worker.sessionId, message });
    return true;
  });
}

interface Inspector {
  readonly workers: readonly { readonly sessionId: string; readonly view: ThreadView }[];
  send(method: string, params: object): Promise<void>;
}

/** Attaches for no longer than `act` takes: a process with an inspector attached does not exit. */
async function withInspector<T>(url: string, act: (inspector: Inspector) => Promise<T>): Promise<T> {
  const socket = new WebSocket(url, { handshakeTimeout: answerLimitMs, perMessageDeflate: false });
  const waiting = new Map<number, () => void>();
  const workers: { sessionId: string; view: ThreadView }[] = [];
  const failed = Promise.withResolvers<never>();
  // Whoever waits hears of it; when nobody does, it is of no interest.
  failed.promise.catch(() => {});
  socket.on('error', (error) => failed.reject(error));
  socket.on('close', () => failed.reject(new Error('the inspector went away')));
  socket.on('message', (text) => {
    const message = messageShape.safeParse(JSON.parse(String(text)));
    if (!message.success) return;
    const { id, method, params } = message.data;
    if (id !== undefined) waiting.get(id)?.();
    if (method !== 'NodeWorker.attachedToWorker') return;
    const { sessionId, workerInfo } = attachedShape.parse(params);
    workers.push({ sessionId, view: viewOf(workerInfo) });
  });
  const limit = setTimeout(() => failed.reject(new Error('the inspector does not answer')), answerLimitMs);
  let lastId = 0;
  const send = (method: string, params: object): Promise<void> => {
    const id = ++lastId;
    const answered = new Promise<void>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    return Promise.race([answered, failed.promise]);
  };
  try {
    await Promise.race([new Promise((resolve) => socket.once('open', resolve)), failed.promise]);
    // Its answer comes after one `attachedToWorker` for each thread that there is.
    await send('NodeWorker.enable', { waitForDebuggerOnStart: false });
    workers.sort((one, other) => one.view.thread - other.view.thread);
    return await act({ workers, send });
  } finally {
    clearTimeout(limit);
    socket.terminate();
  }
}

/** The title is `[worker N] name`, N being what `threadId` is inside; `workerId` counts otherwise. */
function viewOf(info: { workerId: string; title: string; url: string }): ThreadView {
  const thread = /^\[worker (\d+)\]/.exec(info.title)?.[1] ?? info.workerId;
  return { thread: Number(thread), title: info.title, url: info.url };
}
