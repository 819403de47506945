/** Waits until `look` gives something that is not null, undefined or false; fails after five seconds. */
export async function eventually<T>(what: string, look: () => T): Promise<NonNullable<T>> {
  const untilMs = performance.now() + 5_000;
  while (true) {
    const seen = look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (performance.now() > untilMs) throw new Error(`did not happen within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
