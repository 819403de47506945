import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { openFilesLimit } from '../../src/runners/open-files.ts';
import { measure } from './measure.ts';
import type { Measured } from './measured.ts';
import { lackOfFiles, readScaleOptions, usage } from './options.ts';
import { linesOf } from './words.ts';

/** `npm run bench:scale`: one world after the other, what was measured in words, a file. */

// At once: what Node.js would wait for here are sockets that are closed already.
process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  const options = readScaleOptions(argv);
  if (typeof options === 'string') {
    process.stderr.write(`bench:scale: ${options}\n`);
    return 2;
  }
  const lack = lackOfFiles(options, openFilesLimit());
  if (lack !== null) {
    process.stderr.write(`bench:scale: ${lack}\n`);
    return 2;
  }
  if (options.profile !== null) mkdirSync(options.profile, { recursive: true });
  const [cpu, ...others] = cpus();
  print(
    `${others.length + 1} × ${cpu?.model}; Node.js ${process.versions.node}; load ${loadavg()[0]?.toFixed(1)}`,
  );
  const results: Measured[] = [];
  try {
    for (const size of options.sizes) {
      const measured = await measure(size, options, progress);
      progress('');
      results.push(measured);
      for (const line of linesOf(measured, results[0]!)) print(line);
      // After each one, so that what is known outlives an interruption.
      if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
    }
    return 0;
  } catch (error) {
    process.stderr.write(`\nbench:scale: ${(error as Error).message}\n`);
    return 1;
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line that is written over, on a terminal only. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
