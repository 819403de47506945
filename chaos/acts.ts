import type { Act, Begin, Target } from './act.ts';
import type { Arena } from './arena.ts';
import type { FaultKind } from './faults.ts';
import {
  endpointsOf,
  type Host,
  ingressOf,
  moreEndpointsOf,
  otherHost,
  serviceOf,
  withoutClass,
} from './hosts.ts';
import type { Owner } from './owner.ts';
import { breaksThread, kill, ofLeader, shiftsClock, terminate } from './process-acts.ts';

const hourMs = 3_600_000;
/** Longer only where something else holds it up: then the host keeps what it has. */
const removalLimitMs = 10_000;

export const acts: Readonly<Record<FaultKind, Begin>> = {
  'thread-exits': breaksThread('exit', 'thread-exited'),
  'thread-throws': breaksThread('throw', 'thread-threw'),
  'thread-spins': breaksThread('spin', 'thread-unresponsive'),
  'thread-exhausts-memory': breaksThread('exhaust', 'thread-out-of-memory'),
  'controller-terminated': ({ first }) => terminate(first.process),
  'controller-killed': ({ first }) => kill(first.process),
  'leader-killed': ofLeader(kill),
  'leader-terminated': ofLeader(terminate),
  'leader-frozen': ofLeader((process) => {
    process.freeze();
    return { end: () => process.thaw() };
  }),
  'clock-ahead': shiftsClock(hourMs),
  'clock-behind': shiftsClock(-hourMs),
  'edge-cut-one': (arena, target) => cutOne(arena, target),
  'edge-cut-host': cutHost,
  'edge-cut-all': ({ world }) => {
    world.edge.faults.cut();
    return {};
  },
  'edge-unreachable': (arena, target) => {
    arena.world.edge.faults.newConnections = 'reset';
    cutHost(arena, target);
    return healsEdge(arena);
  },
  'edge-ignores': (arena, target) => {
    arena.world.edge.faults.newConnections = 'ignore';
    cutOne(arena, target);
    return healsEdge(arena);
  },
  'edge-refuses': (arena, target) => {
    arena.world.edge.faults.refuse({ cause: 'not now', shouldRetry: true, retryAfterMs: 500 });
    cutOne(arena, target);
    return healsEdge(arena);
  },
  'edge-delays': (arena, { pick }) => {
    arena.world.edge.faults.delay(20 + (pick % 101));
    return healsEdge(arena);
  },
  'edge-half-open': (arena, { host }) => {
    arena.world.edge.faults.silence({ tunnelId: arena.tunnelOf(host.host) ?? 'none' });
    return healsEdge(arena);
  },
  'edge-goaway': (arena, target) => {
    const connectionId = connectionOf(arena, target);
    if (connectionId === null) return null;
    arena.world.edge.faults.goaway({ connectionId });
    return {};
  },
  'kubernetes-outage': ({ world: { kubernetes } }) => {
    kubernetes.faults.outage(true);
    return { end: () => kubernetes.faults.heal() };
  },
  'kubernetes-watches-expire': ({ world }) => {
    world.kubernetes.faults.expireHistory();
    return {};
  },
  'kubernetes-watches-drop': ({ world }) => {
    world.kubernetes.faults.dropWatches();
    return {};
  },
  'kubernetes-events-dropped': ({ world }) => {
    world.kubernetes.faults.hangWatches();
    return {};
  },
  'kubernetes-conflicts': ({ world: { kubernetes } }) => {
    for (const verb of ['create', 'update', 'patch', 'delete']) {
      kubernetes.faults.add({ verb, fail: { code: 409 } });
    }
    return { end: () => kubernetes.faults.heal() };
  },
  'kubernetes-throttles': ({ world: { kubernetes } }) => {
    kubernetes.faults.add({ fail: { code: 429, retryAfterSeconds: 1 } });
    return { end: () => kubernetes.faults.heal() };
  },
  'kubernetes-fails': ({ world: { kubernetes } }) => {
    kubernetes.faults.add({ fail: { code: 500 } });
    return { end: () => kubernetes.faults.heal() };
  },
  'kubernetes-hangs': ({ world: { kubernetes } }) => {
    kubernetes.faults.add({ hang: true });
    return { end: () => kubernetes.faults.heal() };
  },
  'cloudflare-outage': ({ world: { cloudflare } }) => {
    cloudflare.faults.outage = true;
    return { end: () => cloudflare.faults.clear() };
  },
  'cloudflare-long-outage': async (arena, { host }) => {
    const { owner, world } = arena;
    owner.remove('Ingress', host.name);
    // With a tunnel that is left it would serve without a call.
    await arena.until('it is removed', removalLimitMs, () => !arena.hasTunnel(host)).catch(() => {});
    world.cloudflare.faults.outage = true;
    owner.apply(ingressOf(host));
    return { end: () => world.cloudflare.faults.clear() };
  },
  'cloudflare-conflicts': (arena) =>
    failsCalls(arena, { status: 409, matches: (method) => method !== 'GET' }),
  'cloudflare-throttles': (arena) => failsCalls(arena, { status: 429, retryAfterSeconds: 2 }),
  'cloudflare-fails': (arena) => failsCalls(arena, { status: 500 }),
  'cloudflare-hangs': ({ world: { cloudflare } }) => {
    cloudflare.faults.hang = true;
    return { end: () => cloudflare.faults.clear() };
  },
  'cloudflare-loses-answers': ({ world: { cloudflare } }, { pick }) => {
    cloudflare.faults.loseAnswers(1 + (pick % 3), (method) => method !== 'GET');
    return {};
  },
  'ingress-recreated': ({ owner }, { host }) => {
    owner.remove('Ingress', host.name);
    return { end: () => owner.apply(ingressOf(host)) };
  },
  'ingress-moves-host': ({ owner }, { host }) => {
    owner.apply(ingressOf(otherHost(host)));
    return { end: () => owner.apply(ingressOf(host)) };
  },
  'ingress-changes-class': ({ owner }, { host, pick }) => {
    owner.apply(withoutClass(host, pick));
    return { end: () => owner.apply(ingressOf(host)) };
  },
  'ingress-bad-annotation': ({ owner }, { host }) => {
    owner.apply(ingressOf(host, { 'cloudflare-warp/ha-connections': 'many' }));
    return { end: () => owner.apply(ingressOf(host)) };
  },
  'endpoints-gone': (arena, { host }) => {
    arena.owner.apply(endpointsOf(host, arena.portOf(host), false));
    return { end: () => arena.owner.apply(endpointsOf(host, arena.portOf(host))) };
  },
  'endpoints-roll': (arena, { host }) => {
    const { owner } = arena;
    owner.apply(moreEndpointsOf(host, arena.portOf(host)));
    owner.apply(endpointsOf(host, arena.portOf(host), false));
    return {
      end: () => {
        owner.apply(endpointsOf(host, arena.portOf(host)));
        owner.remove('EndpointSlice', moreEndpointsOf(host, arena.portOf(host)).metadata.name);
      },
    };
  },
  'service-recreated': (arena, { host }) => {
    arena.owner.remove('Service', host.name);
    return { end: () => arena.owner.apply(serviceOf(host), endpointsOf(host, arena.portOf(host))) };
  },
  'pod-killed': killPod,
  'pod-deleted': deletePod,
  'only-pod-killed': killPod,
  'only-pod-deleted': deletePod,
};

