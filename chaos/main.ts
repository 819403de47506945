import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { exitOnSignals } from './arena.ts';
import { faultKinds, ruleOf } from './faults.ts';
import { hostsNumbered } from './hosts.ts';
import { type ChaosOptions, readOptions, usage } from './options.ts';
import { type ChaosOutcome, runChaos } from './run.ts';
import { oneByOne, type PlannedFault, schedule } from './schedule.ts';
import { type FaultRow, rowsOf, summary, table } from './summary.ts';

/**
 * `npm run chaos`: one run after the other, what each broke and what became of it. Exit code 1 if a promise was not
 * kept; then the command that runs it again is printed, and where the controller's log is.
 */

const foundFolder = join('chaos', 'found');
const haConnections = 4;
const pauseMs = 25;

exitOnSignals();
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) return print(usage);
  const options = readOptions(argv, Math.random);
  if (typeof options === 'string') {
    process.stderr.write(`chaos: ${options}\n`);
    return 2;
  }
  if (options.list) return list(options);
  let broken = 0;
  const rows: FaultRow[] = [];
  for (let run = 0; run < options.runs; run += 1) {
    const seed = options.seed + run;
    const again = commandFor(options, seed);
    print(`seed ${seed}: ${again}\n`);
    mkdirSync(foundFolder, { recursive: true });
    const keepAs = join(foundFolder, `seed-${seed}`);
    const outcome = await runChaos({
      plan: planOf(options, seed),
      hosts: options.hosts,
      pods: options.pods,
      replicas: options.replicas,
      haConnections,
      flags: options.tunnelsPerThread === '1' ? ['--tunnels-per-thread=1'] : [],
      apart: options.apart,
      patience: options.patience,
      pauseMs,
      keepAs,
      onNews: (news) => print(`  ${news}\n`),
    });
    report(outcome, seed);
    rows.push(...rowsOf(outcome));
    if (options.json !== null) {
      appendFileSync(
        options.json,
        rowsOf(outcome)
          .map((row) => `${JSON.stringify({ seed, ...row })}\n`)
          .join(''),
      );
    }
    if (outcome.violations.length === 0) continue;
    broken += 1;
    print(`again: ${again}\nwhat is known of it: ${keepAs}\n`);
  }
  print(`\n${table(rows)}\n`);
  return broken === 0 ? 0 : 1;
}

function planOf(
  { faults, hosts, pods, kinds, only, apart }: ChaosOptions,
  seed: number,
): readonly PlannedFault[] {
  return (apart ? oneByOne : schedule)({ seed, count: faults, hosts, pods, kinds }).filter(
    ({ index }) => only?.includes(index) ?? true,
  );
}

function list(options: ChaosOptions): number {
  // Whoever reads may have seen enough, as `head` has.
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
  const hosts = hostsNumbered(options.hosts, options.pods);
  for (const { index, kind, host, atMs, lengthMs } of planOf(options, options.seed)) {
    const where = ruleOf(kind).hosts === 'own' ? hosts[host]!.host : `${ruleOf(kind).hosts} host`;
    print(
      `${index}\t${(atMs / 1000).toFixed(1)} s\tfor ${(lengthMs / 1000).toFixed(1)} s\t${kind}\t${where}\n`,
    );
  }
  print(`\n${faultKinds.map((kind) => `${kind}: ${ruleOf(kind).what}\n`).join('')}`);
  return 0;
}

function report(outcome: ChaosOutcome, seed: number): void {
  print(`${summary(outcome)}\n`);
  const { violations } = outcome;
  if (violations.length === 0) print(`seed ${seed}: every promise was kept\n`);
  else
    print(
      `seed ${seed}: NOT KEPT\n${violations
        .slice(0, 40)
        .map((one) => `  - ${one}\n`)
        .join('')}`,
    );
  if (violations.length > 40) print(`  and ${violations.length - 40} more\n`);
}

function commandFor(options: ChaosOptions, seed: number): string {
  const { faults, hosts, pods, replicas } = options;
  const words = ['npm run chaos --', `--seed ${seed} --faults ${faults} --hosts ${hosts} --pods ${pods}`];
  if (replicas > 1) words.push(`--replicas ${replicas}`);
  if (options.only !== null) words.push(`--only ${options.only.join(',')}`);
  words.push(...options.choice);
  if (options.apart) words.push('--apart');
  if (options.tunnelsPerThread === '1') words.push('--tunnels-per-thread 1');
  if (options.patience !== 1) words.push(`--patience ${options.patience}`);
  return words.join(' ');
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
