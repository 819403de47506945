import { mostShared } from './thread-count.ts';

/**
 * Which thread carries which of a tunnel's connections: a pure decision over what runs now, one part at a time.
 * What runs stays where it is.
 */

/**
 * With whom a tunnel may share a thread: with any other, only with suspects (it is one itself), or with nobody
 * (quarantine, or strict isolation). Of a thread: which of these tunnels it is for.
 */
export type Company = 'any' | 'suspects' | 'nobody';

/** Of a tunnel in quarantine. */
export type Apart = Exclude<Company, 'any'>;

export interface ThreadLoad {
  readonly id: string;
  /** How many connections each tunnel, by its id, has there. */
  readonly tunnels: ReadonlyMap<string, number>;
  readonly connections: number;
  readonly company: Company;
}

export interface PlacementLimits {
  readonly maxThreads: number;
  /** Most tunnels on one thread; 1 is strict isolation. */
  readonly tunnelsPerThread: 'auto' | number;
}

/** Some connections of a tunnel that need a thread. */
export interface Homeless {
  readonly tunnel: string;
  readonly company: Company;
  /** The thread that they were on has died, and the tunnel has less until they are back. */
  readonly lost: boolean;
}

/** What the present threads are judged by. */
export interface Circumstances {
  readonly limits: PlacementLimits;
  /** How many threads should be shared for the tunnels of now. */
  readonly sharedThreads: number;
  /** How many threads beside those suspects should share among themselves; 0 while none should. */
  readonly suspectThreads: number;
  /** Tunnels that were on threads that died lately, and on how many. */
  readonly suspects: ReadonlyMap<string, number>;
}

export type Place =
  | { readonly kind: 'thread'; readonly id: string }
  | { readonly kind: 'new'; readonly company: Company };

/**
 * Parts of a tunnel that go on threads of their own: two, so that a thread's death leaves it the other one. With
 * strict isolation, or when there may be one thread only, it is one part.
 */
export function partsOf(
  connections: readonly number[],
  { maxThreads, tunnelsPerThread }: PlacementLimits,
): readonly (readonly number[])[] {
  if (tunnelsPerThread === 1 || maxThreads < 2) return [connections];
  return [0, 1]
    .map((parity) => connections.filter((_, position) => position % 2 === parity))
    .filter((part) => part.length > 0);
}

/**
 * Strict isolation: a new thread. A tunnel that is to be alone: its own thread, or a new one, or as a suspect where there
 * may be no more. A suspect: one of the suspects' threads without it, or as any other where it cannot have two of them. Any
 * other: a shared thread without it. Of the last two kinds a new one while there are too few, then the one with the fewest connections.
 * What was lost of these does not wait for a new thread where those that live can take it: they have loaded their code
 * and share the work. Null when every thread is full.
 */
export function placePart(
  part: Homeless,
  threads: readonly ThreadLoad[],
  circumstances: Circumstances,
): Place | null {
  const { maxThreads, tunnelsPerThread } = circumstances.limits;
  const mayStart = threads.length < maxThreads;
  if (tunnelsPerThread === 1) return mayStart ? { kind: 'new', company: 'nobody' } : null;
  if (part.company === 'nobody') {
    const own = threads.find(({ company, tunnels }) => company === 'nobody' && tunnels.has(part.tunnel));
    if (own !== undefined) return { kind: 'thread', id: own.id };
    if (mayStart) return { kind: 'new', company: 'nobody' };
  }
  const { suspectThreads, sharedThreads } = circumstances;
  const isApart = part.company !== 'any' && canHaveTwo(part, threads, circumstances);
  return isApart
    ? placeAmong('suspects', suspectThreads, part, threads, circumstances)
    : placeAmong('any', sharedThreads, part, threads, circumstances);
}

/**
 * Which of a tunnel's parts should move, given the thread of each and the one that a part of it would be placed on now:
 * one whose thread is for others, or that is beside the other part without need. -1 when none should.
 */
export function misplaced(homes: readonly ThreadLoad[], target: Pick<ThreadLoad, 'company'>): number {
  const { company } = target;
  const isElsewhere = (home: ThreadLoad): boolean => home !== target;
  if (company === 'nobody') return homes.findIndex(isElsewhere);
  const stranger = homes.findIndex((home) => home.company !== company);
  if (stranger >= 0) return stranger;
  const areTogether = homes.every((home) => home === homes[0]);
  return areTogether ? homes.findIndex(isElsewhere) : -1;
}