function killPod({ world, owner }: Arena, { host, pick }: Target): Act | null {
  const pod = podOf(owner, host, pick);
  return pod !== null && world.node.signal(pod, 'SIGKILL') ? {} : null;
}

function deletePod({ owner }: Arena, { host, pick }: Target): Act | null {
  const pod = podOf(owner, host, pick);
  if (pod === null) return null;
  owner.remove('Pod', pod);
  return {};
}

/** One of the host's pods that is not on its way out. */
function podOf(owner: Owner, { host }: Host, pick: number): string | null {
  const pods = owner
    .list('Pod')
    .filter(
      ({ metadata }) =>
        metadata.annotations?.['cloudflare-warp/host'] === host && metadata.deletionTimestamp === undefined,
    );
  return pods[pick % Math.max(1, pods.length)]?.metadata.name ?? null;
}

function connectionOf(arena: Arena, target: Target): string | null {
  const tunnelId = arena.tunnelOf(target.host.host);
  const serving = arena.world.edge
    .connections()
    .filter((connection) => connection.tunnelId === tunnelId && connection.state === 'serving');
  return serving[target.pick % Math.max(1, serving.length)]?.id ?? null;
}

function cutOne(arena: Arena, target: Target): Act {
  const connectionId = connectionOf(arena, target);
  if (connectionId !== null) arena.world.edge.faults.cut({ connectionId });
  return {};
}

function cutHost(arena: Arena, { host }: Target): Act {
  arena.world.edge.faults.cut({ tunnelId: arena.tunnelOf(host.host) ?? 'none' });
  return {};
}

function healsEdge({ world }: Arena): Act {
  return { end: () => world.edge.faults.clear() };
}

function failsCalls(
  { world: { cloudflare } }: Arena,
  fault: Omit<Parameters<typeof cloudflare.faults.failNext>[0], 'count'>,
): Act {
  cloudflare.faults.failNext({ ...fault, count: 1_000_000 });
  return { end: () => cloudflare.faults.clear() };
}
