import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Which CPUs the processes of a bench run on, as lists for `taskset`; null: wherever the system puts them. */
export interface Placement {
  readonly connector: string | null;
  readonly others: string | null;
  /** For whoever reads the results. */
  readonly words: string;
}

/** A connector alone on the last CPU that this process may use, everything else on the others. */
export function placement(): Placement {
  if (spawnSync('taskset', ['--version']).status !== 0) return unpinned('there is no taskset');
  const cpus = allowedCpus(readStatus());
  const last = cpus.at(-1);
  if (last === undefined || cpus.length < 2) return unpinned('there is one CPU only');
  const others = cpus.slice(0, -1).join(',');
  return { connector: `${last}`, others, words: `connector pinned to CPU ${last}, the rest to ${others}` };
}

/** The numbers in `Cpus_allowed_list` of proc(5): `0-3,6`. */
export function allowedCpus(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  if (list === undefined) return [];
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}

function unpinned(why: string): Placement {
  return { connector: null, others: null, words: `nothing is pinned: ${why}` };
}
