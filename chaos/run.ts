import { setTimeout as sleep } from 'node:timers/promises';
import { keepAccount } from './account.ts';
import { type Arena, type ArenaSettings, openArena } from './arena.ts';
import { Changes } from './changes.ts';
import type { FaultRule } from './fault-rule.ts';
import { type FaultKind, ruleIn } from './faults.ts';
import { Foreign, takenIngress } from './foreign.ts';
import { withoutClass } from './hosts.ts';
import {
  addressesLeft,
  type Holdings,
  heldBack,
  holdings,
  misplaced,
  notReady,
  piledUp,
  wrongStatus,
} from './leftovers.ts';
import { Load } from './load.ts';
import { lookAfter, watchOps } from './lookouts.ts';
import { type Moment, type OpenFault, Recovery } from './recovery.ts';
import { Relisting } from './relisting.ts';
import { Rollouts } from './rollouts.ts';
import type { PlannedFault } from './schedule.ts';
import { Secrecy } from './secrecy.ts';
import { Sight } from './sight.ts';
import { inWords, strike } from './strike.ts';
import { deadlineMs, type FailedRequest, overdue, unexplained, type Violation } from './verdict.ts';

export interface ChaosSettings extends ArenaSettings {
  readonly plan: readonly PlannedFault[];
  /** One fault after the other, each only once every host is whole after the one before. */
  readonly apart?: boolean;
  /** Every bound is stretched by so much. */
  readonly patience: number;
  /** Between two requests of one visitor, milliseconds. */
  readonly pauseMs: number;
  /** The folder into which an account of it and the logs go when something is wrong. */
  readonly keepAs?: string;
  readonly onNews: (news: string) => void;
}

export interface ChaosOutcome {
  readonly violations: readonly Violation[];
  readonly faults: readonly OpenFault[];
  /** Kinds of faults that found nothing to break. */
  readonly skipped: number;
  readonly failures: readonly FailedRequest[];
  readonly requests: number;
  /** Of annotations, besides the faults. */
  readonly changes: number;
  readonly secrets: number;
  /** When the machine had no time, and nothing was judged. */
  readonly stalls: readonly OpenFault[];
  /** What was seen of the world. */
  readonly moments: readonly Moment[];
  /** Of each replica. */
  readonly holdings: readonly HoldingsOverTime[];
}

/** Of one replica: before the first host, for all hosts before and after the trouble, after the last one. */
export interface HoldingsOverTime {
  readonly before: Holdings;
  readonly serving: Holdings;
  readonly servingAfter: Holdings;
  readonly after: Holdings;
}

/** For what is no fault's recovery: the first start, the end. */
const setupLimitMs = 60_000;
/** Of quiet and load after the last fault, in which nothing may fail. */
const quietMs = 2_000;

/** One run: a world, a controller, load, the faults of the plan, and what became of all of it. */
export async function runChaos(settings: ChaosSettings): Promise<ChaosOutcome> {
  const arena = await openArena(settings);
  try {
    const outcome = await trouble(arena, settings);
    if (outcome.violations.length > 0 && settings.keepAs !== undefined) {
      await keepAccount(arena, outcome, settings.keepAs);
    }
    return outcome;
  } catch (error) {
    const story = { violations: [String(error)], faults: [], stalls: [], failures: [], moments: [] };
    if (settings.keepAs !== undefined) await keepAccount(arena, story, settings.keepAs);
    throw error;
  } finally {
    await arena.stop();
  }
}