/** Both parts of the tunnel find room on suspects' threads, and what was lost needs no new one. */
function canHaveTwo(
  { tunnel, lost }: Homeless,
  threads: readonly ThreadLoad[],
  { limits: { maxThreads, tunnelsPerThread }, suspectThreads }: Circumstances,
): boolean {
  const there = threads.filter(({ company }) => company === 'suspects');
  if (lost && there.length < leastToTakeLost(suspectThreads)) return false;
  const open = there.filter(({ tunnels }) => tunnels.has(tunnel) || hasRoom(tunnels, tunnelsPerThread));
  const startable = Math.min(maxThreads - threads.length, suspectThreads - there.length);
  return open.length + Math.max(0, startable) >= 2;
}

function placeAmong(
  company: Company,
  wanted: number,
  { tunnel, lost }: Homeless,
  threads: readonly ThreadLoad[],
  { limits: { maxThreads, tunnelsPerThread }, suspects }: Circumstances,
): Place | null {
  const there = threads.filter((thread) => thread.company === company);
  const sibling = there.find(({ tunnels }) => tunnels.has(tunnel));
  const others = there.filter(({ tunnels }) => !tunnels.has(tunnel) && hasRoom(tunnels, tunnelsPerThread));

  const enough = lost ? leastToTakeLost(wanted) : wanted;
  const most = company === 'any' ? mostShared(maxThreads) : wanted;
  const mayStart = there.length < (others.length > 0 ? enough : most) && threads.length < maxThreads;
  if (mayStart) return { kind: 'new', company };

  const order = suspects.has(tunnel) ? apartFrom(tunnel, suspects) : unlike(sibling);
  const best = least(kept(others, there, wanted), order) ?? sibling;
  return best === undefined ? null : { kind: 'thread', id: best.id };
}

function hasRoom(tunnels: ThreadLoad['tunnels'], tunnelsPerThread: 'auto' | number): boolean {
  return tunnelsPerThread === 'auto' || tunnels.size < tunnelsPerThread;
}

/**
 * While so many threads live, they take what another one has lost: each then carries a third more than it should, or
 * half as much again where there are few. The next new tunnel makes up for the thread that is missing.
 */
function leastToTakeLost(wanted: number): number {
  return Math.floor((wanted * 3) / 4);
}

/** With more threads than there should be, the emptiest get nothing more, so that they end with what they have. */
function kept(
  others: readonly ThreadLoad[],
  there: readonly ThreadLoad[],
  wanted: number,
): readonly ThreadLoad[] {
  const fullest = new Set(
    there.toSorted((one, other) => other.connections - one.connections).slice(0, wanted),
  );
  const some = others.filter((thread) => fullest.has(thread));
  return some.length > 0 ? some : others;
}

/** What is compared first, and what decides between equals. */
type Order = readonly [first: Measure, then: Measure];
type Measure = (thread: ThreadLoad) => number;

/** What decides between equals is not asked for others: it may look at every tunnel of a thread. */
function least(threads: readonly ThreadLoad[], [first, then]: Order): ThreadLoad | undefined {
  const lowest = (some: readonly ThreadLoad[], measure: Measure): readonly ThreadLoad[] => {
    const values = some.map(measure);
    const minimum = Math.min(...values);
    return some.filter((_, index) => values[index] === minimum);
  };
  const equals = lowest(threads, first);
  return equals.length > 1 ? lowest(equals, then)[0] : equals[0];
}

/** Fewest connections, then fewest tunnels that also share the sibling's thread: so pairs of threads vary. */
function unlike(sibling: ThreadLoad | undefined): Order {
  return [
    ({ connections }) => connections,
    ({ tunnels }) => (sibling === undefined ? 0 : both(tunnels, sibling.tunnels)),
  ];
}

/**
 * Those who are suspected as much are kept apart before all: the next death then leaves few of them. Whoever is
 * suspected less does not count, as after some deaths nearly everybody is.
 */
function apartFrom(tunnel: string, suspects: ReadonlyMap<string, number>): Order {
  const deathsOf = (other: string): number => suspects.get(other) ?? 0;
  const deaths = deathsOf(tunnel);
  return [
    ({ tunnels }) => [...tunnels.keys()].filter((other) => deathsOf(other) >= deaths).length,
    ({ connections }) => connections,
  ];
}

function both(some: ReadonlyMap<string, number>, others: { has(tunnel: string): boolean }): number {
  let count = 0;
  for (const one of some.keys()) if (others.has(one)) count++;
  return count;
}
