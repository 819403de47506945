import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../fuzz/random.ts';
import { acts } from './acts.ts';
import { type Arena, exitOnSignals, openArena } from './arena.ts';
import type { FaultKind } from './faults.ts';
import { Load } from './load.ts';
import { grows, type Point, type Slope, slopeOf } from './slope.ts';

/**
 * `npm run soak`: churn and load without pause, and what the controller's process holds, sampled. Exit code 1 if
 * anything grows faster than its bound, or a host does not serve at the end.
 */

const usage = `Usage: npm run soak -- [FLAGS]

Ingresses come and go, endpoints roll, connections and threads die, every host is under load; memory, file
descriptors, threads and timers of the controller's process are sampled, and their slopes reported.

  --minutes N   how long, beyond the warm-up (default 20)
  --warm-up N   minutes before the samples count (default 3)
  --hosts N     hosts under load (default 6)
  --json FILE   every sample as a line of JSON
`;

/** What is sampled; in MiB or pieces. */
interface Sample {
  readonly ms: number;
  readonly rssMib: number;
  readonly heapMib: number;
  readonly externalMib: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly timers: number;
}

type Measure = Exclude<keyof Sample, 'ms'>;

/**
 * Growth an hour that counts as none: room for what the allocator and the compilers still do after the warm-up. Chosen,
 * not measured; resident memory has been seen to grow faster (docs/reliability.md). A leak of one tunnel's state in each
 * change (some 40 KiB, 700 changes an hour) is more than the bound of any of the three kinds of memory.
 */
const bounds: Readonly<Record<Measure, number>> = {
  rssMib: 24,
  heapMib: 6,
  externalMib: 6,
  descriptors: 6,
  threads: 1,
  timers: 6,
};

/** Each step one of these; what costs calls to Cloudflare stays far below the budget of 1,200 in five minutes. */
const churn: readonly FaultKind[] = [
  'ingress-recreated',
  'endpoints-roll',
  'endpoints-gone',
  'ingress-bad-annotation',
  'edge-cut-one',
  'edge-goaway',
  'edge-cut-host',
  'kubernetes-watches-drop',
  'kubernetes-watches-expire',
];
const stepMs = 4_000;
const lengthMs = 1_000;
/** A thread dies now and then; more often would move every tunnel into quarantine. */
const threadDeathEveryMs = 11 * 60_000;
const sampleEveryMs = 5_000;
const setupLimitMs = 120_000;
const haConnections = 4;
const pauseMs = 25;
const mib = 2 ** 20;

exitOnSignals();
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  const options = readOptions(argv);
  if (typeof options === 'string') {
    process.stderr.write(`soak: ${options}\n`);
    return 2;
  }
  const arena = await openArena({ hosts: options.hosts, pods: 0, replicas: 1, haConnections, flags: [] });
  try {
    return await soak(arena, options);
  } finally {
    await arena.stop();
  }
}

interface Options {
  readonly minutes: number;
  readonly warmUpMinutes: number;
  readonly hosts: number;
  readonly json: string | null;
}

async function soak(arena: Arena, { minutes, warmUpMinutes, json }: Options): Promise<number> {
  arena.startControllers();
  arena.applyHosts();
  const hosts = arena.hosts.map(({ host }) => host);
  const allServe = (): boolean => arena.hosts.every((host) => arena.hasAllConnections(host));
  await arena.until('every host has all its connections', setupLimitMs, allServe);
  const load = new Load(arena, hosts, pauseMs);
  const over = new AbortController();
  const churning = churnUntil(arena, over.signal);
  const samples: Sample[] = [];
  const startMs = arena.now();
  const totalMs = (minutes + warmUpMinutes) * 60_000;
  let steps = 0;
  try {
    while (arena.now() - startMs < totalMs) {
      await sleep(sampleEveryMs);
      const sample = await sampled(arena);
      if (json !== null) appendFileSync(json, `${JSON.stringify(sample)}\n`);
      if (sample.ms - startMs >= warmUpMinutes * 60_000) samples.push(sample);
    }
  } finally {
    over.abort();
    steps = await churning;
  }
  await arena.until('every host serves at the end', setupLimitMs, () => {
    const nowMs = arena.now() - 1_000;
    return allServe() && hosts.every((host) => load.servesSince(host, nowMs));
  });
  await load.stop();
  print(
    `${load.total} requests, ${load.failures.length} failed; ${steps} changes; ${samples.length} samples`,
  );
  const { restarts } = arena.first.process.view();
  if (restarts > 0) print(`the controller ended by itself: ${arena.news.join('; ')}`);
  return report(samples) && restarts === 0 ? 0 : 1;
}

