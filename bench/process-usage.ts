import { readdirSync, readFileSync } from 'node:fs';

/** What a process has used, as Linux tells it. */
export interface ProcessUsage {
  /** User and system time of its threads since it started. */
  readonly cpuUs: number;
  /** Resident memory. */
  readonly rssBytes: number;
}

/** Linux counts in hundredths of a second here on every machine that Node.js runs on (USER_HZ). */
const tickUs = 10_000;

/** Null where the system does not say (no `/proc`), or the process is gone. */
export function processUsage(pid: number): ProcessUsage | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in brackets may hold spaces, so counting starts behind it: proc(5), fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const rssKib = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
    return { cpuUs: threadsUs(pid) ?? ticks * tickUs, rssBytes: Number(rssKib) * 1024 };
  } catch {
    return null;
  }
}

/**
 * What the scheduler has counted for the threads that there are, in nanoseconds at its side: a window of a second at
 * 1 MiB holds 25 ticks. Null where the kernel does not say (CONFIG_SCHED_INFO). Threads that have ended are not in it;
 * those of the measured processes live as long as these do.
 */
function threadsUs(pid: number): number | null {
  const times = threadTimesUs(pid);
  return times && [...times.values()].reduce((sum, us) => sum + us, 0);
}

/** The same for each thread by its id, for what is measured while one of them ends. */
export function threadTimesUs(pid: number): ReadonlyMap<string, number> | null {
  const times = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const timeUs = threadTimeUs(`/proc/${pid}/task/${thread}/schedstat`);
      if (timeUs !== null) times.set(thread, timeUs);
    }
  } catch {
    return null;
  }
  return times.size > 0 ? times : null;
}

/** Null where the thread ended since it was listed, or the kernel says this of none. */
function threadTimeUs(path: string): number | null {
  try {
    return Number(readFileSync(path, 'latin1').split(' ', 1)[0]) / 1_000;
  } catch {
    return null;
  }
}
