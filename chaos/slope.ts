/** A straight line through samples. */
export interface Slope {
  /** Units of the values an hour. */
  readonly perHour: number;
  /** It is certainly more than this, but for one case in a thousand. */
  readonly leastPerHour: number;
}

export interface Point {
  readonly ms: number;
  readonly value: number;
}

const hourMs = 3_600_000;
/** Standard deviations; of runs in which all seven measures grow by just their bounds, two would blame one in seven. */
const certainty = 3;

/** Of three points at least. */
export function slopeOf(points: readonly Point[]): Slope {
  return slopeWithin([points]);
}

/**
 * One slope for several groups of points, each of which may lie higher or lower than the others: what a group has in common
 * does not count. The median of the slopes between any two points of a group (Theil 1950), and Sen's limit for it (1968), which
 * suppose nothing of how values scatter: one step at which malloc takes what it never gives back moves a least-squares line,
 * and not this one; what goes on growing, in however many steps, moves both. Of two points more than there are groups,
 * at least.
 */
export function slopeWithin(groups: readonly (readonly Point[])[]): Slope {
  const count = groups.reduce((sum, { length }) => sum + length, 0);
  if (count - groups.length < 2) {
    throw new Error(`${count} points in ${groups.length} groups: a slope with its limit takes more`);
  }
  const slopes = groups.flatMap(slopesBetween).sort((one, other) => one - other);
  // Of Kendall's S, whose groups know nothing of each other.
  const variance = groups.reduce((sum, { length: n }) => sum + (n * (n - 1) * (2 * n + 5)) / 18, 0);
  const rank = Math.floor((slopes.length - certainty * Math.sqrt(variance)) / 2);
  return { perHour: medianOf(slopes), leastPerHour: slopes[Math.max(0, rank)]! };
}

function slopesBetween(points: readonly Point[]): readonly number[] {
  return points.flatMap((one, index) =>
    points.slice(index + 1).map((other) => ((other.value - one.value) / (other.ms - one.ms)) * hourMs),
  );
}

function medianOf(sorted: readonly number[]): number {
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

/** It grows faster than the bound, and chance does not explain that. */
export function grows({ leastPerHour }: Slope, boundPerHour: number): boolean {
  return leastPerHour > boundPerHour;
}
