import { z } from 'zod';
import type { ObjectVersion } from '../../domain/ledger.ts';
import { fieldManager } from '../client.ts';
import { hostAnnotation, hostHashLabel, ledgerSecretNameOf } from '../ledger-secret.ts';
import { parseMeta } from '../parse-meta.ts';
import { makingAnnotation, podsHashAnnotation, type SayableParts } from './tunnel-deployment.ts';

/** What keeps a tunnel's pods from running. */
export interface PodTrouble {
  /** The same from one try to the next, also where the words are not. */
  readonly kind: string;
  readonly text: string;
}

/** A Deployment of tunnel pods as it is now. */
export interface SeenPods {
  readonly name: string;
  readonly host: string;
  readonly uid: string;
  readonly resourceVersion: ObjectVersion;
  /** Of what was wanted when it was written; empty when somebody has taken that away. */
  readonly hash: string;
  readonly deleting: boolean;
  readonly ready: number;
  /** All pods are of what the Deployment says now, and ready. */
  readonly isRolledOut: boolean;
  /** Why no pods can be made (a quota, a policy of the namespace, somebody has paused it), or null. */
  readonly trouble: PodTrouble | null;
  /** Kubernetes tries again to make those pods, later and later. */
  readonly areRefused: boolean;
  /** As it is stored; compared with what we have said (`differences`). */
  readonly stored: SayableParts;
  /** A HorizontalPodAutoscaler has set the number of pods, and nobody has since. */
  readonly isAutoscaled: boolean;
  /** Who else has set fields of it, as they call themselves ("kubectl-edit"). */
  readonly otherManagers: readonly string[];
}

/** One tunnel pod that has not ended. */
export interface SeenPod {
  readonly name: string;
  /** Of its Deployment. */
  readonly of: string;
  /** What it was made from (`WantedPods.making`); empty where that is not known. */
  readonly making: string;
  /** Its IP address, once it has one. */
  readonly address: string | null;
  /** As Kubernetes has it: `Pending`, `Running`. */
  readonly phase: string;
  readonly isReady: boolean;
  /** Why it does not get to run, or null. */
  readonly trouble: PodTrouble | null;
}

const count = z.int().nonnegative().catch(0);
const text = z.string().max(1_000).catch('');
const deploymentShape = z.object({
  metadata: z.object({
    generation: count,
    managedFields: z.array(z.object({ manager: text, subresource: text })).catch([]),
  }),
  spec: z.looseObject({ replicas: count, paused: z.boolean().catch(false) }),
  status: z
    .object({
      observedGeneration: count,
      replicas: count,
      updatedReplicas: count,
      readyReplicas: count,
      conditions: z
        .array(z.object({ type: text, status: text, message: text }))
        .nullish()
        .catch(null),
    })
    .catch({ observedGeneration: 0, replicas: 0, updatedReplicas: 0, readyReplicas: 0, conditions: [] }),
});

/** Its name as a field manager; its autoscaler is known by the subresource `scale`, which nothing else in it writes. */
const kubernetesItself = 'kube-controller-manager';

