/**
 * Who killed the thread? Its death names no tunnel, but whoever does it again was there each time. A pure account
 * of the deaths, and of who is in quarantine because of them.
 */

/** After so long without a death a tunnel is no suspect any more, and leaves quarantine, milliseconds. */
export const lastingHealthMs = 10 * 60_000;

/** Of so many threads that a tunnel was on when they died, it goes into quarantine. */
const deathsToQuarantine = 2;

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
 * The account after one more death. Of those on the thread, the ones that were on most of the threads that died,
 * and on two at least, go into quarantine, if there is a thread left for each. When there are more, the next
 * death tells better. A tunnel that was alone is guilty, which acquits those who died with it before.
 */
export function withDeath(before: Evidence, death: Death, freeThreads: number): Evidence {
  const earlier = withTime(before, death.atMs);
  const [culprit] = death.tunnels.size === 1 ? death.tunnels : [];
  const solved = earlier.deaths.map((old) =>
    culprit !== undefined && old.tunnels.has(culprit) ? { ...old, tunnels: death.tunnels } : old,
  );
  const deaths = [...solved, death].slice(-maxDeaths);
  const counts = countDeaths(deaths);
  const quarantined = stillSuspected(earlier.quarantined, counts);

  const most = Math.max(
    deathsToQuarantine,
    ...Array.from(death.tunnels, (tunnel) => counts.get(tunnel) ?? 0),
  );
  const accused = [...death.tunnels].filter(
    (tunnel) => counts.get(tunnel) === most && !quarantined.has(tunnel),
  );
  if (accused.length <= freeThreads) for (const tunnel of accused) quarantined.add(tunnel);
  return { deaths, quarantined };
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
