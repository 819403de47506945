import { parseArgs } from 'node:util';
import { type FaultKind, faultKinds, isPossible, ruleOf } from './faults.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly runs: number;
  readonly faults: number;
  readonly hosts: number;
  readonly pods: number;
  readonly replicas: number;
  readonly kinds: readonly FaultKind[];
  /** The flags that chose the kinds, as they were given. */
  readonly choice: readonly string[];
  /** Numbers of faults; null for all. */
  readonly only: readonly number[] | null;
  readonly tunnelsPerThread: 'auto' | '1';
  readonly patience: number;
  readonly apart: boolean;
  readonly list: boolean;
  readonly json: string | null;
}

export const usage = `Usage: npm run chaos -- [FLAGS]

A controller as a process of its own, load on every host, and faults as a seed has them: threads, process, clock, edge,
Kubernetes, Cloudflare, the Ingresses themselves. Exit code 1 if a promise was not kept (docs/reliability.md has them).

  --seed N               the same faults again; without it others each time
  --runs N               so many runs, with this seed and the next ones (default 1)
  --faults N             faults in a run (default 40)
  --hosts N              hosts under load (default 6)
  --pods N               so many of them in pods, the first of these in one, the others in two (default 2)
  --replicas N           controllers side by side (default 1)
  --only I,J             only these faults of the schedule, by number: to find the ones that matter
  --apart                every kind in its turn, each only once all is well after the one before
  --kind NAME            only faults of this kind or part (repeatable), as thread-exits, edge
  --without NAME         no faults of this kind or part (repeatable)
  --tunnels-per-thread   auto (default) or 1, as the controller's flag
  --patience X           stretches every bound, for a machine that is busy (default 1)
  --list                 prints the schedule, and what each kind is, and does nothing
  --json FILE            adds each run's measurements to this file, a line of JSON for each fault
`;

/** The options, or one line that says what is wrong with them. `random`: the seed when none is given. */
export function readOptions(argv: readonly string[], random: () => number): ChaosOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: 'string' },
        runs: { type: 'string', default: '1' },
        faults: { type: 'string', default: '40' },
        hosts: { type: 'string', default: '6' },
        pods: { type: 'string', default: '2' },
        replicas: { type: 'string', default: '1' },
        only: { type: 'string' },
        kind: { type: 'string', multiple: true },
        without: { type: 'string', multiple: true, default: [] },
        'tunnels-per-thread': { type: 'string', default: 'auto' },
        patience: { type: 'string', default: '1' },
        apart: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        json: { type: 'string' },
      },
    });
    const hosts = wholeNumber('--hosts', values.hosts);
    const pods = wholeNumber('--pods', values.pods, 0);
    if (pods > hosts) throw new Error(`--pods: got ${pods}, expected no more than the ${hosts} of --hosts`);
    const replicas = wholeNumber('--replicas', values.replicas);
    const isolated = values['tunnels-per-thread'] === '1';
    const without = values.without.flatMap((name) => kindsNamed('--without', name));
    const kinds = (values.kind?.flatMap((name) => kindsNamed('--kind', name)) ?? faultKinds).filter(
      (kind) => !without.includes(kind) && isPossible(kind, { replicas, pods, isolated }),
    );
    if (kinds.length === 0) {
      throw new Error(`no kind of fault is left for --replicas ${replicas} and --pods ${pods}`);
    }
    const tunnelsPerThread = values['tunnels-per-thread'];
    if (tunnelsPerThread !== 'auto' && tunnelsPerThread !== '1') {
      throw new Error(`--tunnels-per-thread: got ${JSON.stringify(tunnelsPerThread)}, expected auto or 1`);
    }
    return {
      seed:
        values.seed === undefined ? Math.floor(random() * 2 ** 31) : wholeNumber('--seed', values.seed, 0),
      runs: wholeNumber('--runs', values.runs),
      faults: wholeNumber('--faults', values.faults),
      hosts,
      pods,
      replicas,
      kinds,
      choice: [
        ...(values.kind?.map((name) => `--kind ${name}`) ?? []),
        ...values.without.map((name) => `--without ${name}`),
      ],
      only: values.only?.split(',').map((text) => wholeNumber('--only', text, 0)) ?? null,
      tunnelsPerThread,
      patience: wholeNumber('--patience', values.patience),
      apart: values.apart,
      list: values.list,
      json: values.json ?? null,
    };
  } catch (error) {
    return (error as Error).message;
  }
}

/** By its own name, or all of a part. */
function kindsNamed(flag: string, name: string): readonly FaultKind[] {
  const named = faultKinds.filter((kind) => kind === name || ruleOf(kind).part === name);
  if (named.length > 0) return named;
  const parts = [...new Set(faultKinds.map((kind) => ruleOf(kind).part))];
  throw new Error(`${flag} ${name}: expected one of ${[...parts, ...faultKinds].join(', ')}`);
}

function wholeNumber(flag: string, text: string, least = 1): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value < least || value >= 2 ** 31) {
    throw new Error(`${flag}: got ${JSON.stringify(text)}, expected a whole number from ${least} on`);
  }
  return value;
}