async function trouble(arena: Arena, settings: ChaosSettings): Promise<ChaosOutcome> {
  const { patience, onNews } = settings;
  const violations: Violation[] = [];
  const limitMs = setupLimitMs * patience;
  const isolated = settings.flags.includes('--tunnels-per-thread=1');
  const ruleFor = (kind: FaultKind): FaultRule => ruleIn({ ...settings, isolated }, kind);

  const foreign = new Foreign(arena);
  const secrecy = new Secrecy(arena);
  const relisting = new Relisting(arena);
  arena.startControllers();
  await arena.until('every controller is ready', limitMs, () => arena.areReady());
  const before = await Promise.all(arena.replicas.map(holdings));
  arena.applyHosts();
  const hosts = arena.hosts.map(({ host }) => host);
  await arena.until('every host has all its connections', limitMs, () =>
    arena.hosts.every((host) => arena.hasAllConnections(host)),
  );

  const load = new Load(arena, hosts, settings.pauseMs);
  const sight = new Sight(arena);
  const recovery = new Recovery(arena, load, sight);
  const rollouts = new Rollouts(arena, sight, patience);
  // Not of hosts whose routes must come by themselves, nor of those whose pods every change would replace.
  const changes = new Changes(
    arena,
    arena.hosts.filter(({ pods, via }) => pods === 0 && via === 'service'),
  );
  const ops = arena.replicas.map((replica) => watchOps(replica, violations, patience));
  const looking = lookAfter(secrecy, foreign);
  const faults: OpenFault[] = [];
  let skipped = 0;
  let serving: readonly Holdings[] = [];
  try {
    await arena.until('every host answers', limitMs, () => hosts.every((host) => load.servesSince(host, 0)));
    serving = await Promise.all(arena.replicas.map(holdings));
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
    violations.push(...stillBroken(arena, load, faults, sight));
    const failedBefore = load.failures.length;
    await sleep(quietMs);
    if (recovery.pending === 0 && load.failures.length > failedBefore) {
      violations.push(`${load.failures.length - failedBefore} requests failed when all was over`);
    }
  } finally {
    changes.stop();
    recovery.stop();
    sight.stop();
    await load.stop();
    // Not before: whatever still went to one that is to leave would fail.
    await rollouts.stop();
    await Promise.all([...ops, looking].map((each) => each.stop()));
  }
  faults.sort((one, other) => one.index - other.index);
  const known = [...faults, ...recovery.stalls];
  violations.push(...unexplained(load.failures, known), ...overdue(known, patience));

  let servingAfter: readonly Holdings[] = [];
  let after: readonly Holdings[] = [];
  if (violations.length === 0) {
    onNews('the trouble is over; is everything in its place?');
    // A call that Cloudflare's API heard and did not answer is waited for, for its 15 s, also after the fault is over; and a
    // Lease that could not be given back is taken after ten.
    violations.push(
      ...(await settled('at the end', limitMs, async () => [
        ...misplaced(arena, arena.hosts),
        ...(await notReady(arena)),
        ...wrongStatus(arena),
      ])),
      ...(await settled('at the end', limitMs, async () => {
        servingAfter = await Promise.all(arena.replicas.map(holdings));
        return servingAfter.flatMap((each, index) => piledUp(serving[index]!, each));
      })),
    );
    arena.owner.remove('Ingress', takenIngress);
    for (const [index, host] of arena.hosts.entries()) {
      if (index % 2 === 0) arena.owner.remove('Ingress', host.name);
      else arena.owner.apply(withoutClass(host, index >> 1));
    }
    violations.push(
      ...(await settled('after all was deleted', limitMs, () => [
        ...misplaced(arena, []),
        ...addressesLeft(arena),
      ])),
    );
    violations.push(
      ...(await settled('after all was deleted', limitMs, async () => {
        after = await Promise.all(arena.replicas.map(holdings));
        return after.flatMap((each, index) => heldBack(before[index]!, each));
      })),
    );
  }
  relisting.stop();
  await secrecy.look();
  const restarts = arena.replicas.reduce((sum, { process }) => sum + process.view().restarts, 0);
  const killed = faults.filter(({ kind }) => kind === 'controller-killed' || kind === 'leader-killed').length;
  if (restarts > killed) violations.push(`a controller ended by itself: ${arena.news.join('; ')}`);
  await arena.stopControllers();
  for (const { process } of arena.replicas) {
    const { lastExit } = process.view();
    if (lastExit !== 'exit code 0') violations.push(`a controller ended with ${lastExit} after SIGTERM`);
  }
  violations.push(...foreign.verdict(), ...relisting.violations, ...(await secrecy.verdict()));
  return {
    violations,
    faults,
    skipped,
    failures: load.failures,
    stalls: recovery.stalls,
    moments: [...recovery.moments, ...rollouts.moments],
    requests: load.total,
    changes: changes.count,
    secrets: secrecy.count,
    holdings: after.map((each, index) => ({
      before: before[index]!,
      serving: serving[index]!,
      servingAfter: servingAfter[index]!,
      after: each,
    })),
  };
}

/** Waits until every host is whole, or had to be. */
async function allWhole(
  arena: Arena,
  recovery: Recovery,
  faults: readonly OpenFault[],
  patience: number,
): Promise<void> {
  const isDue = (): boolean => {
    const known = [...faults, ...recovery.stalls];
    const dueMs = known.flatMap((fault) =>
      fault.hosts.map((host) => deadlineMs(fault, host, known, patience)),
    );
    return arena.now() >= Math.max(0, ...dueMs);
  };
  while (recovery.pending > 0 && !isDue()) await sleep(50);
}

/** What is wrong with the hosts that are not whole although they had to be. */
function stillBroken(
  arena: Arena,
  load: Load,
  faults: readonly OpenFault[],
  sight: Sight,
): readonly Violation[] {
  const broken = arena.hosts.filter(({ host }) =>
    faults.some(({ hosts, wholeMs }) => hosts.includes(host) && !wholeMs.has(host)),
  );
  return broken.map(({ host }) => {
    const last = load.failures.findLast((failure) => failure.host === host);
    const answer =
      last === undefined ? 'nothing failed' : `the last failure was ${last.status} (${last.why})`;
    return `${host} is not whole: ${arena.servingConnections(host)} connections at the edge, ${sight}, ${answer}`;
  });
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
