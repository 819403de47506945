/** Far more than anything takes, even on a machine that is busy with other things. */
const patienceMs = 15_000;

export interface Patience {
  readonly withinMs?: number;
  /** Between two looks. */
  readonly everyMs?: number;
  /** What else there is to say when it did not happen. */
  readonly told?: () => string;
}

/**
 * Waits until `look` gives something that is not null, undefined or false; fails after `withinMs`, or as `look` does. A
 * look may drive the clock of what it waits for.
 */
export async function eventually<T>(
  what: string,
  look: () => T,
  { withinMs = patienceMs, everyMs = 2, told }: Patience = {},
): Promise<NonNullable<Awaited<T>>> {
  const untilMs = performance.now() + withinMs;
  while (true) {
    const seen = await look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (performance.now() > untilMs) {
      const message = `did not happen within ${withinMs} ms: ${what}`;
      throw new Error(told === undefined ? message : `${message}; ${told()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
