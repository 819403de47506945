import { parseArgs } from 'node:util';
import type { FuzzTarget } from './target.ts';
import { targets } from './targets.ts';

export interface FuzzOptions {
  readonly targets: readonly FuzzTarget[];
  readonly seconds: number;
  readonly seed: number;
  /** Check the bytes of this file, and nothing else. */
  readonly input: string | null;
}

export const usage = `Usage: npm run fuzz -- [FLAGS]

Gives damaged input to every decoder of what comes from outside, and looks whether it keeps its word.

  --target NAME   only this one (repeatable): ${targets.map(({ name }) => name).join(', ')}
  --seconds N     how long each target is attacked (default 20)
  --seed N        the same cases again; without it others each time
  --input FILE    only the bytes of this file, for one target
`;

/** The options, or one line that says what is wrong with them. `random`: the seed when none is given. */
export function readOptions(argv: readonly string[], random: () => number): FuzzOptions | string {
  let values: { target?: string[]; seconds?: string; seed?: string; input?: string };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        target: { type: 'string', multiple: true },
        seconds: { type: 'string' },
        seed: { type: 'string' },
        input: { type: 'string' },
      },
    }));
  } catch (error) {
    return (error as Error).message;
  }
  const unknown = values.target?.find((wanted) => !targets.some(({ name }) => name === wanted));
  if (unknown !== undefined) return `--target ${unknown}: expected one of ${namesOf(targets)}`;
  const seconds = Number(values.seconds ?? 20);
  if (!(seconds > 0)) return `--seconds ${values.seconds}: expected a number above 0`;
  const seed = values.seed === undefined ? Math.floor(random() * 2 ** 31) : Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0) return `--seed ${values.seed}: expected a whole number`;
  const chosen = targets.filter(({ name }) => values.target?.includes(name) ?? true);
  if (values.input !== undefined && chosen.length !== 1) return '--input: expected one --target besides it';
  return { targets: chosen, seconds, seed, input: values.input ?? null };
}

function namesOf(list: readonly FuzzTarget[]): string {
  return list.map(({ name }) => name).join(', ');
}
