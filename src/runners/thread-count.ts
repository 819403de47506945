/** What a thread with one live tunnel takes, upper end (measured: 8–16 MB). */
const threadBytes = 16 * 2 ** 20;
/** Threads wait more than they work; beyond this per core they only take memory. */
const threadsPerCore = 16;

/** How many threads there may be where `--max-threads` does not say: half of the memory, bounded by the cores. */
export function defaultMaxThreads(cores: number, memoryBytes: number): number {
  return Math.max(2, Math.min(cores * threadsPerCore, Math.floor(memoryBytes / 2 / threadBytes)));
}
