import { cpuOfProcesses, type Rounds, type Row, ratio } from './summary.ts';

const columns: readonly [
  title: string,
  width: number,
  cell: (row: Row, reference: Row | undefined) => string,
][] = [
  ['case', -25, (row) => row.case],
  ['connector', -13, (row) => row.connector],
  ['req/s', 8, (row) => row.requests_per_second.toFixed(0)],
  ['p50 ms', 9, (row) => (row.p50_us / 1000).toFixed(2)],
  ['p99 ms', 9, (row) => (row.p99_us / 1000).toFixed(2)],
  ['CPU µs', 9, (row) => text(row.cpu_us_per_request)],
  ['RSS MiB', 9, (row) => text(row.rss_mib)],
  ['req/s ×', 9, (row, its) => times(row.requests_per_second, its?.requests_per_second)],
  ['p99 ×', 7, (row, its) => times(row.p99_us, its?.p99_us)],
  ['CPU ×', 7, (row, its) => times(row.cpu_us_per_request, its?.cpu_us_per_request)],
  ['RSS ×', 7, (row, its) => times(row.rss_mib, its?.rss_mib)],
];

export function tableHead(): string {
  return columns.map(([title, width]) => padded(title, width)).join('');
}

/** The rows of one case. The columns with × are ratios to cloudflared in the same rounds. */
export function tableLines(rows: readonly Row[]): readonly string[] {
  const reference = rows.find(({ connector }) => connector === 'cloudflared');
  return rows.map((row) => columns.map(([, width, cell]) => padded(cell(row, reference), width)).join(''));
}

/** How far the processes of a contestant are apart, which says how much of a difference is luck. */
export function processesLine({ contestant, processes }: Rounds): string {
  return `  CPU µs of each process of ${contestant}: ${cpuOfProcesses(processes).map(text).join(', ')}`;
}

function text(value: number | null): string {
  return value === null ? '–' : value.toFixed(1);
}

function times(value: number | null, reference: number | null | undefined): string {
  return ratio(value, reference ?? null)?.toFixed(2) ?? '–';
}

/** A negative width is to the left. */
function padded(cell: string, width: number): string {
  return width < 0 ? cell.padEnd(-width) : cell.padStart(width);
}
