/** What a thread with one live tunnel takes, upper end (measured on Node.js 24: 16–21 MiB, of them 11 for an empty one). */
const threadBytes = 24 * 2 ** 20;
/** Threads wait more than they work; beyond this per core they only take memory. */
const threadsPerCore = 16;

/** How many threads there may be where `--max-threads` does not say: half of the memory, bounded by the cores. */
export function defaultMaxThreads(cores: number, memoryBytes: number): number {
  return Math.max(2, Math.min(cores * threadsPerCore, Math.floor(memoryBytes / 2 / threadBytes)));
}

/** `auto`: one more shared thread for each so many tunnels, so that one death costs few of them … */
const tunnelsPerSharedThread = 10;
/**
 * … up to this many, or one for each core where there are more. A thousand tunnels then lose 286 connections with a thread,
 * as many as two cores and an edge on them dial within a second. Each thread costs 14 MiB.
 */
const mostSharedThreads = 14;
/** A tunnel's connections are spread over two threads. */
const leastShared = 2;

export interface ThreadLimits {
  readonly cores: number;
  readonly maxThreads: number;
  /** Most tunnels on one thread. */
  readonly tunnelsPerThread: 'auto' | number;
}

/** How many threads so many tunnels should share. */
export function sharedThreads(tunnels: number, limits: ThreadLimits): number {
  const { cores, tunnelsPerThread } = limits;
  const wanted =
    tunnelsPerThread === 'auto'
      ? Math.min(Math.ceil(tunnels / tunnelsPerSharedThread), Math.max(mostSharedThreads, cores))
      : Math.ceil((leastShared * tunnels) / tunnelsPerThread);
  return Math.min(mostShared(limits.maxThreads), Math.max(leastShared, wanted));
}

/** One thread is left for a quarantine, unless sharing needs them all. */
export function mostShared(maxThreads: number): number {
  return maxThreads > leastShared ? maxThreads - 1 : maxThreads;
}
