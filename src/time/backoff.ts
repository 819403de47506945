/**
 * Exponential backoff with a cap and jitter. Pure: the attempt and the random number come from the caller.
 * Half of the delay is fixed and half is random ("equal jitter"), so a first retry is never at once and a
 * thousand peers that fail together do not return together.
 */
export interface Backoff {
  /** Upper bound of the first delay, milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every delay, milliseconds. */
  readonly capMs: number;
  /** The attempt counter starts again only after this long without a failure, milliseconds. */
  readonly healthyAfterMs: number;
}

/** Delay before attempt `attempt` (0 is the first retry), in whole milliseconds, as logs show it. `random` is in [0, 1). */
export function backoffDelayMs(backoff: Backoff, attempt: number, random: number): number {
  const ceilingMs = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceilingMs / 2 + (ceilingMs / 2) * random);
}
