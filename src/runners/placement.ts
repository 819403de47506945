/** Which thread carries which of a tunnel's connections: a pure decision over what runs now. */

export interface ThreadLoad {
  readonly id: string;
  readonly tunnels: number;
}

export interface PlacementLimits {
  readonly maxThreads: number;
  /** Most tunnels on one thread; `auto`: as many as there are, once there are `maxThreads` threads. */
  readonly tunnelsPerThread: 'auto' | number;
}

/** One part of a tunnel: some of its HA connections on one thread; null stands for a thread still to be made. */
export interface Part {
  readonly thread: string | null;
  readonly connections: readonly number[];
}

/**
 * A thread of its own for each tunnel while there may be more threads, then the one with the fewest tunnels.
 * Null when every thread is full.
 */
export function placeTunnel(
  connections: readonly number[],
  threads: readonly ThreadLoad[],
  limits: PlacementLimits,
): readonly Part[] | null {
  if (threads.length < limits.maxThreads) return [{ thread: null, connections }];
  const most = limits.tunnelsPerThread === 'auto' ? Number.POSITIVE_INFINITY : limits.tunnelsPerThread;
  const [emptiest] = threads
    .filter(({ tunnels }) => tunnels < most)
    .toSorted((one, other) => one.tunnels - other.tunnels);
  return emptiest === undefined ? null : [{ thread: emptiest.id, connections }];
}
