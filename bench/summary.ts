import type { Case } from './cases.ts';
import type { Measured } from './generator/load.ts';

/** One row of `--json`: medians over the processes of each one's median over its rounds. Null where there is nothing to say. */
export interface Row {
  readonly case: string;
  readonly connector: string;
  readonly requests_per_second: number;
  readonly p50_us: number;
  readonly p99_us: number;
  /** Of the connector's process; of an idle case per connection that was opened. */
  readonly cpu_us_per_request: number | null;
  readonly rss_mib: number | null;
  /** Of `cpu_us_per_request`; of an idle and of a hosted case of `rss_mib`. */
  readonly ratio_to_cloudflared: number | null;
}

/** What one contestant did in one case: of each of its processes a value per round. */
export interface Rounds {
  readonly contestant: string;
  readonly processes: readonly (readonly Measured[])[];
}

export function summarise(name: string, kind: Case['kind'], all: readonly Rounds[]): readonly Row[] {
  const rows = all.map(({ contestant, processes }) => ({
    case: name,
    connector: contestant,
    requests_per_second: rounded(median(ofEach(processes, (round) => round.requestsPerSecond)) ?? 0, 1),
    p50_us: rounded(median(ofEach(processes, (round) => round.p50Us)) ?? 0, 1),
    p99_us: rounded(median(ofEach(processes, (round) => round.p99Us)) ?? 0, 1),
    cpu_us_per_request: rounded(median(cpuOfProcesses(processes)), 1),
    rss_mib: rounded(median(ofEach(processes, (round) => round.rssBytes)), 1 << 20),
  }));
  const compared = (row: (typeof rows)[number] | undefined): number | null =>
    (kind === 'load' ? row?.cpu_us_per_request : row?.rss_mib) ?? null;
  const reference = compared(rows.find(({ connector }) => connector === 'cloudflared'));
  return rows.map((row) => ({ ...row, ratio_to_cloudflared: ratio(compared(row), reference) }));
}

/** CPU µs per request of each process, in the order of their turns. */
export function cpuOfProcesses(processes: Rounds['processes']): readonly (number | null)[] {
  return ofEach(processes, (round) => round.cpuUsPerRequest);
}

/** So that a process counts once, however many rounds fell to it. */
function ofEach(
  processes: Rounds['processes'],
  value: (round: Measured) => number | null,
): readonly (number | null)[] {
  return processes.map((rounds) => median(rounds.map(value)));
}

/** Null if any value is missing: a median of what is left would compare different rounds. */
export function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  if (known.length === 0 || known.length < values.length) return null;
  const middle = known.length >> 1;
  return known.length % 2 === 1 ? known[middle]! : (known[middle - 1]! + known[middle]!) / 2;
}

export function ratio(value: number | null, reference: number | null): number | null {
  return value === null || reference === null || reference === 0
    ? null
    : Math.round((value / reference) * 1000) / 1000;
}

function rounded(value: number, unit: number): number;
function rounded(value: number | null, unit: number): number | null;
function rounded(value: number | null, unit: number): number | null {
  return value === null ? null : Math.round((value / unit) * 10) / 10;
}
