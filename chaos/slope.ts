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
  const count = points.length;
  if (count < 3) throw new Error(`${count} points: a slope with its error takes three`);
  const meanMs = points.reduce((sum, { ms }) => sum + ms, 0) / count;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / count;
  let spread = 0;
  let together = 0;
  for (const { ms, value } of points) {
    spread += (ms - meanMs) ** 2;
    together += (ms - meanMs) * (value - mean);
  }
  const slope = together / spread;
  let left = 0;
  for (const { ms, value } of points) left += (value - mean - slope * (ms - meanMs)) ** 2;
  const error = Math.sqrt(left / (count - 2) / spread);
  return { perHour: slope * hourMs, errorPerHour: error * hourMs };
}

/** It grows faster than the bound, and chance does not explain that: by two standard errors. */
export function grows({ perHour, errorPerHour }: Slope, boundPerHour: number): boolean {
  return perHour - 2 * errorPerHour > boundPerHour;
}
