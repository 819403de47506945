/**
 * Who killed the thread? Its death names no tunnel, but whoever does it again was there each time. A pure account
 * of the deaths, and of who is in quarantine because of them.
 */

/** After so long without a death a tunnel is no suspect any more, and leaves quarantine, milliseconds. */
export const lastingHealthMs = 10 * 60_000;

/** Of so many threads that a tunnel was on when they died, it goes into quarantine. */
const deathsToQuarantine = 2;

/** Who is blamed for so large a part of what the most suspect is blamed for is as suspect: by chance one differs by less. */
const asSuspect = 0.75;

/** So often is blame shared out anew: enough to tell who was on one death more, few enough not to settle on one of several. */
const blameRounds = 4;

/** A storm of deaths accuses nobody better than this many. */
const maxDeaths = 64;

export interface Death {
  readonly atMs: number;
  /** Ids of the tunnels that were on the thread. */
  readonly tunnels: ReadonlySet<string>;
}

export interface Evidence {
  /** Oldest first. */
  readonly deaths: readonly Death[];
  readonly quarantined: ReadonlySet<string>;
}

export const noEvidence: Evidence = { deaths: [], quarantined: new Set() };

/**
 * The account after one more death. Of those on the thread that were on two dead ones at least, the most suspect go
 * into quarantine together, if there are `places` for all of them: free ones, or those of weaker suspects, who give
 * theirs up. Otherwise the next death tells better. A tunnel that was alone is guilty, which acquits those who died
 * with it before.
 */
export function withDeath(before: Evidence, death: Death, places: number): Evidence {
  const earlier = withTime(before, death.atMs);
  const [culprit] = death.tunnels.size === 1 ? death.tunnels : [];
  const solved = earlier.deaths.map((old) =>
    culprit !== undefined && old.tunnels.has(culprit) ? { ...old, tunnels: death.tunnels } : old,
  );
  const deaths = [...solved, death].slice(-maxDeaths);
  const counts = countDeaths(deaths);
  const quarantined = stillSuspected(earlier.quarantined, counts);

  const blames = blamesOf(deaths);
  const blameOf = (tunnel: string): number => blames.get(tunnel) ?? 0;
  const alike = asSuspect * Math.max(...Array.from(death.tunnels, blameOf));
  const accused = [...death.tunnels].filter(
    (tunnel) =>
      (counts.get(tunnel) ?? 0) >= deathsToQuarantine && blameOf(tunnel) >= alike && !quarantined.has(tunnel),
  );
  const weaker = [...quarantined]
    .filter((tunnel) => blameOf(tunnel) < alike)
    .sort((one, other) => blameOf(one) - blameOf(other));
  const missing = Math.max(0, accused.length - Math.max(0, places - quarantined.size));
  if (missing <= weaker.length) {
    for (const tunnel of weaker.slice(0, missing)) quarantined.delete(tunnel);
    for (const tunnel of accused) quarantined.add(tunnel);
  }
  return { deaths, quarantined };
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

/** The account at a later time: old deaths are forgotten, and with the last of its deaths a tunnel is released. */
export function withTime({ deaths, quarantined }: Evidence, nowMs: number): Evidence {
  const recent = deaths.filter(({ atMs }) => nowMs - atMs < lastingHealthMs);
  return { deaths: recent, quarantined: stillSuspected(quarantined, countDeaths(recent)) };
}

/** When the account is to be looked at again, although nothing died; null when there is nothing in it. */
export function nextChangeMs({ deaths: [oldest] }: Evidence): number | null {
  return oldest === undefined ? null : oldest.atMs + lastingHealthMs;
}

/** Who may be to blame, and for how many deaths. */
export function suspectsOf({ deaths }: Evidence): ReadonlyMap<string, number> {
  return countDeaths(deaths);
}

function countDeaths(deaths: readonly Death[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { tunnels } of deaths) {
    for (const tunnel of tunnels) counts.set(tunnel, (counts.get(tunnel) ?? 0) + 1);
  }
  return counts;
}

function stillSuspected(quarantined: ReadonlySet<string>, counts: ReadonlyMap<string, number>): Set<string> {
  return new Set([...quarantined].filter((tunnel) => counts.has(tunnel)));
}
