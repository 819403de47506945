import { WebSocket } from 'ws';
import { z } from 'zod';

export interface ThreadView {
  /** As the process itself numbers its threads; 0 is the main thread. */
  readonly thread: number;
  readonly title: string;
  readonly url: string;
}

export const mainThread: ThreadView = { thread: 0, title: 'main thread', url: '' };
const answerLimitMs = 5_000;

const messageShape = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
});
const receivedShape = z.object({ sessionId: z.string(), message: z.string() });
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

export interface Inspector {
  readonly workers: readonly { readonly sessionId: string; readonly view: ThreadView }[];
  /** To the main thread; gives the result. */
  send(method: string, params: object): Promise<unknown>;
  /** To one worker thread; nobody waits for its answer. */
  sendTo(sessionId: string, method: string, params: object): Promise<void>;
  /** To one worker thread; gives the result, and never settles by itself where the thread is no more. */
  ask(sessionId: string, method: string, params: object): Promise<unknown>;
}

/** Where the inspector of a process listens, from what it wrote to stderr; undefined before it does. */
export function inspectorUrlIn(written: string): string | undefined {
  return /^Debugger listening on (ws:\S+)$/m.exec(written)?.[1];
}

/** Attaches for no longer than `act` takes: a process with an inspector attached does not exit. */
export async function withInspector<T>(
  url: string,
  act: (inspector: Inspector) => Promise<T>,
  limitMs = answerLimitMs,
): Promise<T> {
  const socket = new WebSocket(url, { handshakeTimeout: limitMs, perMessageDeflate: false });
  const waiting = new Map<number, (result: unknown) => void>();
  /** The same for workers, by session and id. */
  const asked = new Map<string, (result: unknown) => void>();
  const workers: { sessionId: string; view: ThreadView }[] = [];
  const failed = Promise.withResolvers<never>();
  // Whoever waits hears of it; when nobody does, it is of no interest.
  failed.promise.catch(() => {});
  socket.on('error', (error) => failed.reject(error));
  socket.on('close', () => failed.reject(new Error('the inspector went away')));
  socket.on('message', (text) => {
    const message = messageShape.safeParse(JSON.parse(String(text)));
    if (!message.success) return;
    const { id, method, params, result } = message.data;
    if (id !== undefined) waiting.get(id)?.(result);
    if (method === 'NodeWorker.receivedMessageFromWorker') {
      const received = receivedShape.parse(params);
      const answer = messageShape.parse(JSON.parse(received.message));
      asked.get(`${received.sessionId} ${answer.id}`)?.(answer.result);
    }
    if (method !== 'NodeWorker.attachedToWorker') return;
    const { sessionId, workerInfo } = attachedShape.parse(params);
    workers.push({ sessionId, view: viewOf(workerInfo) });
  });
  const limit = setTimeout(() => failed.reject(new Error('the inspector does not answer')), limitMs);
  let lastId = 0;
  const send = (method: string, params: object): Promise<unknown> => {
    const id = ++lastId;
    const answered = new Promise<unknown>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    return Promise.race([answered, failed.promise]);
  };
  const sendTo = async (sessionId: string, method: string, params: object, id = ++lastId): Promise<void> => {
    const message = JSON.stringify({ id, method, params });
    await send('NodeWorker.sendMessageToWorker', { sessionId, message });
  };
  const ask = async (sessionId: string, method: string, params: object): Promise<unknown> => {
    const id = ++lastId;
    const answered = new Promise<unknown>((resolve) => asked.set(`${sessionId} ${id}`, resolve));
    await sendTo(sessionId, method, params, id);
    return Promise.race([answered, failed.promise]);
  };
  try {
    await Promise.race([new Promise((resolve) => socket.once('open', resolve)), failed.promise]);
    // Its answer comes after one `attachedToWorker` for each thread that there is.
    await send('NodeWorker.enable', { waitForDebuggerOnStart: false });
    workers.sort((one, other) => one.view.thread - other.view.thread);
    return await act({ workers, send, sendTo, ask });
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
