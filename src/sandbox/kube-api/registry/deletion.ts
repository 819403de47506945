import { type KubeObject, listAt, numberAt, textAt } from '../json.ts';
import { namespaces } from '../resources/cluster.ts';
import type { ResourceDefinition } from '../resources/definition.ts';
import { pods } from '../resources/pod.ts';
import { timestamp } from './metadata.ts';

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Deletion {
  readonly preconditions: Preconditions;
  readonly propagation: 'Background' | 'Foreground' | 'Orphan';
  /** Seconds a pod has to end; undefined leaves it to the pod. */
  readonly graceSeconds: number | undefined;
  readonly dryRun: boolean;
}

export const plainDeletion: Deletion = {
  preconditions: {},
  propagation: 'Background',
  graceSeconds: undefined,
  dryRun: false,
};

/** Finalizers by which the garbage collector is asked to act before the object goes. */
export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/**
 * The object as a deletion leaves it while something still holds it: finalizers, a pod's grace period, a
 * namespace's content. Null when it can go at once.
 */
export function markDeleted(
  definition: ResourceDefinition,
  old: KubeObject,
  { propagation, graceSeconds }: Deletion,
  nowMs: number,
): KubeObject | null {
  const finalizers = listAt(old.metadata, 'finalizers').map(String);
  if (old.metadata.deletionTimestamp === undefined) {
    if (propagation === 'Foreground') finalizers.push(foregroundFinalizer);
    if (propagation === 'Orphan') finalizers.push(orphanFinalizer);
  }
  const grace = definition === pods ? podGraceSeconds(old, graceSeconds) : 0;
  const holds =
    finalizers.length > 0 ||
    grace > 0 ||
    (definition === namespaces && listAt(old, 'spec', 'finalizers').length > 0);
  if (!holds) return null;
  const shortened = grace < (old.metadata.deletionGracePeriodSeconds ?? 0);
  if (old.metadata.deletionTimestamp !== undefined && !shortened) return old;
  return {
    ...old,
    ...(definition === namespaces && { status: { phase: 'Terminating' } }),
    metadata: {
      ...old.metadata,
      ...(finalizers.length > 0 && { finalizers }),
      ...(old.metadata.generation !== undefined && { generation: old.metadata.generation + 1 }),
      deletionTimestamp: timestamp(nowMs + grace * 1000),
      ...(definition !== namespaces && { deletionGracePeriodSeconds: grace }),
    },
  };
}

/** A pod that no kubelet has, or that has ended, needs no time. */
function podGraceSeconds(pod: KubeObject, wanted: number | undefined): number {
  const ended = ['Failed', 'Succeeded'].includes(textAt(pod, 'status', 'phase'));
  if (ended || textAt(pod, 'spec', 'nodeName') === '') return 0;
  return wanted ?? numberAt(pod, 'spec', 'terminationGracePeriodSeconds') ?? 30;
}
