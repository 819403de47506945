import type { Clock } from '../time/clock.ts';

/** A signal that follows another one and also aborts by itself when its time is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Counts the whole time, or another one with its own reason, from now on. */
  restart(delayMs?: number, reason?: Error): void;
  /** No end by time any more; the outer signal is still followed. */
  disarm(): void;
  /** Ends both. The owner calls it on every path; idempotent. */
  release(): void;
}

/** `reason` is what the signal is aborted with when the time is over. */
export function deadline(clock: Clock, delayMs: number, outer: AbortSignal, reason: Error): Deadline {
  const controller = new AbortController();
  const follow = (): void => controller.abort(outer.reason);
  const arm = (ms: number, why: Error) => clock.after(ms, () => controller.abort(why));
  let timer = arm(delayMs, reason);
  const disarm = (): void => timer.cancel();
  if (outer.aborted) follow();
  else outer.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    restart(ms = delayMs, why = reason) {
      timer.cancel();
      timer = arm(ms, why);
    },
    disarm,
    release() {
      timer.cancel();
      outer.removeEventListener('abort', follow);
    },
  };
}
