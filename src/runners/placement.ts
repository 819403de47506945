import { mostShared } from './thread-count.ts';

/**
 * Which thread carries which of a tunnel's connections: a pure decision over what runs now, one part at a time.
 * What runs stays where it is.
 */

export interface ThreadLoad {
  readonly id: string;
  /** How many connections each tunnel, by its id, has there. */
  readonly tunnels: ReadonlyMap<string, number>;
  readonly connections: number;
  /** For the tunnel that is there alone: strict isolation, or quarantine. */
  readonly reserved: boolean;
}

export interface PlacementLimits {
  readonly maxThreads: number;
  /** Most tunnels on one thread; 1 is strict isolation. */
  readonly tunnelsPerThread: 'auto' | number;
}

/** Some connections of a tunnel that need a thread. */
export interface Homeless {
  readonly tunnel: string;
  /** The tunnel is in quarantine. */
  readonly alone: boolean;
  /** The thread that they were on has died, and the tunnel has less until they are back. */
  readonly lost: boolean;
}

/** What the present threads are judged by. */
export interface Circumstances {
  readonly limits: PlacementLimits;
  /** How many threads should be shared for the tunnels of now. */
  readonly sharedThreads: number;
  /** Tunnels that were on threads that died lately, and on how many. */
  readonly suspects: ReadonlyMap<string, number>;
}

export type Place =
  | { readonly kind: 'thread'; readonly id: string }
  | { readonly kind: 'new'; readonly reserved: boolean };

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
 * Strict isolation: a new thread. Quarantine: the tunnel's own thread, or a new one, or as any other when there
 * may be no more. Otherwise a shared thread without this tunnel: a new one while there are too few, then the one
 * with the fewest connections. What was lost does not wait for a new thread where those that live can take it: they
 * have loaded their code and share the work. Null when every thread is full.
 */
export function placePart(
  part: Homeless,
  threads: readonly ThreadLoad[],
  circumstances: Circumstances,
): Place | null {
  const { maxThreads, tunnelsPerThread } = circumstances.limits;
  const mayStart = threads.length < maxThreads;
  if (tunnelsPerThread === 1) return mayStart ? { kind: 'new', reserved: true } : null;
  if (part.alone) {
    const own = threads.find(({ reserved, tunnels }) => reserved && tunnels.has(part.tunnel));
    if (own !== undefined) return { kind: 'thread', id: own.id };
    if (mayStart) return { kind: 'new', reserved: true };
  }
  return placeShared(part, threads, circumstances);
}

function placeShared(
  { tunnel, lost }: Homeless,
  threads: readonly ThreadLoad[],
  { limits, sharedThreads, suspects }: Circumstances,
): Place | null {
  const most = limits.tunnelsPerThread === 'auto' ? Number.POSITIVE_INFINITY : limits.tunnelsPerThread;
  const shared = threads.filter(({ reserved }) => !reserved);
  const sibling = shared.find(({ tunnels }) => tunnels.has(tunnel));
  const others = shared.filter(({ tunnels }) => !tunnels.has(tunnel) && tunnels.size < most);

  const wanted = lost ? leastToTakeLost(sharedThreads) : sharedThreads;
  const mayShare = others.length === 0 ? mostShared(limits.maxThreads) : wanted;
  if (shared.length < mayShare && threads.length < limits.maxThreads) return { kind: 'new', reserved: false };

  const order = suspects.has(tunnel) ? apartFrom(tunnel, suspects) : unlike(sibling);
  const best = least(kept(others, shared, sharedThreads), order) ?? sibling;
  return best === undefined ? null : { kind: 'thread', id: best.id };
}

/**
 * While so many threads live, they take what another one has lost: each then carries a third more than it should, or
 * half as much again where there are few. The next new tunnel makes up for the thread that is missing.
 */
function leastToTakeLost(sharedThreads: number): number {
  return Math.floor((sharedThreads * 3) / 4);
}

/** With more threads than there should be, the emptiest get nothing more, so that they end with what they have. */
function kept(
  others: readonly ThreadLoad[],
  shared: readonly ThreadLoad[],
  sharedThreads: number,
): readonly ThreadLoad[] {
  const fullest = new Set(
    shared.toSorted((one, other) => other.connections - one.connections).slice(0, sharedThreads),
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
