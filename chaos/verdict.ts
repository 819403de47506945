import { type FaultRule, isBound, type Loss } from './fault-rule.ts';
import type { FaultKind } from './faults.ts';

/** What became of one fault. Times are milliseconds on one monotonic clock. */
export interface FaultRecord {
  readonly index: number;
  readonly kind: FaultKind | 'stall';
  readonly rule: FaultRule;
  /** Which hosts it is about. */
  readonly hosts: readonly string[];
  readonly startMs: number;
  /** Nothing was open any more on what it took: requests that began later were on something else. */
  readonly hitMs: number;
  readonly endMs: number;
  /** When each host was whole again; a host that is not there never was. */
  readonly wholeMs: ReadonlyMap<string, number>;
}

export interface FailedRequest {
  readonly host: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0: no answer, or a broken one. */
  readonly status: number;
  readonly why: string;
}

/** A promise that was not kept, as a sentence. */
export type Violation = string;

/**
 * Judges a run: every failed request against the faults that may explain it. A fault explains what its rule says
 * and no more; two at once that each take some of a host's connections, in order or not, may take all of them.
 */
export function unexplained(
  requests: readonly FailedRequest[],
  faults: readonly FaultRecord[],
): readonly Violation[] {
  const violations: Violation[] = [];
  /** The host that each fault which may cost one has cost. In the order of time, so that the first has no choice. */
  const taken = new Map<FaultRecord, string>();
  for (const request of requests.toSorted((one, other) => one.startMs - other.startMs)) {
    if (faults.some((fault) => explains(fault, request, faults))) continue;
    const culprits = faults.filter((fault) => fault.rule.mayLoseOne === true && isDuring(fault, request));
    const culprit =
      culprits.find((fault) => taken.get(fault) === request.host) ??
      culprits.find((fault) => !taken.has(fault));
    if (culprit !== undefined) {
      taken.set(culprit, request.host);
      continue;
    }
    const spent = culprits.map((fault) => `; ${named(fault)} had already taken ${taken.get(fault)}`).join('');
    violations.push(
      `${request.host} was healthy, and a request failed (${request.status}: ${request.why}) at ${seconds(request.startMs)} after ${Math.round(request.endMs - request.startMs)} ms${spent}`,
    );
  }
  return violations;
}

/**
 * Hosts that were not whole in time after a fault that took something from them. `patience` stretches the bounds,
 * for a machine that is busy.
 */
export function overdue(faults: readonly FaultRecord[], patience: number): readonly Violation[] {
  return faults
    .filter(({ rule }) => isBound(rule))
    .flatMap((fault) =>
      fault.hosts.flatMap((host) => {
        const wholeMs = fault.wholeMs.get(host);
        const dueMs = deadlineMs(fault, host, faults, patience);
        if (wholeMs !== undefined && wholeMs <= dueMs) return [];
        const within = seconds(dueMs - fault.endMs);
        const after = wholeMs === undefined ? 'not at all' : `after ${seconds(wholeMs - fault.endMs)}`;
        return [`${named(fault)}: ${host} had to be whole within ${within} of its end, and was ${after}`];
      }),
    );
}

/**
 * Until when a host must be whole after a fault: its bound, and longer as far as other faults meanwhile take the
 * host down as well, or hold up the return so that the bound begins anew when they are over.
 */
export function deadlineMs(
  fault: FaultRecord,
  host: string,
  faults: readonly FaultRecord[],
  patience: number,
): number {
  const boundMs = fault.rule.boundMs * patience;
  let dueMs = fault.endMs + boundMs;
  const holdsUp = (other: FaultRecord): boolean => other.rule.holdsUp.includes(fault.rule.part);
  const wait = faults.filter(
    (other) => other !== fault && (holdsUp(other) || (takes(other) && concerns(other, host))),
  );
  for (let grown = true; grown; ) {
    grown = false;
    for (const other of wait) {
      const latestMs = other.endMs + other.rule.boundMs * patience + (holdsUp(other) ? boundMs : 0);
      if (other.startMs > dueMs || latestMs < fault.startMs || latestMs <= dueMs) continue;
      dueMs = latestMs;
      grown = true;
    }
  }
  return dueMs;
}

function takes({ rule }: FaultRecord): boolean {
  return rule.loss !== 'nothing' || rule.mayLoseOne === true;
}

function concerns(fault: FaultRecord, host: string): boolean {
  return fault.hosts.includes(host);
}

function explains(fault: FaultRecord, request: FailedRequest, all: readonly FaultRecord[]): boolean {
  const { onlyStatus } = fault.rule;
  if (!isDuring(fault, request)) return false;
  if (onlyStatus !== undefined && request.status !== onlyStatus) return false;
  switch (lossOf(fault, request.host)) {
    case 'nothing':
      return fault.rule.thins === true && isShortOfConnections(fault, request, all);
    case 'all':
      return true;
    case 'some':
      return request.startMs <= fault.hitMs || isShortOfConnections(fault, request, all);
  }
}

/** Another fault has taken some of the host's connections, and the host was not whole again. */
function isShortOfConnections(
  fault: FaultRecord,
  request: FailedRequest,
  all: readonly FaultRecord[],
): boolean {
  return all.some(
    (other) =>
      other !== fault &&
      isDuring(other, request) &&
      (lossOf(other, request.host) !== 'nothing' || other.rule.thins === true),
  );
}

function lossOf(fault: FaultRecord, host: string): Loss {
  return concerns(fault, host) ? fault.rule.loss : 'nothing';
}

/** The request was open at some time between the start of the fault and the return of its host. */
function isDuring(fault: FaultRecord, { host, startMs, endMs }: FailedRequest): boolean {
  return (
    concerns(fault, host) &&
    endMs >= fault.startMs &&
    startMs <= (fault.wholeMs.get(host) ?? Number.POSITIVE_INFINITY)
  );
}

function named({ index, kind, startMs }: FaultRecord): string {
  return `fault ${index} (${kind}) at ${seconds(startMs)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
