export interface RolloutPod {
  readonly name: string;
  /** Of the template as it is now. */
  readonly isNew: boolean;
  readonly isReady: boolean;
}

export interface RolloutLimits {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/**
 * The next step of a rolling update, as Kubernetes' Deployment controller takes it: never more pods than `maxSurge`
 * allows, never fewer ready ones than `maxUnavailable` does, and of those that go the unready ones first. Pure.
 */
export function planRollout(
  pods: readonly RolloutPod[],
  { replicas, maxSurge, maxUnavailable }: RolloutLimits,
): { readonly create: number; readonly remove: readonly string[] } {
  const fresh = pods.filter((pod) => pod.isNew);
  const old = pods.filter((pod) => !pod.isNew);
  const create = Math.max(0, Math.min(replicas - fresh.length, replicas + maxSurge - pods.length));
  const leastReady = replicas - maxUnavailable;
  const surplus = unreadyFirst(fresh).slice(0, Math.max(0, fresh.length - replicas));
  // What is not ready may be about to be: it goes only as far as there are enough pods without it, of which new ones
  // that are not ready count as none (`reconcileOldReplicaSets`).
  const unreadyFresh = fresh.filter((pod) => !pod.isReady).length;
  const dispensable = Math.max(0, pods.length - leastReady - unreadyFresh);
  const unready = old.filter((pod) => !pod.isReady).slice(0, dispensable);
  const spare = pods.filter((pod) => pod.isReady && !surplus.includes(pod)).length - leastReady;
  const serving = old.filter((pod) => pod.isReady).slice(0, Math.max(0, spare));
  return { create, remove: [...surplus, ...unready, ...serving].map(({ name }) => name) };
}

function unreadyFirst(pods: readonly RolloutPod[]): readonly RolloutPod[] {
  return pods.toSorted((a, b) => Number(a.isReady) - Number(b.isReady));
}
