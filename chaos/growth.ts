import type { Measure, Sample } from './sampling.ts';
import { grows, type Point, type Slope, slopeWithin } from './slope.ts';

/** What became of one measure. */
export interface Growth {
  readonly measure: Measure;
  readonly least: number;
  readonly most: number;
  readonly slope: Slope;
  readonly boundPerHour: number;
  readonly isGrowing: boolean;
}

/**
 * Growth an hour that counts as none. A change in the cluster comes ten times a second, 36,000 an hour, so 6 MiB are 170 bytes
 * for each: any object kept for each change is more. What a thread still compiles after the warm-up is less. malloc holds on to
 * what is free as well, and gives it back in steps of hours: 500 bytes for each change, and 700 resident.
 */
const boundsPerHour: Readonly<Record<Measure, number>> = {
  heapMib: 6,
  threadHeapMib: 6,
  externalMib: 6,
  mallocMib: 18,
  rssMib: 24,
  descriptors: 6,
  timers: 6,
};

/** After a thread has come or gone: until it has compiled what it needs, and its tunnels are where they stay. */
export const settlingMs = 180_000;

/**
 * The slope of every measure. A thread that comes or goes is a step of some 15 MiB and no leak, so samples are compared only
 * with those of the same threads: one line for each such time, all with the same slope. Throws when there are too few.
 */
export function growthOf(samples: readonly Sample[]): readonly Growth[] {
  const times = settledTimes(samples);
  return (Object.keys(boundsPerHour) as readonly Measure[]).map((measure) => {
    const lines = times
      .map((time) => time.map((sample) => ({ ms: sample.ms, value: sample[measure] })))
      .flatMap((line) => (givenBack.has(measure) ? betweenFalls(line) : [line]))
      .filter((line) => line.length > 1);
    const values = lines.flat().map(({ value }) => value);
    const slope = slopeWithin(lines);
    const boundPerHour = boundsPerHour[measure];
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return { measure, least, most, slope, boundPerHour, isGrowing: grows(slope, boundPerHour) };
  });
}

/** What malloc now and then gives back at once, as much as has gathered in hours: no leak, and far above the noise. */
const givenBack: ReadonlySet<Measure> = new Set(['mallocMib', 'rssMib']);
const leastFallMib = 5;

/** After such a fall a new line begins, so that it hides no growth before and after it. */
function betweenFalls(points: readonly Point[]): readonly (readonly Point[])[] {
  const lines: Point[][] = [];
  for (const point of points) {
    const last = lines.at(-1);
    if (last === undefined || point.value < last.at(-1)!.value - leastFallMib) lines.push([point]);
    else last.push(point);
  }
  return lines;
}

/** Samples in a row with the same threads, without those in which these settle; of one alone nothing can be said. */
function settledTimes(samples: readonly Sample[]): readonly (readonly Sample[])[] {
  const times: Sample[][] = [];
  for (const sample of samples) {
    const last = times.at(-1);
    if (last !== undefined && `${last[0]!.threads}` === `${sample.threads}`) last.push(sample);
    else times.push([sample]);
  }
  return times
    .map((time, index) => (index === 0 ? time : time.filter(({ ms }) => ms >= time[0]!.ms + settlingMs)))
    .filter((time) => time.length > 1);
}
