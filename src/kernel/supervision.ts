import { type Fault, fault, unreachable } from '../fault.ts';
import { backoffDelayMs } from '../time/backoff.ts';
import type { ChildSpec, Ending } from './actor.ts';

/**
 * What a supervisor does when a child's incarnation has ended: Erlang's table of restart type and ending, then
 * intensity, then backoff. Pure; times are monotonic milliseconds.
 */

/** What is remembered of one child from one incarnation to the next. */
export interface History {
  /** When the incarnation that has now ended was started. */
  readonly startedAtMs: number;
  /** Restarts since the last lasting health. */
  readonly attempt: number;
  /** When restarts were decided, oldest first; no more than intensity asks for. */
  readonly restartsAtMs: readonly number[];
}

export type Verdict =
  | { readonly do: 'restart'; readonly delayMs: number; readonly history: History }
  | { readonly do: 'remove' }
  | { readonly do: 'escalate'; readonly fault: Fault };

/** The part of a child's spec that the decision needs. */
export type Policy = Pick<ChildSpec<never>, 'restart' | 'backoff' | 'intensity'>;

export function firstHistory(nowMs: number): History {
  return { startedAtMs: nowMs, attempt: 0, restartsAtMs: [] };
}

/** `random` is in [0, 1). The history in a `restart` is for the next incarnation, which starts after `delayMs`. */
export function decide(
  ending: Ending,
  policy: Policy,
  history: History,
  nowMs: number,
  random: number,
): Verdict {
  if (!isRestarted(policy.restart, ending)) return { do: 'remove' };
  const { backoff, intensity } = policy;
  const restarts = [...history.restartsAtMs, nowMs].filter((atMs) => nowMs - atMs < intensity.windowMs);
  const exceeded = restarts.length > intensity.maxRestarts;
  if (exceeded && intensity.whenExceeded === 'escalate') {
    const seen = ending.how === 'failed' ? `${ending.fault.code}: ${ending.fault.message}` : ending.how;
    const message =
      `more than ${intensity.maxRestarts} restarts of a child within ${intensity.windowMs} ms, ` +
      `the last after ${seen}`;
    return { do: 'escalate', fault: fault('restart-intensity', message) };
  }
  const attempt = nowMs - history.startedAtMs >= backoff.healthyAfterMs ? 0 : history.attempt;
  const ownDelayMs = backoffDelayMs(backoff, exceeded ? Number.POSITIVE_INFINITY : attempt, random);
  const wishedDelayMs = ending.how === 'failed' ? (ending.fault.retryAfterMs ?? 0) : 0;
  const delayMs = Math.max(ownDelayMs, wishedDelayMs);
  return {
    do: 'restart',
    delayMs,
    history: {
      startedAtMs: nowMs + delayMs,
      attempt: attempt + 1,
      restartsAtMs: exceeded ? restarts.slice(1) : restarts,
    },
  };
}

function isRestarted(restart: Policy['restart'], ending: Ending): boolean {
  // Whoever was asked to stop stays stopped, whatever its type.
  if (ending.how === 'stopped') return false;
  switch (restart) {
    case 'permanent':
      return true;
    case 'transient':
      return ending.how === 'failed';
    case 'temporary':
      return false;
    default:
      return unreachable(restart);
  }
}
