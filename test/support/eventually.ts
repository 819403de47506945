/** Far more than anything takes, even on a machine that is busy with other things. */
const patienceMs = 15_000;

/** Waits until `look` gives something that is not null, undefined or false; fails after `patienceMs`. */
export async function eventually<T>(what: string, look: () => T): Promise<NonNullable<T>> {
  const untilMs = performance.now() + patienceMs;
  while (true) {
    const seen = look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (performance.now() > untilMs) throw new Error(`did not happen within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
