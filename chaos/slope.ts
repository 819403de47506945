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

/** Of three points at least. */
export function slopeOf(points: readonly Point[]): Slope {
  return slopeWithin([points]);
}

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
  const errors = groups.map((group) => centredPoints(group).map(({ ms, value }) => value - slope * ms));
  const left = sumOf(errors.flat().map((error) => error ** 2));
  const errorPerHour = Math.sqrt(left / free / spread) * hourMs * memoryOf(errors);
  return { perHour: slope * hourMs, errorPerHour };
}

/**
 * By how much the error is larger than that of samples that know nothing of each other: what goes in steps, as malloc does, is
 * remembered by the samples that follow, so that there are fewer than they seem. From the correlation of neighbours, as
 * for a series in which each value hangs on the one before (AR(1)); never below 1.
 */
function memoryOf(errors: readonly (readonly number[])[]): number {
  const total = sumOf(errors.flat().map((error) => error ** 2));
  if (total === 0) return 1;
  const shared = sumOf(errors.flatMap((group) => group.slice(1).map((error, at) => error * group[at]!)));
  const correlation = Math.min(mostCorrelation, Math.max(0, shared / total));
  return Math.sqrt((1 + correlation) / (1 - correlation));
}

const mostCorrelation = 0.9;

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function centredPoints(points: readonly Point[]): readonly Point[] {
  const meanMs = points.reduce((sum, { ms }) => sum + ms, 0) / points.length;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  return points.map(({ ms, value }) => ({ ms: ms - meanMs, value: value - mean }));
}

/** So many standard errors are not chance: of runs in which all seven measures grow by just their bounds, two would blame one in seven. */
export const certainty = 3;

/** It grows faster than the bound, and chance does not explain that. */
export function grows({ perHour, errorPerHour }: Slope, boundPerHour: number): boolean {
  return perHour - certainty * errorPerHour > boundPerHour;
}
