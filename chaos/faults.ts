import { controllerFaults } from './controller-faults.ts';
import { afterBackoffMs, atOnce, type FaultRule } from './fault-rule.ts';
import { worldFaults } from './world-faults.ts';

/**
 * The faults: what each one breaks, whose requests may fail because of it, and how soon all is well again after
 * its end. This table is the promise; `docs/reliability.md` shows it beside what was measured. What a seed draws depends on its order.
 */
const faults = { ...controllerFaults, ...worldFaults };

export type FaultKind = keyof typeof faults;

export const faultKinds = Object.keys(faults) as readonly FaultKind[];

export function ruleOf(kind: FaultKind): FaultRule {
  return faults[kind];
}

/**
 * No fault that anybody drew: the machine gave this process, which is the edge and the visitors as well, no time for so long
 * that connectors rightly take the edge for dead. What fails then is not judged.
 */
export const stallRule: FaultRule = {
  part: 'machine',
  what: 'the machine has no time for the edge',
  hosts: 'every',
  loss: 'all',
  holdsUp: ['threads', 'process', 'replicas', 'edge', 'kubernetes', 'cloudflare', 'cluster', 'pods'],
  lengthMs: atOnce,
  boundMs: afterBackoffMs,
  weight: 0,
};

/** What there is in an arena that could be broken. */
export interface Setting {
  readonly replicas: number;
  /** Hosts whose tunnels are in pods; one of them in a single one. */
  readonly pods: number;
  /** A thread for each tunnel. */
  readonly isolated: boolean;
}

/** False for what such an arena has nothing of. */
export function isPossible(kind: FaultKind, { replicas, pods }: Setting): boolean {
  const rule = ruleOf(kind);
  return (
    pods >= (rule.pods ?? 0) &&
    (rule.replicas === undefined || (rule.replicas === 'one') === (replicas === 1))
  );
}

/**
 * A thread that dies takes a part of each of its tunnels' connections, and all of a tunnel that was alone on it; with a
 * thread for each tunnel, one host and not a request of any other. Where another replica serves as well no host is lost.
 */
export function ruleIn({ replicas, isolated }: Setting, kind: FaultKind): FaultRule {
  const { mayLoseOne, ...rule } = ruleOf(kind);
  if (mayLoseOne !== true || replicas > 1) return rule;
  return { ...rule, mayLoseOne, loss: isolated ? 'nothing' : rule.loss };
}
