import { parseArgs } from 'node:util';
import { openFilesFor } from '../../src/runners/open-files.ts';
import { wholeNumber } from '../whole-number.ts';

const phases = ['first', 'cold', 'idle', 'new', 'change', 'roll', 'thread-death'] as const;
export type Phase = (typeof phases)[number];

export interface ScaleOptions {
  /** Numbers of Ingresses, each measured in a world of its own. */
  readonly sizes: readonly number[];
  readonly phases: ReadonlySet<Phase>;
  readonly haConnections: number;
  readonly idleMs: number;
  readonly rollMs: number;
  /** EndpointSlice events a minute. */
  readonly rollRate: number;
  /** How many threads end in the phase `thread-death`, one every so often. */
  readonly deaths: number;
  readonly apartMs: number;
  /** Further flags of the controller. */
  readonly controllerFlags: readonly string[];
  /** Further flags of Node.js for the controller's process. */
  readonly nodeFlags: readonly string[];
  readonly json: string | null;
  /** Where the controllers' logs are kept, one after the other. */
  readonly log: string | null;
  readonly profile: string | null;
}

/** What the phase `new` makes beyond those of a world, one after the other. */
export const newIngresses = 10;

const maxIngresses = 5_000;

/**
 * Why so many Ingresses are more than the open files that a process may have here, and what to do; null when they are
 * not. The controller's process and ours, in which connections end, need the same.
 */
export function lackOfFiles(
  { sizes, haConnections }: Pick<ScaleOptions, 'sizes' | 'haConnections'>,
  limit: number | null,
): string | null {
  const most = Math.max(...sizes) + newIngresses;
  const needed = openFilesFor(most, most * haConnections);
  if (limit === null || needed <= limit) return null;
  const fits = Math.floor((limit - openFilesFor(most, 0)) / most);
  const fewer = fits < 1 ? '' : `, or take --ha-connections ${fits}`;
  return `${Math.max(...sizes)} Ingresses with ${haConnections} connections each need ${needed} open files in one process, and the limit here is ${limit}. Raise it (with CAP_SYS_RESOURCE: prlimit --pid $$ --nofile=${needed}:${needed}; a container: --ulimit nofile=${needed})${fewer}`;
}

export const usage = `Usage: npm run bench:scale -- [FLAGS]

Ingresses with a Service and an EndpointSlice each, in the sandbox's Kubernetes, Cloudflare and edge (TLS), served by a
controller that is a process of its own. One world for each number of Ingresses.

  -n N[,N…]           numbers of Ingresses, up to ${maxIngresses} (default 100,300,1000)
  --phase NAME        only this (repeatable): ${phases.join(', ')}
  --ha-connections N  connections of each tunnel (default 4)
  --idle SECONDS      how long nothing happens (default 60)
  --roll SECONDS      how long endpoints change (default 30)
  --roll-rate N       EndpointSlice events a minute (default 10000)
  --deaths N          how many threads end, one after the other (default 1)
  --apart SECONDS     from one of them to the next (default 10)
  --controller FLAG   a further flag of the controller, as --controller=--max-threads=4 (repeatable)
  --node FLAG         a further flag of Node.js for its process, as --node=--trace-gc (repeatable)
  --json FILE         write the results as an array, one object for each number
  --log FILE          keep the log of the controllers
  --profile FOLDER    CPU profiles of the controller and its threads

first   as many as a budget of Cloudflare calls allows at once (100), none of them known to Cloudflare before
cold    all of them known to Cloudflare and the ledger, as after a restart: from the start of the process on
idle    nothing happens: CPU, memory, calls
new     one Ingress more, ten times, one after the other
change  500 Ingresses (half of all, if fewer) changed at once
roll    every EndpointSlice again and again: once for the threads to compile, a rest as long, and once to be measured
thread-death
        a thread of the controller ends by itself while hosts are visited, 100 times a second; with --deaths several do,
        and connections that are moved into quarantine are told apart from those that are lost

Each connection is an open file in the controller's process and in this one, and so is one connection to the origin for each
Ingress: ${maxIngresses} with --ha-connections 2 need ${openFilesFor(maxIngresses + newIngresses, 2 * (maxIngresses + newIngresses))}. What a process may have is said by ulimit -Hn.
`;

/** The options, or one line that says what is wrong with them. */
export function readScaleOptions(argv: readonly string[]): ScaleOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        n: { type: 'string', short: 'n' },
        phase: { type: 'string', multiple: true },
        'ha-connections': { type: 'string' },
        idle: { type: 'string' },
        roll: { type: 'string' },
        'roll-rate': { type: 'string' },
        deaths: { type: 'string' },
        apart: { type: 'string' },
        controller: { type: 'string', multiple: true },
        node: { type: 'string', multiple: true },
        json: { type: 'string' },
        log: { type: 'string' },
        profile: { type: 'string' },
      },
    });
    const unknown = values.phase?.find((name) => !phases.some((phase) => phase === name));
    if (unknown !== undefined)
      return `--phase: got ${JSON.stringify(unknown)}, expected ${phases.join(', ')}`;
    const sizes = (values.n ?? '100,300,1000').split(',');
    return {
      sizes: sizes.map((size) => wholeNumber('-n', size, maxIngresses)).toSorted((a, b) => a - b),
      phases: new Set(phases.filter((phase) => values.phase?.includes(phase) ?? true)),
      haConnections: wholeNumber('--ha-connections', values['ha-connections'] ?? '4', 4),
      idleMs: wholeNumber('--idle', values.idle ?? '60', 86_400) * 1_000,
      rollMs: wholeNumber('--roll', values.roll ?? '30', 3_600) * 1_000,
      rollRate: wholeNumber('--roll-rate', values['roll-rate'] ?? '10000', 1_000_000),
      deaths: wholeNumber('--deaths', values.deaths ?? '1', 100),
      apartMs: wholeNumber('--apart', values.apart ?? '10', 600) * 1_000,
      controllerFlags: values.controller ?? [],
      nodeFlags: values.node ?? [],
      json: values.json ?? null,
      log: values.log ?? null,
      profile: values.profile ?? null,
    };
  } catch (error) {
    return (error as Error).message;
  }
}
