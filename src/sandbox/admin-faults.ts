import { z } from 'zod';
import type { CallMatcher } from './cloudflare-api/faults.ts';
import type { ConnectionFilter } from './edge/connection-table.ts';
import type { World } from './world.ts';

/** The faults that the admin port takes, and what each of them switches. README.md in this folder lists them. */

const count = z.int().min(1).max(1_000_000);
const milliseconds = z.int().min(0).max(3_600_000);
const httpStatus = z.int().min(400).max(599);

const requestFilter = z.strictObject({
  resource: z.string().optional(),
  verb: z.string().optional(),
  namespace: z.string().optional(),
  account: z.string().optional(),
});
const watchFilter = z.union([z.literal(true), requestFilter]);
const requestFault = requestFilter
  .extend({
    times: count.optional(),
    fail: z.strictObject({ code: httpStatus, retryAfterSeconds: z.int().min(0).optional() }).optional(),
    hang: z.literal(true).optional(),
    cut: z.literal(true).optional(),
    delayMs: milliseconds.optional(),
  })
  .refine(
    ({ fail, hang, cut, delayMs }) =>
      [fail, hang, cut, delayMs].filter((one) => one !== undefined).length === 1,
    { error: 'expected one of fail, hang, cut, delayMs' },
  );
const calls = { count: count.default(1), method: z.string().optional(), path: z.string().optional() };
const connections = z.union([
  z.literal(true),
  z.strictObject({
    host: z.string().optional(),
    tunnelId: z.string().optional(),
    connIndex: z.int().min(0).max(255).optional(),
    connectionId: z.string().optional(),
  }),
]);
const ofTunnel = { host: z.string().optional(), tunnelId: z.string().optional() };

export const faultsShape = z.strictObject({
  kubernetes: z
    .strictObject({
      outage: z.boolean().optional(),
      expireHistory: watchFilter.optional(),
      dropWatches: watchFilter.optional(),
      hangWatches: watchFilter.optional(),
      requests: z.array(requestFault).max(100).optional(),
    })
    .optional(),
  cloudflare: z
    .strictObject({
      outage: z.boolean().optional(),
      hang: z.boolean().optional(),
      delayMs: milliseconds.optional(),
      failNext: z
        .strictObject({
          ...calls,
          status: httpStatus,
          code: z.int().optional(),
          message: z.string().optional(),
          retryAfterSeconds: z.int().min(0).optional(),
        })
        .optional(),
      loseAnswers: z.strictObject(calls).optional(),
    })
    .optional(),
  edge: z
    .strictObject({
      newConnections: z.enum(['accept', 'reset', 'ignore']).optional(),
      delay: z.strictObject({ ...ofTunnel, delayMs: milliseconds }).optional(),
      refuse: z
        .strictObject({
          ...ofTunnel,
          cause: z.string().min(1),
          shouldRetry: z.boolean().default(true),
          retryAfterMs: milliseconds.default(0),
          count: count.optional(),
        })
        .optional(),
      cut: connections.optional(),
      silence: connections.optional(),
      goaway: connections.optional(),
    })
    .optional(),
  origin: z.strictObject({ down: z.boolean() }).optional(),
});

export type Faults = z.infer<typeof faultsShape>;

/** Switches; what is not named stays as it is. Null, or what the faults speak of and is not there. */
export async function setFaults(world: World, faults: Faults): Promise<string | null> {
  const problem = setEdgeFaults(world, faults.edge ?? {});
  if (problem !== null) return problem;
  setKubernetesFaults(world, faults.kubernetes ?? {});
  setCloudflareFaults(world, faults.cloudflare ?? {});
  if (faults.origin?.down === true) await world.origin.down();
  if (faults.origin?.down === false) await world.origin.up();
  return null;
}

/** Everything works again. */
export async function clearFaults(world: World): Promise<void> {
  world.kubernetes.faults.heal();
  world.cloudflare.faults.clear();
  world.edge.faults.clear();
  await world.origin.up();
}

function setKubernetesFaults({ kubernetes }: World, set: NonNullable<Faults['kubernetes']>): void {
  const { faults } = kubernetes;
  const filterOf = (given: z.infer<typeof watchFilter>) => (given === true ? {} : defined(given));
  if (set.outage !== undefined) faults.outage(set.outage);
  if (set.expireHistory !== undefined) faults.expireHistory(filterOf(set.expireHistory));
  if (set.dropWatches !== undefined) faults.dropWatches(filterOf(set.dropWatches));
  if (set.hangWatches !== undefined) faults.hangWatches(filterOf(set.hangWatches));
  for (const request of set.requests ?? []) faults.add(defined(request) as Parameters<typeof faults.add>[0]);
}

function setCloudflareFaults({ cloudflare }: World, set: NonNullable<Faults['cloudflare']>): void {
  const { faults } = cloudflare;
  if (set.outage !== undefined) faults.outage = set.outage;
  if (set.hang !== undefined) faults.hang = set.hang;
  if (set.delayMs !== undefined) faults.delayMs = set.delayMs;
  if (set.failNext !== undefined) {
    const { method, path, ...fault } = set.failNext;
    faults.failNext({ ...defined(fault), matches: matcher(method, path) });
  }
  if (set.loseAnswers !== undefined) {
    const { method, path, count: times } = set.loseAnswers;
    faults.loseAnswers(times, matcher(method, path));
  }
}

function setEdgeFaults({ edge, cloudflare }: World, set: NonNullable<Faults['edge']>): string | null {
  const { faults } = edge;
  const problems: string[] = [];
  const tunnelOf = (named: {
    host?: string | undefined;
    tunnelId?: string | undefined;
  }): string | undefined => {
    if (named.host === undefined) return named.tunnelId;
    const tunnelId = cloudflare.zones.tunnelForHost(named.host);
    if (tunnelId === null) problems.push(`no tunnel serves ${named.host}`);
    return tunnelId ?? undefined;
  };
  const filterOf = (given: z.infer<typeof connections>): ConnectionFilter => {
    if (given === true) return {};
    const { connIndex, connectionId } = given;
    return defined({ tunnelId: tunnelOf(given), connIndex, connectionId });
  };
  const acts: (() => void)[] = [];
  if (set.newConnections !== undefined) {
    const { newConnections } = set;
    acts.push(() => {
      faults.newConnections = newConnections;
    });
  }
  if (set.delay !== undefined) {
    const { delayMs } = set.delay;
    const tunnelId = tunnelOf(set.delay) ?? null;
    acts.push(() => faults.delay(delayMs, tunnelId));
  }
  if (set.refuse !== undefined) {
    const { host: _host, tunnelId: _tunnelId, ...refusal } = set.refuse;
    const planned = { ...refusal, tunnelId: tunnelOf(set.refuse) };
    acts.push(() => faults.refuse(defined(planned)));
  }
  for (const kind of ['cut', 'silence', 'goaway'] as const) {
    const given = set[kind];
    if (given === undefined) continue;
    const filter = filterOf(given);
    acts.push(() => void faults[kind](filter));
  }
  // All or nothing: a name that nobody knows must not leave half of the faults set.
  if (problems.length > 0) return problems.join('; ');
  for (const act of acts) act();
  return null;
}

/** `path` is any part of the path behind the API base. */
function matcher(method: string | undefined, path: string | undefined): CallMatcher {
  return (calledMethod, calledPath) =>
    (method === undefined || method.toUpperCase() === calledMethod) &&
    (path === undefined || calledPath.includes(path));
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the keys that hold undefined: what was not given is not there. */
function defined<T extends object>(given: T): Defined<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Defined<T>;
}
