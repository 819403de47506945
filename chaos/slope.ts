/** A straight line through samples, by least squares. */
export interface Slope {
  /** Units of the values an hour. */
  readonly perHour: number;
  /** Standard error of that. */
  readonly errorPerHour: number;
}

export interface Point {
  readonly ms: number;
  readonly value: number;
}

const hourMs = 3_600_000;

/**
 * One slope for several groups of points, each of which may lie higher or lower than the others: what a group has in common
 * does not count. Of two points more than there are groups, at least.
 */
export function slopeWithin(groups: readonly (readonly Point[])[]): Slope {
  const centred = groups.flatMap(centredPoints);
  const free = centred.length - groups.length - 1;
  if (free < 1) {
    throw new Error(`${centred.length} points in ${groups.length} groups: a slope with its error takes more`);
  }
  const spread = centred.reduce((sum, { ms }) => sum + ms ** 2, 0);
  const slope = centred.reduce((sum, { ms, value }) => sum + ms * value, 0) / spread;
  const left = centred.reduce((sum, { ms, value }) => sum + (value - slope * ms) ** 2, 0);
  return { perHour: slope * hourMs, errorPerHour: Math.sqrt(left / free / spread) * hourMs };
}

function centredPoints(points: readonly Point[]): readonly Point[] {
  const meanMs = points.reduce((sum, { ms }) => sum + ms, 0) / points.length;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  return points.map(({ ms, value }) => ({ ms: ms - meanMs, value: value - mean }));
}

/** It grows faster than the bound, and chance does not explain that: by two standard errors. */
export function grows({ perHour, errorPerHour }: Slope, boundPerHour: number): boolean {
  return perHour - 2 * errorPerHour > boundPerHour;
}
