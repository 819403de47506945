import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { placement } from './cpus.ts';
import { type BenchOptions, readOptions, usage } from './options.ts';
import { Bench } from './run.ts';
import { type Row, summarise } from './summary.ts';
import { processesLine, tableHead, tableLines } from './table.ts';

/** `npm run bench`: options, one case after the other, a table, a file. Exit code 1 if any request failed. */

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  const options = readOptions(argv);
  if (typeof options === 'string') {
    process.stderr.write(`bench: ${options}\n`);
    return 2;
  }
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => {});
  const interrupt = (signal: string): void => interrupted.reject(new Error(`ended by ${signal}`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);
  const folder = mkdtempSync(join(tmpdir(), 'warp-ingress-bench-'));
  const where = placement();
  const bench = new Bench(options, where, folder);
  try {
    return await Promise.race([measureAll(bench, options, where.words), interrupted.promise]);
  } catch (error) {
    process.stderr.write(`\nbench: ${(error as Error).message}\n`);
    return 1;
  } finally {
    await bench.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureAll(bench: Bench, options: BenchOptions, where: string): Promise<number> {
  const { rounds, processes, windowMs } = options;
  print(
    `${machine(options)}\n${where}; ${rounds} rounds of ${windowMs} ms over ${processes} processes, medians\n`,
  );
  print(tableHead());
  const rows: Row[] = [];
  let failed = 0;
  if (options.profile !== null) mkdirSync(options.profile, { recursive: true });
  for (const benchCase of options.cases) {
    const results = await bench.measure(benchCase, progress);
    progress('');
    const measured = summarise(benchCase.name, benchCase.kind, results);
    rows.push(...measured);
    for (const line of tableLines(measured)) print(line);
    for (const result of results) {
      const { contestant, processes } = result;
      if (processes.length > 1) print(processesLine(result));
      const count = processes.flat().reduce((sum, round) => sum + round.failed, 0);
      failed += count;
      if (count > 0) print(`  ${count} failed requests: ${benchCase.name} ${contestant}`);
    }
    // After every case, so that what is known outlives an interruption.
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  }
  return failed === 0 ? 0 : 1;
}

function machine({ cloudflared, nginx }: BenchOptions): string {
  const [first, ...others] = cpus();
  return [
    `${others.length + 1} × ${first?.model ?? 'unknown CPU'}`,
    `${process.platform} ${process.arch}`,
    `Node.js ${process.versions.node}`,
    // What else runs here takes time from the connectors and changes what they cost.
    `load before ${loadavg()[0]?.toFixed(1)}`,
    cloudflared === null ? 'without cloudflared' : firstLine(cloudflared, '--version'),
    nginx === null ? "the bench's own origin" : `origin nginx ${nginx}`,
  ].join('; ');
}

function firstLine(program: string, flag: string): string {
  return execFileSync(program, [flag], { encoding: 'utf8' }).split('\n', 1)[0] ?? '';
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line that is written over, on a terminal only. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
