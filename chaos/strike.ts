import { setTimeout as sleep } from 'node:timers/promises';
import { acts } from './acts.ts';
import type { Arena } from './arena.ts';
import type { FaultRule } from './fault-rule.ts';
import { ruleOf } from './faults.ts';
import type { Host } from './hosts.ts';
import type { OpenFault, Recovery } from './recovery.ts';
import type { PlannedFault } from './schedule.ts';

/** Requests that began before a thread was lost may have been given to it a moment later. */
const hitSlackMs = 500;

export function inWords({ hosts }: Arena, { kind, host }: PlannedFault): string {
  return ruleOf(kind).hosts === 'own' ? `${kind} ${hosts[host]!.host}` : kind;
}

/** One fault from its beginning to its end; null when there was nothing to break. */
export async function strike(
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
    hosts: arena.hosts.filter((each) => isAbout(rule, each, host)).map((each) => each.host),
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

/** What a fault with this rule that strikes `own` is about. */
function isAbout(rule: FaultRule, host: Host, own: Host): boolean {
  switch (rule.hosts) {
    case 'own':
      return host === own;
    case 'threaded':
      return host.pods === 0;
    case 'every':
      return true;
  }
}
