import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../fuzz/random.ts';
import { acts } from './acts.ts';
import { type Arena, exitOnSignals, openArena } from './arena.ts';
import { Changes } from './changes.ts';
import type { FaultKind } from './faults.ts';
import { type Growth, growthOf } from './growth.ts';
import { Load } from './load.ts';
import { type Sample, sampled } from './sampling.ts';
import type { Slope } from './slope.ts';

/**
 * `npm run soak`: churn and load without pause, and what the controller's process holds, sampled. Exit code 1 if
 * anything grows faster than its bound, or a host does not serve at the end.
 */

const usage = `Usage: npm run soak -- [FLAGS]

Ingresses change ten times a second, come and go, endpoints roll, connections and threads die, every host is under load;
memory of every thread, file descriptors and timers of the controller's process are sampled, and their slopes reported.

  --minutes N   how long, beyond the warm-up (default 20)
  --warm-up N   minutes before the samples count (default 4)
  --hosts N     hosts under load (default 6)
  --leak N      lets the controller keep N bytes for each change of an Ingress, from outside: the soak has to notice
  --json FILE   every sample as a line of JSON
  --log FILE    the controller's log
`;

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
/** Who looks leaves something as well: an attached inspector costs the process some 14 KiB. */
const sampleEveryMs = 15_000;
const setupLimitMs = 120_000;
const haConnections = 4;
const pauseMs = 25;

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
  readonly leakBytes: number;
  readonly json: string | null;
  readonly log: string | null;
}

async function soak(arena: Arena, options: Options): Promise<number> {
  const { minutes, warmUpMinutes, leakBytes, json, log } = options;
  if (log !== null) arena.first.onLine((line) => appendFileSync(log, `${line}\n`));
  arena.startControllers();
  arena.applyHosts();
  const hosts = arena.hosts.map(({ host }) => host);
  const allServe = (): boolean => arena.hosts.every((host) => arena.hasAllConnections(host));
  await arena.until('every host has all its connections', setupLimitMs, allServe);
  if (leakBytes > 0) await arena.first.process.evaluate(leaking(leakBytes));
  const load = new Load(arena, hosts, pauseMs);
  const over = new AbortController();
  const churning = churnUntil(arena, over.signal);
  const samples: Sample[] = [];
  const startMs = arena.now();
  const totalMs = (minutes + warmUpMinutes) * 60_000;
  let missed = 0;
  let counts = { steps: 0, changes: 0 };
  try {
    while (arena.now() - startMs < totalMs) {
      await sleep(sampleEveryMs);
      // A thread that ends while it is asked gives no answer.
      const sample = await sampled(arena.first, arena.now()).catch(() => null);
      if (sample === null) missed += 1;
      else if (sample.ms - startMs >= warmUpMinutes * 60_000) samples.push(sample);
      if (json !== null) appendFileSync(json, `${JSON.stringify(sample)}\n`);
    }
  } finally {
    over.abort();
    counts = await churning;
  }
  await arena.until('every host serves at the end', setupLimitMs, () => {
    const nowMs = arena.now() - 1_000;
    return allServe() && hosts.every((host) => load.servesSince(host, nowMs));
  });
  await load.stop();
  print(`${load.total} requests, ${load.failures.length} failed; ${counts.changes} changes of an Ingress`);
  print(`${counts.steps} other steps; ${samples.length} samples, ${missed} missed`);
  const { restarts } = arena.first.process.view();
  if (restarts > 0) print(`the controller ended by itself: ${arena.news.join('; ')}`);
  return report(growthOf(samples)) && restarts === 0 ? 0 : 1;
}

/** Ends with the signal, and says how much it has done. */
async function churnUntil(arena: Arena, signal: AbortSignal): Promise<{ steps: number; changes: number }> {
  const random = new Random(1);
  let steps = 0;
  const changes = new Changes(arena, arena.hosts);
  let nextDeathMs = arena.now() + threadDeathEveryMs / 2;
  while (!signal.aborted) {
    const isDeath = arena.now() >= nextDeathMs;
    if (isDeath) nextDeathMs += threadDeathEveryMs;
    const kind = isDeath ? 'thread-exits' : random.pick(churn);
    const host = random.pick(arena.hosts);
    const act = await acts[kind](arena, { host, pick: random.uint32() });
    await sleep(lengthMs);
    await act?.end?.();
    steps += 1;
    await sleep(stepMs - lengthMs, null, { signal }).catch(() => {});
  }
  changes.stop();
  return { steps, changes: changes.count };
}

/** Code for the controller's main thread that keeps something for each line of a watch about an Ingress. */
function leaking(bytes: number): string {
  return `{
    const { parse } = JSON;
    const kept = (globalThis.kept = []);
    JSON.parse = (text, reviver) => {
      if (/^.{0,100}"kind":"Ingress"/.test(text)) kept.push(new Array(${Math.ceil(bytes / 8)}).fill(kept.length));
      return parse(text, reviver);
    };
  }`;
}

/** True when nothing grows. */
function report(growths: readonly Growth[]): boolean {
  const head = ['measure', 'least', 'most', 'an hour, ± 2 standard errors', 'bound'];
  print(`| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}`);
  for (const { measure, least, most, slope, boundPerHour, isGrowing } of growths) {
    const cells = [measure, least.toFixed(1), most.toFixed(1), words(slope), `${boundPerHour}`];
    print(`| ${cells.join(' | ')} |${isGrowing ? ' GROWS' : ''}`);
  }
  return growths.every(({ isGrowing }) => !isGrowing);
}

function words({ perHour, errorPerHour }: Slope): string {
  return `${perHour >= 0 ? '+' : '−'}${Math.abs(perHour).toFixed(1)} ± ${(2 * errorPerHour).toFixed(1)}`;
}

function readOptions(argv: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        minutes: { type: 'string', default: '20' },
        'warm-up': { type: 'string', default: '4' },
        hosts: { type: 'string', default: '6' },
        leak: { type: 'string' },
        json: { type: 'string' },
        log: { type: 'string' },
      },
    });
    return {
      minutes: positive('--minutes', values.minutes),
      warmUpMinutes: positive('--warm-up', values['warm-up']),
      hosts: positive('--hosts', values.hosts),
      leakBytes: values.leak === undefined ? 0 : positive('--leak', values.leak),
      json: values.json ?? null,
      log: values.log ?? null,
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
