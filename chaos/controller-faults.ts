import { afterBackoffMs, atOnce, type FaultRule } from './fault-rule.ts';

/** What may become of the controller itself: its threads, its process, its replicas, its clock. */

const aMoment = [2_000, 6_000] as const;

/** What stands still until a process is back. */
const itsWork = ['threads', 'edge', 'kubernetes', 'cloudflare', 'cluster'] as const;

const thread = {
  part: 'threads',
  hosts: 'threaded',
  loss: 'some',
  mayLoseOne: true,
  holdsUp: [],
  lengthMs: atOnce,
  boundMs: afterBackoffMs,
} as const;
const process = {
  part: 'process',
  hosts: 'threaded',
  replicas: 'one',
  holdsUp: itsWork,
} as const;
const replica = {
  part: 'replicas',
  hosts: 'threaded',
  replicas: 'several',
  holdsUp: itsWork,
  // A Lease that nobody gave back is taken after 10 to 15 s; a replica that died starts again with a pause.
  boundMs: afterBackoffMs,
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

export const controllerFaults = {
  'thread-exits': { ...thread, what: 'a thread calls process.exit', weight: 3 },
  'thread-throws': { ...thread, what: 'an uncaught error in a thread', weight: 3 },
  'thread-spins': { ...thread, what: 'a thread loops for ever', boundMs: afterBackoffMs + 12_000, weight: 2 },
  'thread-exhausts-memory': {
    ...thread,
    what: 'a thread allocates until its heap limit',
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
} as const satisfies Readonly<Record<string, FaultRule>>;
