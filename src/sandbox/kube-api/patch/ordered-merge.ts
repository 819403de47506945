/**
 * Brings two ordered lists together: `leading` keeps its order, `others` keep theirs, and each of the others
 * stays before those leading items that followed it in `before`. New leading items come as early as they can.
 */
export function mergeOrder<T>(leading: readonly T[], others: readonly T[], before: (item: T) => number): T[] {
  const merged: T[] = [];
  let next = 0;
  for (const item of leading) {
    const place = before(item);
    while (next < others.length && place >= 0 && before(others[next]!) < place) merged.push(others[next++]!);
    merged.push(item);
  }
  return [...merged, ...others.slice(next)];
}
