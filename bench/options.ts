import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Case, cases } from './cases.ts';
import type { OurConnector } from './contestants.ts';
import { wholeNumber } from './whole-number.ts';

export interface BenchOptions {
  readonly cases: readonly Case[];
  readonly rounds: number;
  /** Of each connector, no more than there are rounds. */
  readonly processes: number;
  readonly windowMs: number;
  readonly warmMs: number;
  readonly cloudflared: string | null;
  /** Other builds of ours that are measured too. */
  readonly builds: readonly OurConnector[];
  readonly relay: boolean;
  readonly nginx: string | null;
  readonly json: string | null;
  readonly profile: string | null;
}

/** Processes of the same build differ by a sixth, and each costs one more warm-up in every case. */
const defaultProcesses = 3;

export const usage = `Usage: npm run bench -- [FLAGS]

Load generator → edge → connector → origin on loopback, each a process of its own; the connector alone on one CPU.

  --cloudflared PATH  measure this cloudflared too, in turns, and give ratios to it
  --build FOLDER      measure this other build of ours too (its dist), under the folder's name (repeatable)
  --relay             measure a bare relay too: what reading and writing TLS and TCP costs without any HTTP
  --case NAME         only this case (repeatable): ${cases.map(({ name }) => name).join(', ')}
  --quick             short windows: a first look, not for publication
  --rounds N          rounds per case, of which the median counts (default 5)
  --processes N       processes of each connector, which take the rounds in turns (default ${defaultProcesses}, --rounds at most)
  --window MS         length of one measured window (default 1200)
  --nginx PATH        nginx as the origin (WebSockets and HTTP/2 stay with the bench's own)
  --json FILE         write the results as an array of rows
  --profile FOLDER    write a CPU profile of each process of ours
`;

/** The options, or one line that says what is wrong with them. */
export function readOptions(argv: readonly string[]): BenchOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        cloudflared: { type: 'string' },
        build: { type: 'string', multiple: true },
        relay: { type: 'boolean' },
        case: { type: 'string', multiple: true },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        processes: { type: 'string' },
        window: { type: 'string' },
        nginx: { type: 'string' },
        json: { type: 'string' },
        profile: { type: 'string' },
      },
    });
    const unknown = values.case?.find((wanted) => !cases.some(({ name }) => name === wanted));
    if (unknown !== undefined) return `--case: unknown ${JSON.stringify(unknown)}: see --help`;
    const windowMs = wholeNumber('--window', values.window ?? (values.quick ? '300' : '1200'), 600_000);
    const rounds = wholeNumber('--rounds', values.rounds ?? '5', 1000);
    const processes = values.processes ?? String(Math.min(defaultProcesses, rounds));
    return {
      cases: cases.filter(({ name }) => values.case?.includes(name) ?? true),
      rounds,
      processes: wholeNumber('--processes', processes, rounds),
      windowMs,
      warmMs: Math.min(500, windowMs),
      cloudflared: values.cloudflared ?? null,
      builds: (values.build ?? []).map((folder) => ({
        kind: 'ours',
        name: basename(folder),
        build: resolve(folder),
      })),
      relay: values.relay ?? false,
      nginx: values.nginx ?? null,
      json: values.json ?? null,
      profile: values.profile ?? null,
    };
  } catch (error) {
    return (error as Error).message;
  }
}
