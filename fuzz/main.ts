import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failureOf } from './campaign.ts';
import { type FuzzOptions, readOptions, usage } from './options.ts';
import type { FuzzTarget } from './target.ts';
import { fuzz } from './thread.ts';

/**
 * `npm run fuzz`: one target after the other, a line for each. What fails is kept in `fuzz/found/`, with the
 * command that tries it again. Exit code 1 if something was found.
 */

const foundFolder = join('fuzz', 'found');

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  const options = readOptions(argv, Math.random);
  if (typeof options === 'string') {
    process.stderr.write(`fuzz: ${options}\n`);
    return 2;
  }
  return options.input === null
    ? await attackAll(options)
    : await tryAgain(options.targets[0]!, options.input);
}

async function attackAll({ targets, seconds, seed }: FuzzOptions): Promise<number> {
  let found = 0;
  for (const target of targets) {
    const { cases, failure } = await fuzz(target, seed, seconds);
    const outcome = failure === null ? 'nothing found' : 'FOUND';
    process.stdout.write(`${target.name}: ${cases} cases, seed ${seed}: ${outcome}\n`);
    if (failure === null) continue;
    found += 1;
    process.stdout.write(`${failure.why}\n${kept(target, failure.input)}\n`);
  }
  return found === 0 ? 0 : 1;
}

async function tryAgain(target: FuzzTarget, path: string): Promise<number> {
  const why = await failureOf(target, readFileSync(path));
  process.stdout.write(why === null ? `${target.name}: nothing found in ${path}\n` : `${why}\n`);
  return why === null ? 0 : 1;
}

/** Writes the input to a file that is named after it, and says how to try it again. */
function kept(target: FuzzTarget, input: Buffer): string {
  mkdirSync(foundFolder, { recursive: true });
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 12);
  const path = join(foundFolder, `${target.name}-${hash}`);
  writeFileSync(path, input);
  return `${input.length} bytes; again: npm run fuzz -- --target ${target.name} --input ${path}`;
}
