/**
 * The faults: what each one breaks, whose requests may fail because of it, and how soon all is well again after
 * its end. This table is the promise; `docs/reliability.md` shows it beside what was measured.
 */

/** Faults of one part do not overlap each other; those of the cluster do not overlap on one host. */
export type Part = 'threads' | 'process' | 'clock' | 'edge' | 'kubernetes' | 'cloudflare' | 'cluster';

/**
 * What a host may lose. `nothing`: no request fails. `some`: a part of its connections, so nothing but requests
 * that were open on them when it hit. `all`: every connection, or its backend; requests may fail until it is whole.
 */
export type Loss = 'nothing' | 'some' | 'all';

export interface FaultRule {
  readonly part: Part;
  readonly what: string;
  /** `own`: the host that the fault is about. */
  readonly hosts: 'own' | 'every';
  readonly loss: Loss;
  /** One host, whichever it is, may lose all: it was alone on the thread. */
  readonly mayLoseOne?: true;
  /** The only status with which requests may fail. */
  readonly onlyStatus?: number;
  /** Parts whose faults may come to their end later while this one lasts. */
  readonly holdsUp: readonly Part[];
  /** How long it lasts: least and most, milliseconds. */
  readonly lengthMs: readonly [number, number];
  /** From its end until the host is whole again, on a machine that has time for it. */
  readonly boundMs: number;
  /** How often it is drawn, against the others. */
  readonly weight: number;
}

const atOnce = [0, 0] as const;
const aMoment = [2_000, 6_000] as const;
const outage = [1_000, 6_000] as const;

/** The caps of the backoffs (30 s), and the time to dial and register. */
const afterBackoffMs = 45_000;
/** Two calls that hang for 15 s each (`cloudflare/client`), and what comes after them. */
const afterHangingCallsMs = 90_000;

const thread = { part: 'threads', hosts: 'every', loss: 'some', mayLoseOne: true, holdsUp: [] } as const;
const edge = { part: 'edge', holdsUp: ['threads', 'process', 'cluster'], boundMs: afterBackoffMs } as const;
const kubernetes = {
  part: 'kubernetes',
  hosts: 'every',
  loss: 'nothing',
  holdsUp: ['process', 'cluster'],
  lengthMs: outage,
  boundMs: afterBackoffMs,
} as const;
const cloudflare = {
  part: 'cloudflare',
  hosts: 'every',
  loss: 'nothing',
  holdsUp: ['cluster'],
  lengthMs: outage,
  boundMs: afterBackoffMs,
} as const;
const process = { part: 'process', hosts: 'every', holdsUp: ['threads', 'edge', 'cluster'] } as const;
const clock = {
  part: 'clock',
  hosts: 'every',
  loss: 'nothing',
  holdsUp: [],
  lengthMs: aMoment,
  boundMs: 10_000,
  weight: 2,
} as const;
const ofHost = { part: 'cluster', hosts: 'own', boundMs: afterBackoffMs, holdsUp: [] } as const;