async function churnUntil(arena: Arena, signal: AbortSignal): Promise<number> {
  const random = new Random(1);
  let steps = 0;
  let nextDeathMs = arena.now() + threadDeathEveryMs / 2;
  while (!signal.aborted) {
    const isDeath = arena.now() >= nextDeathMs;
    if (isDeath) nextDeathMs += threadDeathEveryMs;
    const kind = isDeath ? 'thread-exits' : random.pick(churn);
    const act = await acts[kind](arena, { host: random.pick(arena.hosts), pick: random.uint32() });
    await sleep(lengthMs);
    await act?.end?.();
    steps += 1;
    await sleep(stepMs - lengthMs, null, { signal }).catch(() => {});
  }
  return steps;
}

async function sampled(arena: Arena): Promise<Sample> {
  const { rssBytes, heapUsedBytes, externalBytes, resources } = await arena.first.process.memory();
  const threads = await arena.first.process.threads();
  const descriptors = await arena.first.descriptors();
  return {
    ms: Math.round(arena.now()),
    rssMib: rssBytes / mib,
    heapMib: heapUsedBytes / mib,
    externalMib: externalBytes / mib,
    descriptors: [...descriptors.values()].reduce((sum, count) => sum + count, 0),
    threads: threads.length,
    timers: resources.Timeout ?? 0,
  };
}

/** True when nothing grows. */
function report(samples: readonly Sample[]): boolean {
  const measures = Object.keys(bounds) as readonly Measure[];
  const rows = measures.map((measure) => {
    const points: readonly Point[] = samples.map((sample) => ({ ms: sample.ms, value: sample[measure] }));
    const slope = slopeOf(points);
    const values = points.map(({ value }) => value);
    return { measure, slope, values, isGrowing: grows(slope, bounds[measure]) };
  });
  print(
    `${'measure'.padEnd(14)}${'least'.padStart(9)}${'most'.padStart(9)}  an hour, ± 2 standard errors (bound)`,
  );
  for (const { measure, slope, values, isGrowing } of rows) {
    const range = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(1).padStart(9));
    print(
      `${measure.padEnd(14)}${range.join('')}  ${words(slope)} (${bounds[measure]})${isGrowing ? ' GROWS' : ''}`,
    );
  }
  return rows.every(({ isGrowing }) => !isGrowing);
}

function words({ perHour, errorPerHour }: Slope): string {
  return `${perHour >= 0 ? '+' : ''}${perHour.toFixed(2)} ± ${(2 * errorPerHour).toFixed(2)}`;
}

function readOptions(argv: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        minutes: { type: 'string', default: '20' },
        'warm-up': { type: 'string', default: '3' },
        hosts: { type: 'string', default: '6' },
        json: { type: 'string' },
      },
    });
    return {
      minutes: positive('--minutes', values.minutes),
      warmUpMinutes: positive('--warm-up', values['warm-up']),
      hosts: positive('--hosts', values.hosts),
      json: values.json ?? null,
    };
  } catch (error) {
    return (error as Error).message;
  }
}

/** `--minutes 0.5` is half a minute. */
function positive(flag: string, text: string): number {
  const value = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new Error(`${flag}: got ${JSON.stringify(text)}, expected a number above 0`);
  return value;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
