/** Waits until a count has not changed for so many looks; fails when it has no end within ten seconds. */
const looks = 25;
const everyMs = 10;

export async function standsStill(what: string, count: () => number): Promise<number> {
  const untilMs = performance.now() + 10_000;
  let last = -1;
  for (let same = 0; same < looks; ) {
    const now = count();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    if (performance.now() > untilMs) throw new Error(`${what} does not stand still`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return last;
}
