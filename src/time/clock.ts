/** A pending timer; `cancel` is idempotent and safe after it fired. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as every actor, adapter and connection sees it. Given once at the root and handed down, so that a test
 * drives hours in a millisecond.
 */
export interface Clock {
  /** Milliseconds since the epoch; for stamps, never for durations. */
  now(): number;
  /** Milliseconds from an arbitrary start that never go backwards; for durations. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs`. The caller owns the timer and cancels it when it ends. */
  after(delayMs: number, fire: () => void): Timer;
}

/** Node's longest timer; a longer wait is cut into pieces. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, fire) {
    let handle: NodeJS.Timeout;
    const arm = (remainingMs: number): void => {
      const pieceMs = Math.min(remainingMs, longestTimerMs);
      handle = setTimeout(() => (remainingMs > pieceMs ? arm(remainingMs - pieceMs) : fire()), pieceMs);
    };
    arm(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it is aborted. Leaves no timer. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
