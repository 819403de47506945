import { type FaultKind, faultKinds } from './faults.ts';
import type { Holdings } from './leftovers.ts';
import { promiseOf } from './promise.ts';
import type { ChaosOutcome } from './run.ts';

/** What was measured of one fault. */
export interface FaultRow {
  readonly index: number;
  readonly kind: FaultKind;
  /** What it was about, where it was not about all. */
  readonly host: string | null;
  /** From its end until the last host that it concerned was whole; null if one never was. */
  readonly wholeAfterMs: number | null;
  /** Failed requests of the hosts concerned while it lasted and until they were whole; others may have caused them. */
  readonly failed: number;
}

export function rowsOf({ faults, failures }: ChaosOutcome): readonly FaultRow[] {
  return faults.flatMap(({ index, kind, hosts, startMs, endMs, wholeMs }) => {
    const lastMs = Math.max(...wholeMs.values());
    const isKnown = Number.isFinite(lastMs);
    const failed = failures.filter(
      (request) =>
        hosts.includes(request.host) &&
        request.endMs >= startMs &&
        request.startMs <= (wholeMs.get(request.host) ?? Number.POSITIVE_INFINITY),
    ).length;
    const host = hosts.length === 1 ? hosts[0]! : null;
    if (kind === 'stall') return [];
    return { index, kind, host, wholeAfterMs: isKnown ? Math.round(lastMs - endMs) : null, failed };
  });
}

/** One line on a run as a whole. */
export function summary(outcome: ChaosOutcome): string {
  const { requests, changes, failures, faults, skipped, secrets, stalls, holdings } = outcome;
  const words = [
    `${requests} requests, ${failures.length} failed; ${faults.length} faults, ${skipped} found nothing to break`,
    `${changes} changes of an Ingress, ${secrets} secrets looked for`,
  ];
  if (stalls.length > 0) {
    const lengthMs = stalls.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
    words.push(
      `the machine had no time ${stalls.length} times, ${(lengthMs / 1000).toFixed(1)} s in all: what failed then is not judged`,
    );
  }
  for (const { before, serving, servingAfter, after } of holdings) {
    const change = (what: keyof Holdings, unit = 1): string =>
      [before, serving, servingAfter, after].map((each) => Math.round(each[what] / unit)).join(' → ');
    words.push(
      `held without hosts, before the trouble, after it, without hosts: threads ${change('threads')}, sockets ${change('sockets')}, timers ${change('timers')}, heap MiB ${change('heapBytes', 2 ** 20)}, of a thread timers ${change('threadTimers')}, heap MiB ${change('threadHeapBytes', 2 ** 20)}`,
    );
  }
  return words.join('; ');
}

/** What was promised and measured of each kind, as the table in docs/reliability.md has it. */
export function table(rows: readonly FaultRow[]): string {
  const lines = faultKinds.flatMap((kind) => {
    const own = rows.filter((row) => row.kind === kind);
    if (own.length === 0) return [];
    const failed = own.reduce((sum, row) => sum + row.failed, 0);
    const times = own.map(({ wholeAfterMs }) => wholeAfterMs ?? Number.POSITIVE_INFINITY);
    return [`${promiseOf(kind)} ${failed} in ${own.length} | ${seconds(Math.max(...times))} |`];
  });
  return [
    '| fault | what happens | may fail | bound | failed requests | back after, most |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : 'never';
}
