import { copyFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { acts } from './acts.ts';
import { type Arena, type ArenaSettings, openArena } from './arena.ts';
import { type FaultRule, ruleInIsolation, ruleOf } from './faults.ts';
import { Foreign, takenIngress } from './foreign.ts';
import { type Holdings, heldBack, holdings, misplaced } from './leftovers.ts';
import { Load } from './load.ts';
import { type OpenFault, Recovery } from './recovery.ts';
import type { PlannedFault } from './schedule.ts';
import { Secrecy } from './secrecy.ts';
import {
  concerned,
  deadlineMs,
  type FailedRequest,
  overdue,
  unexplained,
  type Violation,
} from './verdict.ts';

export interface ChaosSettings extends ArenaSettings {
  readonly plan: readonly PlannedFault[];
  /** One fault after the other, each only once every host is whole after the one before. */
  readonly apart?: boolean;
  /** Every bound is stretched by so much. */
  readonly patience: number;
  /** Between two requests of one visitor, milliseconds. */
  readonly pauseMs: number;
  /** Where the controller's log goes when something is wrong. */
  readonly keepLogAs?: string;
  readonly onNews: (news: string) => void;
}

export interface ChaosOutcome {
  readonly violations: readonly Violation[];
  readonly faults: readonly OpenFault[];
  /** Kinds of faults that found nothing to break. */
  readonly skipped: number;
  readonly failures: readonly FailedRequest[];
  readonly requests: number;
  readonly secrets: number;
  readonly holdings: readonly [before: Holdings, after: Holdings] | null;
}

/** For what is no fault's recovery: the first start, the end. */
const setupLimitMs = 60_000;
/** Requests that began before a thread was lost may have been given to it a moment later. */
const hitSlackMs = 500;
const lookAtOpsEveryMs = 1_000;
/** Of quiet and load after the last fault, in which nothing may fail. */
const quietMs = 2_000;
/** The liveness probe of a kubelet gives up later than that. */
const healthLimitMs = 10_000;

/** One run: a world, a controller, load, the faults of the plan, and what became of all of it. */
export async function runChaos(settings: ChaosSettings): Promise<ChaosOutcome> {
  const arena = await openArena(settings);
  try {
    const outcome = await trouble(arena, settings);
    if (outcome.violations.length > 0 && settings.keepLogAs !== undefined) {
      await copyFile(arena.logPath, settings.keepLogAs);
    }
    return outcome;
  } finally {
    await arena.stop();
  }
}

async function trouble(arena: Arena, settings: ChaosSettings): Promise<ChaosOutcome> {
  const { patience, onNews } = settings;
  const violations: Violation[] = [];
  const limitMs = setupLimitMs * patience;
  const isReady = async (): Promise<boolean> => (await arena.ops('/readyz'))?.status === 200;
  const ruleFor = settings.flags.includes('--tunnels-per-thread=1') ? ruleInIsolation : ruleOf;

  const foreign = new Foreign(arena);
  const secrecy = new Secrecy(arena);
  arena.controller.start();
  await arena.until('the controller is ready', limitMs, isReady);
  const before = await holdings(arena);
  arena.applyHosts();
  const hosts = arena.hosts.map(({ host }) => host);
  await arena.until('every host has all its connections', limitMs, () =>
    hosts.every((host) => arena.servingConnections(host) === arena.haConnections),
  );

  const load = new Load(arena, hosts, settings.pauseMs);
  const recovery = new Recovery(arena, load, hosts);
  const ops = watchOps(arena, secrecy, violations, patience);
  const faults: OpenFault[] = [];
  let skipped = 0;
  try {
    await arena.until('every host answers', limitMs, () => hosts.every((host) => load.servesSince(host, 0)));
    load.failures.length = 0;
    const startMs = arena.now();
    onNews(`${hosts.length} hosts serve; the trouble begins`);
    const meet = async (planned: PlannedFault): Promise<void> => {
      const fault = await strike(arena, planned, ruleFor(planned.kind), recovery);
      if (fault === null) skipped += 1;
      else faults.push(fault);
      onNews(
        `fault ${planned.index} is over: ${inWords(arena, planned)}${fault === null ? ' (nothing to break)' : ''}`,
      );
    };
    if (settings.apart === true) {
      for (const planned of settings.plan) {
        await meet(planned);
        await allWhole(arena, recovery, faults, patience);
      }
    } else {
      await Promise.all(
        settings.plan.map(async (planned) => {
          await sleep(Math.max(0, startMs + planned.atMs - arena.now()));
          await meet(planned);
        }),
      );
    }
    await allWhole(arena, recovery, faults, patience);
    violations.push(...stillBroken(arena, load, faults, hosts));
    const failedBefore = load.failures.length;
    await sleep(quietMs);
    if (recovery.pending === 0 && load.failures.length > failedBefore) {
      violations.push(`${load.failures.length - failedBefore} requests failed when all was over`);
    }
  } finally {
    recovery.stop();
    await load.stop();
    await ops.stop();
  }
  faults.sort((one, other) => one.index - other.index);
  violations.push(...unexplained(load.failures, faults), ...overdue(faults, hosts, patience));

  let after: Holdings | null = null;
  if (violations.length === 0) {
    onNews('the trouble is over; is everything in its place?');
    violations.push(...(await settled('at the end', limitMs, () => misplaced(arena, arena.hosts))));
    if (!(await isReady())) violations.push(`not ready at the end: ${(await arena.ops('/readyz'))?.body}`);
    violations.push(...wrongStatus(arena));
    for (const name of [...arena.hosts.map((host) => host.name), takenIngress]) {
      arena.owner.remove('Ingress', name);
    }
    violations.push(...(await settled('after all was deleted', limitMs, () => misplaced(arena, []))));
    violations.push(
      ...(await settled('after all was deleted', limitMs, async () => {
        after = await holdings(arena);
        return heldBack(before, after);
      })),
    );
  }
  await secrecy.look();
  const { restarts } = arena.controller.view();
  const killed = faults.filter(({ kind }) => kind === 'controller-killed').length;
  if (restarts > killed) violations.push(`the controller ended by itself: ${arena.news.join('; ')}`);
  await arena.stopController();
  const { lastExit } = arena.controller.view();
  if (lastExit !== 'exit code 0') violations.push(`the controller ended with ${lastExit} after SIGTERM`);
  violations.push(...foreign.verdict(), ...(await secrecy.verdict()));
  return {
    violations,
    faults,
    skipped,
    failures: load.failures,
    requests: load.total,
    secrets: secrecy.count,
    holdings: after === null ? null : [before, after],
  };
}

/** Waits until every host is whole, or had to be. */
async function allWhole(
  arena: Arena,
  recovery: Recovery,
  faults: readonly OpenFault[],
  patience: number,
): Promise<void> {
  const hosts = arena.hosts.map(({ host }) => host);
  const dueMs = faults.flatMap((fault) =>
    concerned(fault, hosts).map((host) => deadlineMs(fault, host, faults, patience)),
  );
  const lastMs = Math.max(arena.now(), ...dueMs);
  while (recovery.pending > 0 && arena.now() < lastMs) await sleep(50);
}

/** What is wrong with the hosts that are not whole although they had to be. */
function stillBroken(
  arena: Arena,
  load: Load,
  faults: readonly OpenFault[],
  hosts: readonly string[],
): readonly Violation[] {
  const broken = hosts.filter((host) =>
    faults.some((fault) => concerned(fault, [host]).length > 0 && !fault.wholeMs.has(host)),
  );
  return broken.map((host) => {
    const last = load.failures.findLast((failure) => failure.host === host);
    const answer =
      last === undefined ? 'nothing failed' : `the last failure was ${last.status} (${last.why})`;
    return `${host} is not whole: ${arena.servingConnections(host)} connections at the edge, ${answer}`;
  });
}

function inWords({ hosts }: Arena, { kind, host }: PlannedFault): string {
  return ruleOf(kind).hosts === 'own' ? `${kind} ${hosts[host]!.host}` : kind;
}

/** One fault from its beginning to its end; null when there was nothing to break. */
async function strike(
  arena: Arena,
  planned: PlannedFault,
  rule: FaultRule,
  recovery: Recovery,
): Promise<OpenFault | null> {
  const host = arena.hosts[planned.host]!;
  const unknown = Number.POSITIVE_INFINITY;
  const fault: OpenFault = {
    index: planned.index,
    kind: planned.kind,
    rule,
    host: host.host,
    startMs: arena.now(),
    hitMs: unknown,
    endMs: unknown,
    wholeMs: new Map(),
  };
  const act = await acts[planned.kind](arena, { host, pick: planned.pick });
  if (act === null) return null;
  recovery.watch(fault);
  await act.hit;
  fault.hitMs = arena.now() + hitSlackMs;
  await sleep(planned.lengthMs);
  await act.end?.();
  fault.endMs = arena.now();
  return fault;
}

/** Asks all the while whether the process lives, and looks for secrets in what it says. */
function watchOps(arena: Arena, secrecy: Secrecy, violations: Violation[], patience: number) {
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      const { pid, state } = arena.controller.view();
      const answer = await arena.ops('/healthz', healthLimitMs * patience);
      const now = arena.controller.view();
      // Of a process that has just been started or ended nothing can be said.
      const isSame = state === 'running' && now.state === 'running' && now.pid === pid;
      if (answer !== null && answer.status !== 200) violations.push(`/healthz said ${answer.status}`);
      if (answer !== null || !isSame) await secrecy.look();
      await sleep(lookAtOpsEveryMs, null, { signal: over.signal }).catch(() => {});
    }
  })();
  return {
    stop: () => {
      over.abort();
      return watching;
    },
  };
}

/** What is still wrong after the time that it may take until it is right. */
async function settled(
  when: string,
  withinMs: number,
  look: () => readonly Violation[] | Promise<readonly Violation[]>,
): Promise<readonly Violation[]> {
  const untilMs = performance.now() + withinMs;
  let wrong = await look();
  while (wrong.length > 0 && performance.now() < untilMs) {
    await sleep(200);
    wrong = await look();
  }
  return wrong.map((violation) => `${when}: ${violation}`);
}

function wrongStatus(arena: Arena): readonly Violation[] {
  return arena.owner.list('Ingress').flatMap((ingress) => {
    const host = arena.hosts.find(({ name }) => name === ingress.metadata.name)?.host;
    if (host === undefined) return [];
    const expected = `${arena.tunnelOf(host)}.cfargotunnel.com`;
    return JSON.stringify(ingress.status).includes(expected)
      ? []
      : [`status of ${ingress.metadata.name} is ${JSON.stringify(ingress.status)}, expected ${expected}`];
  });
}
