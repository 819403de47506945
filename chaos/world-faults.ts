import { afterBackoffMs, atOnce, type FaultRule } from './fault-rule.ts';

/** What may become of all around the controller: the edge, the APIs, what they tell of, the pods of tunnels. */

const outage = [1_000, 6_000] as const;
/** The cap of a watch's backoff (10 s), and the time to list. */
const untilSeenMs = 15_000;
/** A read that hangs for 16 s (`kube/client`) before that. */
const untilSeenAfterHangingMs = 32_000;
/** Two calls that hang for 15 s each (`cloudflare/client`). */
const afterHangingCallsMs = 30_000;
const afterFailedCallsMs = 10_000;
/** The cap of the probe for everybody (5 s, `cloudflare/availability`), and the time to make a host. */
const afterLongOutageMs = 15_000;

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
const ofHost = { part: 'cluster', hosts: 'own', boundMs: afterBackoffMs, holdsUp: [] } as const;
const pod = {
  part: 'pods',
  hosts: 'own',
  holdsUp: ['cloudflare', 'cluster'],
  boundMs: afterBackoffMs,
  lengthMs: atOnce,
} as const;

export const worldFaults = {
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
