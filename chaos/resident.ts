/** Where the resident memory of a process is; bytes. */
export interface Resident {
  readonly rss: number;
  /** Of no file: heaps, stacks, what was allocated. */
  readonly anonymous: number;
  /** Of that, what is glibc's: the first heap and the arenas of further threads. */
  readonly malloc: number;
}

/** An arena of glibc's malloc (`HEAP_MAX_SIZE`): as long, and begins at a multiple of that. */
const arenaBytes = 64 * 2 ** 20;

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly access: string;
  readonly name: string;
  rss: number;
  anonymous: number;
}

/** Reads `/proc/PID/smaps` (proc_pid_smaps(5)). Pure. */
export function readSmaps(text: string): Resident {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (header !== null) {
      const [start, end] = [header[1], header[2]].map((hex) => Number.parseInt(hex!, 16));
      const [access, name] = [header[3]!, header[4]!];
      mappings.push({ start: start!, end: end!, access, name, rss: 0, anonymous: 0 });
      continue;
    }
    const [, key, kib] = /^(Rss|Anonymous): +(\d+) kB$/.exec(line) ?? [];
    const last = mappings.at(-1);
    if (last === undefined || kib === undefined) continue;
    if (key === 'Rss') last.rss = Number(kib) * 1024;
    else last.anonymous = Number(kib) * 1024;
  }
  const sum = (key: 'rss' | 'anonymous', of: readonly Mapping[]): number =>
    of.reduce((total, mapping) => total + mapping[key], 0);
  const isMalloc = (mapping: Mapping, index: number): boolean =>
    mapping.name === '[heap]' || isArena(mapping, mappings[index + 1]);
  return {
    rss: sum('rss', mappings),
    anonymous: sum('anonymous', mappings),
    malloc: sum('rss', mappings.filter(isMalloc)),
  };
}

/** What of it is in use can be written, the rest behind it is only reserved. */
function isArena({ start, end, access, name }: Mapping, next: Mapping | undefined): boolean {
  if (name !== '' || access !== 'rw-p' || start % arenaBytes !== 0) return false;
  const isReserved = next !== undefined && next.start === end && next.access === '---p';
  return end === start + arenaBytes || (isReserved && next.end === start + arenaBytes);
}
