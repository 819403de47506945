import type { Apart } from './placement.ts';

/**
 * Who killed the thread? Its death names no tunnel, but whoever does it again was there each time. A pure account
 * of the deaths, and with whom the tunnels that were on them may share a thread.
 */

/** After so long without a death a tunnel is no suspect any more, and leaves quarantine, milliseconds. */
export const lastingHealthMs = 10 * 60_000;

/** Of so many threads that a tunnel was on when they died, it may go into quarantine. */
const deathsToQuarantine = 2;

/** Who is always blamed for less than this part of what another one on the same dead thread is blamed for was there by chance. */
const leastShare = 0.2;

/** So often is blame shared out anew: enough to tell who was on one death more, few enough not to settle on one of several. */
const blameRounds = 4;

/** Enough to tell twenty culprits; a storm of more deaths accuses nobody better. */
const maxDeaths = 256;

/**
 * So many threads suspects share among themselves, where not all can be alone. Each is on two of them, so a death there
 * hits a sixth of them; with fewer threads it would hit more and tell less.
 */
const threadsForSuspects = 12;

export interface Death {
  readonly atMs: number;
  /** Ids of the tunnels that were on the thread. */
  readonly tunnels: ReadonlySet<string>;
}

/** What there is for quarantine. */
export interface Room {
  readonly threads: number;
  /** How many tunnels a thread has that any may share: suspects' threads are not fuller. */
  readonly tunnelsPerThread: number;
}

export interface Verdict {
  /** Those in quarantine, and with whom they share a thread there. */
  readonly quarantined: ReadonlyMap<string, Apart>;
  /** How many threads suspects share among themselves; 0 while nobody is to. */
  readonly suspectThreads: number;
}

/**
 * The deaths after one more, oldest first. A tunnel that was alone is guilty, which acquits those who died with it
 * before.
 */
export function withDeath(before: readonly Death[], death: Death): readonly Death[] {
  const [culprit] = death.tunnels.size === 1 ? death.tunnels : [];
  const solved = recent(before, death.atMs).map((old) =>
    culprit !== undefined && old.tunnels.has(culprit) ? { ...old, tunnels: death.tunnels } : old,
  );
  return [...solved, death].slice(-maxDeaths);
}

/** Those that still count at a later time: with the last of its deaths a tunnel is released. */
export function recent(deaths: readonly Death[], nowMs: number): readonly Death[] {
  return deaths.filter(({ atMs }) => nowMs - atMs < lastingHealthMs);
}

/** When the account is to be looked at again, although nothing died; null when there is nothing in it. */
export function nextChangeMs([oldest]: readonly Death[]): number | null {
  return oldest === undefined ? null : oldest.atMs + lastingHealthMs;
}

/** Who may be to blame, and for how many deaths. */
export function suspectsOf(deaths: readonly Death[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { tunnels } of deaths) {
    for (const tunnel of tunnels) counts.set(tunnel, (counts.get(tunnel) ?? 0) + 1);
  }
  return counts;
}

/**
 * In quarantine is who was on two dead threads at least, unless others are blamed so much more for each of its deaths
 * that it was there by chance. All are alone if there are threads for that. Otherwise only those are alone who are blamed
 * more than the first for whom no thread is left, and the others share threads among themselves: then whoever killed two
 * threads hits suspects only, and the next death tells which of them it was.
 */
export function verdictOf(
  deaths: readonly Death[],
  { threads, tunnelsPerThread }: Room,
  before: Verdict['quarantined'],
): Verdict {
  const blames = blamesOf(deaths);
  const blameOf = (tunnel: string): number => blames.get(tunnel) ?? 0;
  const ranked = accusedOf(deaths, blameOf, before).toSorted((one, other) => blameOf(other) - blameOf(one));
  const suspectThreads = ranked.length > threads && threads > threadsForSuspects ? threadsForSuspects : 0;

  const firstLeft = ranked[threads - suspectThreads];
  const alone = ranked.filter((tunnel) => firstLeft === undefined || blameOf(tunnel) > blameOf(firstLeft));
  // Each is on two of them.
  const mostOthers = Math.floor((suspectThreads * tunnelsPerThread) / 2);
  const others = ranked.slice(alone.length, alone.length + mostOthers);
  return {
    quarantined: new Map([
      ...alone.map((tunnel) => [tunnel, 'nobody'] as const),
      ...others.map((tunnel) => [tunnel, 'suspects'] as const),
    ]),
    suspectThreads,
  };
}

function accusedOf(
  deaths: readonly Death[],
  blameOf: (tunnel: string) => number,
  before: Verdict['quarantined'],
): readonly string[] {
  const counts = suspectsOf(deaths);
  const accused = new Set<string>();
  for (const { tunnels } of deaths) {
    const least = leastShare * Math.max(...Array.from(tunnels, blameOf));
    for (const tunnel of tunnels) {
      const isSuspect = before.has(tunnel) || (counts.get(tunnel) ?? 0) >= deathsToQuarantine;
      if (isSuspect && blameOf(tunnel) >= least) accused.add(tunnel);
    }
  }
  return [...accused];
}

/**
 * How many of the deaths each tunnel is likely to have caused. Those who were on a thread share the blame for its
 * death, in proportion to what they are blamed for in all: so whoever was alone has all of it, and whoever lives on,
 * in quarantine or not, while threads die elsewhere, is blamed ever less beside those who were there. (Expectation
 * maximisation for a mixture of sources.)
 */
function blamesOf(deaths: readonly Death[]): ReadonlyMap<string, number> {
  let blames = new Map<string, number>();
  for (let round = 0; round < blameRounds; round++) {
    const next = new Map<string, number>();
    for (const { tunnels } of deaths) {
      const all = Array.from(tunnels, (tunnel) => [tunnel, blames.get(tunnel) ?? 1] as const);
      const sum = all.reduce((total, [, blame]) => total + blame, 0);
      for (const [tunnel, blame] of all) next.set(tunnel, (next.get(tunnel) ?? 0) + blame / sum);
    }
    blames = next;
  }
  return blames;
}
