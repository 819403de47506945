/**
 * The faults: what each one breaks, whose requests may fail because of it, and how soon all is well again after
 * its end. This table is the promise; `docs/reliability.md` shows it beside what was measured.
 */

/** Faults of one part do not overlap each other; those of the cluster and of pods do not on one host. */
export type Part =
  | 'threads'
  | 'process'
  | 'replicas'
  | 'clock'
  | 'edge'
  | 'kubernetes'
  | 'cloudflare'
  | 'cluster'
  | 'pods'
  | 'machine';

/**
 * What a host may lose. `nothing`: no request fails. `some`: a part of its connections, so nothing but requests
 * that were open on them when it hit. `all`: every connection, or its backend; requests may fail until it is whole.
 */
export type Loss = 'nothing' | 'some' | 'all';

export interface FaultRule {
  readonly part: Part;
  readonly what: string;
  /** `own`: the host that the fault is about. `threaded`: those whose tunnels run in threads of the controller. */
  readonly hosts: 'own' | 'threaded' | 'every';
  /** In how many pods the tunnel of its host must run; left out: anywhere. */
  readonly pods?: 1 | 2;
  /** Needs a controller that is alone, or several; left out: any number. */
  readonly replicas?: 'one' | 'several';
  readonly loss: Loss;
  /** One host, whichever it is, may lose all: it was alone on the thread. */
  readonly mayLoseOne?: true;
  /** The only status with which requests may fail. */
  readonly onlyStatus?: number;
  /** It takes some connections in order, so that one more that takes some may take the last. */
  readonly thins?: true;
  /** The controller may be blind for a while: the bound is for how soon it sees everything again. */
  readonly blinds?: true;
  /** Parts for whose faults the time begins only when this one is over. */
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
/** The cap of a watch's backoff (10 s), and the time to list. */
const untilSeenMs = 15_000;
/** A read that hangs for 16 s (`kube/client`) before that. */
const untilSeenAfterHangingMs = 32_000;
/** Two calls that hang for 15 s each (`cloudflare/client`). */
const afterHangingCallsMs = 30_000;
const afterFailedCallsMs = 10_000;
/** The cap of the probe for everybody (5 s, `cloudflare/availability`), and the time to make a host. */
const afterLongOutageMs = 15_000;

const thread = { part: 'threads', hosts: 'threaded', loss: 'some', mayLoseOne: true, holdsUp: [] } as const;
const edge = {
  part: 'edge',
  holdsUp: ['threads', 'process', 'replicas', 'cloudflare', 'cluster', 'pods'],
  boundMs: afterBackoffMs,
} as const;
const kubernetes = {
  part: 'kubernetes',
  hosts: 'every',
  loss: 'nothing',
  blinds: true,
  holdsUp: ['process', 'replicas', 'kubernetes', 'cloudflare', 'cluster', 'pods'],
  lengthMs: outage,
  boundMs: untilSeenMs,
} as const;
const cloudflare = {
  part: 'cloudflare',
  hosts: 'every',
  loss: 'nothing',
  holdsUp: ['cloudflare', 'cluster'],
  lengthMs: outage,
  boundMs: afterFailedCallsMs,
} as const;
const process = {
  part: 'process',
  hosts: 'threaded',
  replicas: 'one',
  holdsUp: ['threads', 'edge', 'kubernetes', 'cloudflare', 'cluster'],
} as const;
const replica = {
  part: 'replicas',
  hosts: 'threaded',
  replicas: 'several',
  holdsUp: ['threads', 'edge', 'kubernetes', 'cloudflare', 'cluster'],
  // A Lease that nobody gave back is taken after 10 to 15 s; a replica that died starts again with a pause.
  boundMs: afterBackoffMs,
} as const;
const pod = {
  part: 'pods',
  hosts: 'own',
  holdsUp: ['cloudflare', 'cluster'],
  boundMs: afterBackoffMs,
  lengthMs: atOnce,
} as const;
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
  'leader-killed': {
    ...replica,
    what: 'SIGKILL for the replica that leads; started again as a kubelet does',
    loss: 'some',
    lengthMs: atOnce,
    weight: 3,
  },
  'leader-terminated': {
    ...replica,
    what: 'SIGTERM for the replica that leads, and a new start after a while',
    loss: 'nothing',
    thins: true,
    lengthMs: [0, 3_000],
    weight: 3,
  },
  'leader-frozen': {
    ...replica,
    what: 'SIGSTOP for the replica that leads, until another one leads, and SIGCONT',
    loss: 'all',
    lengthMs: [12_000, 18_000],
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
  'kubernetes-watches-expire': { ...kubernetes, what: '410: history is gone', lengthMs: atOnce, weight: 4 },
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
    boundMs: 90_000 + untilSeenMs,
    weight: 0,
  },
  'kubernetes-conflicts': { ...kubernetes, what: '409 to every write', weight: 2 },
  'kubernetes-throttles': { ...kubernetes, what: '429 with Retry-After to everything', weight: 2 },
  'kubernetes-fails': { ...kubernetes, what: '500 to everything', weight: 2 },
  'kubernetes-hangs': {
    ...kubernetes,
    what: 'requests are heard and never answered',
    boundMs: untilSeenAfterHangingMs,
    weight: 1,
  },
  'cloudflare-outage': { ...cloudflare, what: 'every call is cut', weight: 2 },
  'cloudflare-long-outage': {
    ...cloudflare,
    what: 'every call is cut for a minute, and an Ingress comes meanwhile',
    hosts: 'own',
    loss: 'all',
    lengthMs: [40_000, 60_000],
    boundMs: afterLongOutageMs,
    weight: 1,
  },
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
  'ingress-changes-class': {
    ...ofHost,
    what: 'an Ingress gets another class, or none any more, and its own again',
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
  'pod-killed': {
    ...pod,
    what: "SIGKILL for one of the two pods of a host's tunnel",
    pods: 2,
    loss: 'some',
    weight: 2,
  },
  'pod-deleted': {
    ...pod,
    what: "one of the two pods of a host's tunnel is deleted, as a drain does",
    pods: 2,
    loss: 'nothing',
    thins: true,
    weight: 2,
  },
  'only-pod-killed': {
    ...pod,
    what: "SIGKILL for the only pod of a host's tunnel",
    pods: 1,
    loss: 'all',
    weight: 1,
  },
  'only-pod-deleted': {
    ...pod,
    what: "the only pod of a host's tunnel is deleted",
    pods: 1,
    loss: 'all',
    onlyStatus: 530,
    weight: 1,
  },
} as const satisfies Readonly<Record<string, FaultRule>>;

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

/** Something is gone for a while, and has to be back within the bound. */
export function isBound({ loss, mayLoseOne, thins, blinds }: FaultRule): boolean {
  return loss !== 'nothing' || mayLoseOne === true || thins === true || blinds === true;
}

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
  const needed = rule.pods === undefined ? 0 : rule.pods;
  return pods >= needed && (rule.replicas === undefined || (rule.replicas === 'one') === (replicas === 1));
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
