import { failed, type Result } from '../fault.ts';
import type { Leadership } from './ports.ts';

/**
 * Begins `write` only while we lead, and aborts its signal as soon as we do not: what another replica writes from
 * then on must not be crossed. A write that was given up for that is `not-leading`; one that had come through is
 * answered as it is.
 */
export async function whileLeading<T>(
  leadership: Leadership,
  signal: AbortSignal,
  write: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  if (!leadership.isLeading) return notLeading();
  const lost = new AbortController();
  const deafen = leadership.onChange((isLeading) => {
    if (!isLeading) lost.abort();
  });
  try {
    const result = await write(AbortSignal.any([signal, lost.signal]));
    return lost.signal.aborted && !result.ok ? notLeading() : result;
  } finally {
    deafen();
  }
}

function notLeading(): Result<never> {
  return failed(
    'not-leading',
    'another replica leads, or none does: what was begun is left to the next leader',
  );
}