/** Null for a Deployment that is none of ours. Pure, never throws. */
export function parseSeenPods(object: unknown): SeenPods | null {
  const meta = parseMeta(object);
  const host = meta?.annotations[hostAnnotation];
  const parsed = deploymentShape.safeParse(object);
  if (meta === null || typeof host !== 'string' || !parsed.success) return null;
  const { metadata, spec, status } = parsed.data;
  const hash = meta.annotations[podsHashAnnotation];
  const isAutoscaler = (by: { readonly manager: string; readonly subresource: string }): boolean =>
    by.manager === kubernetesItself && by.subresource === 'scale';
  const others = metadata.managedFields.filter(
    (by) => by.manager !== fieldManager && (by.manager !== kubernetesItself || isAutoscaler(by)),
  );
  const isCurrent = status.observedGeneration >= metadata.generation;
  // One from before the last change is about pods that are not wanted any more.
  const failure = status.conditions?.find(
    ({ type, status: is }) => type === 'ReplicaFailure' && is === 'True' && isCurrent,
  );
  return {
    name: meta.name,
    host,
    uid: meta.uid,
    resourceVersion: meta.resourceVersion,
    hash: typeof hash === 'string' ? hash : '',
    deleting: meta.deleting,
    ready: status.readyReplicas,
    isRolledOut:
      isCurrent &&
      status.updatedReplicas === spec.replicas &&
      status.replicas === spec.replicas &&
      status.readyReplicas === spec.replicas,
    trouble: spec.paused
      ? {
          kind: 'Paused',
          text: `Deployment ${meta.name} is paused, and until "kubectl rollout resume deployment ${meta.name}" no pod takes the place of another`,
        }
      : failure === undefined
        ? null
        : { kind: 'ReplicaFailure', text: `no pod can be made: ${failure.message}` },
    areRefused: failure !== undefined && !spec.paused,
    stored: { metadata: { labels: meta.labels, annotations: meta.annotations }, spec },
    isAutoscaled: metadata.managedFields.some(isAutoscaler),
    otherManagers: [...new Set(others.map(({ manager }) => manager))],
  };
}

const containerShape = z.object({
  name: text,
  state: z.object({ waiting: z.object({ reason: text, message: text }).nullish().catch(null) }).catch({}),
  lastState: z
    .object({
      terminated: z
        .object({ reason: text, exitCode: z.int().catch(-1) })
        .nullish()
        .catch(null),
    })
    .catch({}),
});
const podShape = z.object({
  status: z
    .object({
      phase: text,
      podIP: z.string().min(1).max(64).nullish().catch(null),
      conditions: z.array(z.object({ type: text, status: text, reason: text, message: text })).nullish(),
      containerStatuses: z.array(containerShape).nullish(),
    })
    .catch({ phase: '', podIP: null, conditions: [], containerStatuses: [] }),
});

/** The words of a container that is on its way. */
const underWay = new Set(['', 'ContainerCreating', 'PodInitializing']);
/** A kubelet says these in turns. */
const sameTrouble = new Map([['ErrImagePull', 'ImagePullBackOff']]);

/** Null for a pod that has ended or is none of ours. Pure, never throws. */
export function parseSeenPod(object: unknown): SeenPod | null {
  const meta = parseMeta(object);
  const hash = meta?.labels[hostHashLabel];
  const parsed = podShape.safeParse(object);
  if (meta === null || typeof hash !== 'string' || !parsed.success) return null;
  const { phase, podIP, conditions, containerStatuses } = parsed.data.status;
  if (phase === 'Succeeded' || phase === 'Failed') return null;
  const making = meta.annotations[makingAnnotation];
  const waits = containerStatuses?.find(({ state }) => !underWay.has(state.waiting?.reason ?? ''));
  const unscheduled = conditions?.find(
    ({ type, status, reason }) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
  const trouble =
    waits !== undefined
      ? troubleOf(waits)
      : unscheduled && { kind: unscheduled.reason, text: `cannot be scheduled: ${unscheduled.message}` };
  return {
    name: meta.name,
    of: ledgerSecretNameOf(hash),
    making: typeof making === 'string' ? making : '',
    address: podIP ?? null,
    phase,
    isReady: conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    // One that is asked to end is nobody's trouble any more.
    trouble:
      trouble === undefined || meta.deleting
        ? null
        : { kind: trouble.kind, text: `pod ${meta.name}: ${trouble.text}` },
  };
}

/** The message of a CrashLoopBackOff names the next delay, so the last exit is told instead. */
function troubleOf({ name, state, lastState }: z.infer<typeof containerShape>): PodTrouble {
  const { reason = '', message = '' } = state.waiting ?? {};
  const last = lastState.terminated;
  const detail =
    reason === 'CrashLoopBackOff' && last != null
      ? `the last run ended with exit code ${last.exitCode}${last.reason === '' ? '' : ` (${last.reason})`}; its log says why`
      : message.slice(0, 300);
  const text = `container "${name}" waits: ${reason}${detail === '' ? '' : `, ${detail}`}`;
  return { kind: sameTrouble.get(reason) ?? reason, text };
}
