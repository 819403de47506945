import { eventually } from './eventually.ts';

/** Waits until a count has not changed for so many looks; fails when it has no end within ten seconds. */
const looks = 25;

export async function standsStill(what: string, count: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  const look = (): boolean => {
    const now = count();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    return same >= looks;
  };
  await eventually(`${what} stands still`, look, { withinMs: 10_000, everyMs: 10 });
  return last;
}
