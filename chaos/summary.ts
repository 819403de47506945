import { type FaultKind, faultKinds } from './faults.ts';
import type { ChaosOutcome } from './run.ts';

/** What was measured of one fault. */
export interface FaultRow {
  readonly index: number;
  readonly kind: FaultKind;
  readonly host: string;
  /** From its end until the last host that it concerned was whole; null if one never was. */
  readonly wholeAfterMs: number | null;
  /** Failed requests of the hosts concerned while it lasted and until they were whole; others may have caused them. */
  readonly failed: number;
}

export function rowsOf({ faults, failures }: ChaosOutcome): readonly FaultRow[] {
  return faults.map(({ index, kind, host, rule, startMs, endMs, wholeMs }) => {
    const lastMs = Math.max(...wholeMs.values());
    const isKnown = Number.isFinite(lastMs);
    const failed = failures.filter(
      (request) =>
        (rule.hosts === 'every' || request.host === host) &&
        request.endMs >= startMs &&
        request.startMs <= (wholeMs.get(request.host) ?? Number.POSITIVE_INFINITY),
    ).length;
    return { index, kind, host, wholeAfterMs: isKnown ? Math.round(lastMs - endMs) : null, failed };
  });
}

/** One line on a run as a whole. */
export function summary(outcome: ChaosOutcome): string {
  const { requests, failures, faults, skipped, secrets, holdings } = outcome;
  const words = [
    `${requests} requests, ${failures.length} failed; ${faults.length} faults, ${skipped} found nothing to break`,
    `${secrets} secrets looked for`,
  ];
  if (holdings !== null) {
    const [before, after] = holdings;
    const change = (what: keyof typeof before, unit = 1): string =>
      `${what} ${Math.round(before[what] / unit)} → ${Math.round(after[what] / unit)}`;
    words.push(
      `held before and after: ${change('threads')}, ${change('sockets')}, ${change('timers')}, heap MiB ${change('heapBytes', 2 ** 20).slice('heapBytes '.length)}`,
    );
  }
  return words.join('; ');
}

/** What was measured of each kind, in Markdown. */
export function table(rows: readonly FaultRow[]): string {
  const lines = faultKinds.flatMap((kind) => {
    const own = rows.filter((row) => row.kind === kind);
    const times = own
      .flatMap(({ wholeAfterMs }) => (wholeAfterMs === null ? [] : [wholeAfterMs]))
      .sort(ascending);
    if (own.length === 0) return [];
    const failed = own.reduce((sum, row) => sum + row.failed, 0);
    const median = times[Math.floor(times.length / 2)];
    return [`| ${kind} | ${own.length} | ${failed} | ${seconds(median)} | ${seconds(times.at(-1))} |`];
  });
  return [
    '| fault | times | failed requests | whole again after, median | most |',
    '|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

function ascending(one: number, other: number): number {
  return one - other;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? 'never' : `${(ms / 1000).toFixed(1)} s`;
}
