import type { Calls, Measured, Start } from './measured.ts';

/** What was measured, in lines that a person reads; `least` is the smallest world of the same run. */
export function linesOf(measured: Measured, least: Measured): readonly string[] {
  const { first, cold, idle, newIngress, change, roll, threadDeath } = measured;
  const lines = [`\n${measured.ingresses} Ingresses, ${measured.threads ?? '–'} threads`];
  const line = (title: string, ...facts: readonly string[]): void =>
    void lines.push(`  ${title.padEnd(8)}${facts.join(', ')}`);
  if (first !== null) line('first', `${first.ingresses} new ones`, ...startWords(first));
  if (cold !== null) line('cold', ...startWords(cold));
  if (idle !== null) {
    line(
      'idle',
      `CPU ${idle.cpuPercent.toFixed(2)} % of a core`,
      `${idle.rssMib.toFixed(0)} MiB (peak ${idle.peakRssMib.toFixed(0)})`,
      `${perTunnel(measured, least)}`,
      `loop p99 ${ms(idle.p99Ms)}`,
      `${callWords(idle.calls)} in ${idle.seconds.toFixed(0)} s`,
      `${idle.mibPerHour.toFixed(1)} MiB an hour`,
    );
  }
  if (newIngress !== null) {
    line(
      'new',
      `answered after ${ms(median(newIngress.answeredMs))} (longest ${ms(Math.max(...newIngress.answeredMs))})`,
      `loop max ${ms(newIngress.maxMs)}`,
      callWords(newIngress.calls),
    );
  }
  if (change !== null) {
    line(
      'change',
      `${change.ingresses} at once`,
      `all answered after ${ms(change.allAnsweredMs)}`,
      `CPU ${change.cpuMsEach.toFixed(2)} ms each`,
      `loop max ${ms(change.maxMs)}`,
      callWords(change.calls),
    );
  }
  if (roll !== null) {
    line(
      'roll',
      `${roll.events} events, ${roll.eventsPerMinute.toFixed(0)} a minute`,
      `CPU ${roll.cpuMsEach.toFixed(3)} ms each beyond the ${roll.idleCpuPercent.toFixed(1)} % of rest (${(roll.cpuMs / roll.events).toFixed(3)} ms with it; the first ones ${roll.firstCpuMsEach.toFixed(3)} ms)`,
      `followed after ${ms(median(roll.lagMs))} (longest ${ms(Math.max(...roll.lagMs))})`,
      `loop p99 ${ms(roll.p99Ms)}, max ${ms(roll.maxMs)}`,
      callWords(roll.calls),
    );
  }
  if (threadDeath !== null) {
    const { lost, halfMs, nearlyAllMs, allMs, cpuMs, worldCpuMs, requests } = threadDeath;
    const { failedInFlight, failedLater, moved, movedHalfMs, movedAllMs } = threadDeath;
    line(
      'thread',
      `${lost} connections lost`,
      `half are back after ${ms(halfMs)}, 99 % after ${ms(nearlyAllMs)}, all after ${ms(allMs)}`,
      ...(moved > 0
        ? [`${moved} moved`, `half of these are back after ${ms(movedHalfMs)}, all after ${ms(movedAllMs)}`]
        : []),
      `CPU ${(cpuMs / lost).toFixed(1)} ms each, ${(worldCpuMs / lost).toFixed(1)} ms of the edge's process`,
      `of ${requests} requests ${failedInFlight} failed that were under way, ${failedLater} that came later`,
    );
  }
  if (measured.stopMs !== null) line('stop', ms(measured.stopMs));
  return lines;
}

function startWords(start: Start): readonly string[] {
  return [
    `served from ${ms(start.firstServedMs)} to ${ms(start.allServedMs)}`,
    `all connections ${ms(start.allConnectedMs)}`,
    `ready ${ms(start.readyMs)}`,
    `CPU ${ms(start.cpuMs)}`,
    `loop p99 ${ms(start.p99Ms)}, max ${ms(start.maxMs)}`,
    callWords(start.calls),
  ];
}

function perTunnel(measured: Measured, least: Measured): string {
  const more = measured.ingresses - least.ingresses;
  if (more <= 0 || measured.idle === null || least.idle === null) return 'per tunnel –';
  const mib = (measured.idle.rssMib - least.idle.rssMib) / more;
  return `${mib.toFixed(3)} MiB a tunnel beyond the first ${least.ingresses}`;
}

function callWords({ kubernetes, cloudflare }: Calls): string {
  return `calls: ${kubernetes} Kubernetes, ${cloudflare} Cloudflare`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function ms(value: number | null): string {
  if (value === null) return '–';
  return value < 100
    ? `${value.toFixed(1)} ms`
    : value < 10_000
      ? `${value.toFixed(0)} ms`
      : `${(value / 1_000).toFixed(1)} s`;
}
