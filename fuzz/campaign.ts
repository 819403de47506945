import type { FuzzTarget } from './target.ts';

/** An input that takes longer shows what is quadratic: none is larger than 64 KiB. Milliseconds. */
const slowCaseMs = 2_000;

/** Checks one input; what went wrong, or null when the decoder did well. */
export async function failureOf(target: FuzzTarget, input: Buffer): Promise<string | null> {
  try {
    // A machine can be slow for a while, so the second time counts.
    if ((await msOf(target, input)) <= slowCaseMs) return null;
    const ms = await msOf(target, input);
    return ms <= slowCaseMs ? null : `it took ${Math.round(ms)} ms, expected at most ${slowCaseMs}`;
  } catch (thrown) {
    return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
}

async function msOf(target: FuzzTarget, input: Buffer): Promise<number> {
  const startedMs = performance.now();
  const pending = target.check(input);
  if (pending !== undefined) await pending;
  return performance.now() - startedMs;
}
