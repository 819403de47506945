import { Random } from '../fuzz/random.ts';
import type { FaultRule, Part } from './fault-rule.ts';
import { type FaultKind, faultKinds, ruleOf } from './faults.ts';

/** One fault, as a seed has it. Times are milliseconds from the start of the trouble. */
export interface PlannedFault {
  /** Its place in the schedule: what `--only` takes. */
  readonly index: number;
  readonly kind: FaultKind;
  /** Which host it is about; of no meaning for faults about every host. */
  readonly host: number;
  readonly atMs: number;
  readonly lengthMs: number;
  /** For what else there is to choose: a thread, a connection, a delay. 32 bits. */
  readonly pick: number;
}

export interface ScheduleSettings {
  readonly seed: number;
  readonly count: number;
  readonly hosts: number;
  /** The last so many have their tunnels in pods, the first of these in one. */
  readonly pods: number;
  /** Of these only; kinds of weight 0 come only when they are named alone. */
  readonly kinds?: readonly FaultKind[];
  /** Most time from one start to the next. */
  readonly gapMs?: number;
}

/** Parts in whose outages Ingresses come and go. */
const outageParts: ReadonlySet<Part> = new Set(['edge', 'kubernetes', 'cloudflare', 'process', 'replicas']);
/** A fault that is over leaves its part alone for so long. */
const restMs = 300;

/**
 * The faults of a seed: always the same. They overlap across parts, never within one. Into about every second
 * outage falls an Ingress that is deleted and created again.
 */
export function schedule(settings: ScheduleSettings): readonly PlannedFault[] {
  const { seed, count, kinds = faultKinds, gapMs = 3_000 } = settings;
  const random = new Random(seed);
  const urn = kinds.flatMap((kind) =>
    Array.from({ length: ruleOf(kind).weight || (kinds.length === 1 ? 1 : 0) }, () => kind),
  );
  const planned: PlannedFault[] = [];
  /** When each lane is free again. */
  const free = new Map<string, number>();
  let cursorMs = 0;

  const add = (kind: FaultKind, earliestMs: number): PlannedFault => {
    const { part, lengthMs } = ruleOf(kind);
    const host = hostFor(ruleOf(kind), settings, random);
    const lane = part === 'cluster' || part === 'pods' ? `host ${host}` : part;
    const atMs = Math.max(earliestMs, free.get(lane) ?? 0);
    const length = lengthMs[0] + random.below(lengthMs[1] - lengthMs[0] + 1);
    const fault = { index: planned.length, kind, host, atMs, lengthMs: length, pick: random.uint32() };
    free.set(lane, atMs + length + restMs);
    planned.push(fault);
    return fault;
  };

  while (planned.length < count && urn.length > 0) {
    cursorMs += random.below(gapMs);
    const { kind, atMs, lengthMs } = add(random.pick(urn), cursorMs);
    const isOutage = outageParts.has(ruleOf(kind).part) && lengthMs > 0;
    if (isOutage && kinds.includes('ingress-recreated') && planned.length < count && random.oneIn(2)) {
      add('ingress-recreated', atMs + Math.floor(lengthMs / 3));
    }
  }
  return planned;
}

/** Every kind in its turn, each for a host drawn by the seed, to be gone through one by one: `atMs` is 0. */
export function oneByOne(settings: ScheduleSettings): readonly PlannedFault[] {
  const { seed, count, kinds = faultKinds } = settings;
  const random = new Random(seed);
  const drawn = kinds.filter((kind) => ruleOf(kind).weight > 0 || kinds.length === 1);
  return Array.from({ length: drawn.length === 0 ? 0 : count }, (_, index) => {
    const kind = drawn[index % drawn.length] as FaultKind;
    const [least, most] = ruleOf(kind).lengthMs;
    const lengthMs = least + random.below(most - least + 1);
    const host = hostFor(ruleOf(kind), settings, random);
    return { index, kind, host, atMs: 0, lengthMs, pick: random.uint32() };
  });
}

function hostFor({ pods }: FaultRule, settings: ScheduleSettings, random: Random): number {
  const firstInPods = settings.hosts - settings.pods;
  if (pods === 1) return firstInPods;
  return pods === 2 ? firstInPods + 1 + random.below(settings.pods - 1) : random.below(settings.hosts);
}
