import { mainThread, withInspector } from './inspector.ts';

/** How a thread of another process can be made to fail. */
export const threadFaults = {
  exit: 'process.exit(1)',
  throw: `void setTimeout(() => { throw new Error('thrown on purpose by the sandbox'); })`,
  spin: 'void setTimeout(() => { for (;;); })',
  exhaust:
    'void setTimeout(() => { const kept = []; for (;;) kept.push(new Array(100_000).fill(kept.length)); })',
} as const;

export type ThreadFault = keyof typeof threadFaults;

/**
 * Lets a thread run into its end. The process learns of it only by what happens: nothing in it knows of the
 * sandbox. False when there is no such thread.
 */
export function breakThread(inspectorUrl: string, thread: number, fault: ThreadFault): Promise<boolean> {
  const expression = threadFaults[fault];
  return withInspector(inspectorUrl, async ({ workers, send, sendTo }) => {
    if (thread === mainThread.thread) {
      // `process.exit` in the main thread gives no answer any more.
      await send('Runtime.evaluate', { expression }).catch(() => {});
      return true;
    }
    const worker = workers.find(({ view }) => view.thread === thread);
    if (worker === undefined) return false;
    await sendTo(worker.sessionId, 'Runtime.evaluate', { expression });
    return true;
  });
}

/**
 * Lets the wall clock of every thread that there is differ from the machine's by so much, as after a step of NTP
 * or a wrong setting; 0 ends it. JavaScript's `Date` only: timers, monotonic time and TLS go by the machine.
 */
export function shiftWallClock(inspectorUrl: string, shiftMs: number): Promise<void> {
  const expression = shiftedDate(shiftMs);
  return withInspector(inspectorUrl, async ({ workers, send, sendTo }) => {
    await send('Runtime.evaluate', { expression });
    for (const { sessionId } of workers) await sendTo(sessionId, 'Runtime.evaluate', { expression });
  });
}

/** `Date` as it was is kept under a symbol, so that shifts replace each other instead of adding up. */
function shiftedDate(shiftMs: number): string {
  return `{
    const kept = Symbol.for('the clock as it was');
    const Real = (globalThis[kept] ??= Date);
    const now = () => Real.now() + ${shiftMs};
    globalThis.Date = ${shiftMs} === 0 ? Real : new Proxy(Real, {
      construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
      apply: () => new Real(now()).toString(),
      get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    });
  }`;
}
