/** What a thread with one live tunnel takes, upper end (measured on Node.js 24: 16–21 MiB, of them 11 for an empty one). */
const threadBytes = 24 * 2 ** 20;
/** Threads wait more than they work; beyond this per core they only take memory. */
const threadsPerCore = 16;

/** How many threads there may be where `--max-threads` does not say: half of the memory, bounded by the cores. */
export function defaultMaxThreads(cores: number, memoryBytes: number): number {
  return Math.max(2, Math.min(cores * threadsPerCore, Math.floor(memoryBytes / 2 / threadBytes)));
}

/** `auto`: one more shared thread for each so many tunnels, so that one death costs few of them … */
const tunnelsPerSharedThread = 25;
/**
 * … up to this many per core. Each one more costs 14 MiB: with six of them a thousand tunnels on two cores take more than
 * half a mebibyte each; with four a death takes 500 of their connections along instead of 400.
 */
const sharedThreadsPerCore = 5;
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
      ? Math.min(Math.ceil(tunnels / tunnelsPerSharedThread), cores * sharedThreadsPerCore)
      : Math.ceil((leastShared * tunnels) / tunnelsPerThread);
  return Math.min(mostShared(limits.maxThreads), Math.max(leastShared, wanted));
}

/** One thread is left for a quarantine, unless sharing needs them all. */
export function mostShared(maxThreads: number): number {
  return maxThreads > leastShared ? maxThreads - 1 : maxThreads;
}