export const faults = {
  'thread-exits': {
    ...thread,
    what: 'a thread calls process.exit',
    lengthMs: atOnce,
    boundMs: afterBackoffMs,
    weight: 3,
  },
  'thread-throws': {
    ...thread,
    what: 'an uncaught error in a thread',
    lengthMs: atOnce,
    boundMs: afterBackoffMs,
    weight: 3,
  },
  'thread-spins': {
    ...thread,
    what: 'a thread loops for ever',
    lengthMs: atOnce,
    boundMs: afterBackoffMs + 12_000,
    weight: 2,
  },
  'thread-exhausts-memory': {
    ...thread,
    what: 'a thread allocates until its heap limit',
    lengthMs: atOnce,
    boundMs: afterBackoffMs + 12_000,
    weight: 2,
  },
  'controller-terminated': {
    ...process,
    what: 'SIGTERM, and a new start after a while',
    loss: 'all',
    onlyStatus: 530,
    lengthMs: [0, 3_000],
    boundMs: afterBackoffMs,
    weight: 2,
  },
  'controller-killed': {
    ...process,
    what: 'SIGKILL; started again with a pause, as a kubelet does',
    loss: 'all',
    lengthMs: atOnce,
    boundMs: afterBackoffMs + 30_000,
    weight: 1,
  },
  'clock-ahead': { ...clock, what: 'the wall clock jumps an hour ahead, and back' },
  'clock-behind': { ...clock, what: 'the wall clock jumps an hour back, and ahead' },
  'edge-cut-one': {
    ...edge,
    what: "TCP reset of one connection of a host's tunnel",
    hosts: 'own',
    loss: 'some',
    lengthMs: atOnce,
    weight: 3,
  },
  'edge-cut-host': {
    ...edge,
    what: "TCP reset of all connections of a host's tunnel",
    hosts: 'own',
    loss: 'all',
    lengthMs: atOnce,
    weight: 3,
  },
  'edge-cut-all': {
    ...edge,
    what: 'TCP reset of every connection',
    hosts: 'every',
    loss: 'all',
    lengthMs: atOnce,
    weight: 1,
  },
  'edge-unreachable': {
    ...edge,
    what: "a host's connections are cut, and new ones reset for a while",
    hosts: 'own',
    loss: 'all',
    lengthMs: outage,
    weight: 2,
  },
  'edge-ignores': {
    ...edge,
    what: 'one connection is cut, and new ones get no answer for a while',
    hosts: 'own',
    loss: 'some',
    lengthMs: outage,
    weight: 1,
  },
  'edge-refuses': {
    ...edge,
    what: 'one connection is cut, and registrations are refused for a while',
    hosts: 'own',
    loss: 'some',
    lengthMs: outage,
    weight: 2,
  },
  'edge-delays': {
    ...edge,
    what: 'every chunk is 20 to 120 ms late',
    hosts: 'every',
    loss: 'nothing',
    lengthMs: outage,
    weight: 2,
  },
  'edge-half-open': {
    ...edge,
    what: "a host's connections pass nothing any more, and nobody is told",
    hosts: 'own',
    loss: 'all',
    lengthMs: [12_000, 20_000],
    weight: 1,
  },
  'edge-goaway': {
    ...edge,
    what: 'GOAWAY on one connection',
    hosts: 'own',
    loss: 'nothing',
    lengthMs: atOnce,
    weight: 2,
  },
  'kubernetes-outage': { ...kubernetes, what: 'every connection to the API server is cut', weight: 2 },
  'kubernetes-watches-expire': { ...kubernetes, what: '410: history is gone', lengthMs: atOnce, weight: 2 },
  'kubernetes-watches-drop': {
    ...kubernetes,
    what: 'watches are cut; what happens meanwhile has to be caught up with',
    lengthMs: atOnce,
    weight: 2,
  },
  'kubernetes-events-dropped': {
    ...kubernetes,
    what: 'watches stay open, and no event arrives any more',
    lengthMs: atOnce,
    // A minute and a half of silence is believed (`kube/watch-stream`).
    boundMs: 90_000 + afterBackoffMs,
    weight: 0,
  },
  'kubernetes-conflicts': { ...kubernetes, what: '409 to every write', weight: 2 },
  'kubernetes-throttles': { ...kubernetes, what: '429 with Retry-After to everything', weight: 2 },
  'kubernetes-fails': { ...kubernetes, what: '500 to everything', weight: 2 },
  'kubernetes-hangs': {
    ...kubernetes,
    what: 'requests are heard and never answered',
    boundMs: afterHangingCallsMs,
    weight: 1,
  },
  'cloudflare-outage': { ...cloudflare, what: 'every call is cut', weight: 2 },
  'cloudflare-conflicts': { ...cloudflare, what: '409 to every write', weight: 2 },
  'cloudflare-throttles': { ...cloudflare, what: '429 with Retry-After', weight: 2 },
  'cloudflare-fails': { ...cloudflare, what: '500 to everything', weight: 2 },
  'cloudflare-hangs': {
    ...cloudflare,
    what: 'calls are heard and never answered',
    boundMs: afterHangingCallsMs,
    weight: 1,
  },
  'cloudflare-loses-answers': {
    ...cloudflare,
    what: 'writes are carried out, their answers lost',
    lengthMs: atOnce,
    weight: 2,
  },
  'ingress-recreated': {
    ...ofHost,
    what: 'an Ingress is deleted, and created again after a while',
    loss: 'all',
    lengthMs: [0, 4_000],
    weight: 5,
  },
  'ingress-moves-host': {
    ...ofHost,
    what: "an Ingress' host is changed in place, and back",
    loss: 'all',
    lengthMs: [500, 4_000],
    weight: 2,
  },
  'ingress-bad-annotation': {
    ...ofHost,
    what: 'an annotation gets a value that means nothing',
    loss: 'nothing',
    lengthMs: [500, 4_000],
    weight: 2,
  },
  'endpoints-gone': {
    ...ofHost,
    what: 'no endpoint of the Service is ready for a while',
    loss: 'all',
    lengthMs: [500, 4_000],
    weight: 2,
  },
  'endpoints-roll': {
    ...ofHost,
    what: 'every endpoint of the Service is replaced',
    loss: 'nothing',
    lengthMs: [200, 1_000],
    weight: 2,
  },
  'service-recreated': {
    ...ofHost,
    what: 'the Service is deleted, and created again after a while',
    loss: 'all',
    lengthMs: [500, 3_000],
    weight: 1,
  },
} as const satisfies Readonly<Record<string, FaultRule>>;

export type FaultKind = keyof typeof faults;

export const faultKinds = Object.keys(faults) as readonly FaultKind[];

export function ruleOf(kind: FaultKind): FaultRule {
  return faults[kind];
}

/** With a thread for each tunnel a dying thread takes one host and not a request of any other. */
export function ruleInIsolation(kind: FaultKind): FaultRule {
  const rule = ruleOf(kind);
  return rule.mayLoseOne === true ? { ...rule, loss: 'nothing' } : rule;
}
