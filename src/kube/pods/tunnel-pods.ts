import type { TunnelRunRequest } from '../../actors/ports.ts';
import { failed, ok, type Result } from '../../fault.ts';
import type { Logger } from '../../log.ts';
import type { Clock } from '../../time/clock.ts';
import type { KubeClient } from '../client.ts';
import { hostHashLabel, ledgerSecretName } from '../ledger-secret.ts';
import { parseMeta } from '../parse-meta.ts';
import { startWatch, type Watch, type WatchTelemetry } from '../watch.ts';
import { askPod, type PodAnswer } from './ask-pod.ts';
import { mayListDeployments } from './may-list.ts';
import { parseSeenPod, parseSeenPods, type SeenPod, type SeenPods } from './parse-pods.ts';
import { askedAgainAnnotation, type PodSettings, tunnelPods, type WantedPods } from './tunnel-deployment.ts';

export interface TunnelPodsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: WatchTelemetry;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** What the watch tells: each is what *is*. */
export interface PodsHearer {
  deployment(seen: SeenPods): void;
  deploymentGone(name: string, resourceVersion: string): void;
  pod(seen: SeenPod): void;
  podGone(name: string): void;
  /** Everything there is has been told. */
  listed(): void;
}

/** The one way to the Deployments of tunnel pods. Holds no state; the watch is its caller's to stop. */
export interface TunnelPods {
  /** Of the Deployment of a host, whether there is one or not. */
  nameOf(host: string): string;
  /** What should be for such a run. Pure. */
  wanted(request: TunnelRunRequest, settings: PodSettings): Result<WantedPods>;
  /** One watch of Deployments and one of pods, for all tunnels. */
  watch(hear: PodsHearer): Pick<Watch, 'stop'>;
  /** Whether there is any Deployment of a tunnel; `kube-forbidden`, without a refused request, who may not look. */
  exist(signal: AbortSignal): Promise<Result<boolean>>;
  /** Creates or changes it; answers it as stored. The budget first: the Deployment says by its hash that all is done. */
  apply(wanted: WantedPods, signal: AbortSignal): Promise<Result<SeenPods>>;
  /**
   * Has Kubernetes try again at once to make the pods that were refused: an annotation of a Deployment is copied to its
   * ReplicaSet (deployment_util.go, `SetNewReplicaSetAnnotations`), whose change ends the backoff. No pod is made anew.
   */
  nudge(seen: SeenPods, signal: AbortSignal): Promise<Result<void>>;
  /** What the pod at this address says of itself. Fails when it cannot be asked. */
  ask(address: string, signal: AbortSignal): Promise<Result<PodAnswer>>;
  /** Already gone, or replaced by another one, is success. */
  remove(seen: SeenPods, signal: AbortSignal): Promise<Result<void>>;
}

export function createTunnelPods(options: TunnelPodsOptions): TunnelPods {
  const { client, clock, log, telemetry, random = Math.random } = options;

  async function apply(wanted: WantedPods, signal: AbortSignal): Promise<Result<SeenPods>> {
    const { name, deployment, budget } = wanted;
    const ledger = await client.call({ method: 'GET', resource: 'secrets', name }, signal);
    if (!ledger.ok) return ledger;
    // With the ledger goes what it has: also when nobody of us is there to see that.
    const owner = { apiVersion: 'v1', kind: 'Secret', name, uid: parseMeta(ledger.value)?.uid };
    const owned = (object: object): object => ({
      ...object,
      metadata: { ...(object as { metadata: object }).metadata, ownerReferences: [owner] },
    });
    const budgeted =
      budget === null
        ? await removeBudget(name, signal)
        : await client.call(
            { method: 'APPLY', resource: 'poddisruptionbudgets', name, body: owned(budget) },
            signal,
          );
    if (!budgeted.ok) return budgeted;
    const answer = await client.call(
      { method: 'APPLY', resource: 'deployments', name, body: owned(deployment) },
      signal,
    );
    if (!answer.ok) return answer;
    const seen = parseSeenPods(answer.value);
    return seen === null ? failed('kube-refused', `Deployment ${name}: the answer is none`) : ok(seen);
  }

  async function removeBudget(name: string, signal: AbortSignal): Promise<Result<unknown>> {
    const removed = await client.call({ method: 'DELETE', resource: 'poddisruptionbudgets', name }, signal);
    return removed.ok || removed.fault.code === 'kube-not-found' ? ok(undefined) : removed;
  }

  return {
    nameOf: ledgerSecretName,
    wanted: tunnelPods,
    apply,
    watch(hear) {
      const waitingFor = new Set(['deployments', 'pods']);
      const listed = (kind: string): void => {
        if (waitingFor.delete(kind) && waitingFor.size === 0) hear.listed();
      };
      const common = { client, clock, log, telemetry, random, labelSelector: hostHashLabel };
      const watches = [
        startWatch({
          ...common,
          resource: 'deployments',
          listed: () => listed('deployments'),
          present: (name, object) => {
            const seen = parseSeenPods(object);
            if (seen !== null) hear.deployment(seen);
            else log.warn({ kind: 'deployments', name }, 'object cannot be read and is passed over');
          },
          removed: (name, resourceVersion) => hear.deploymentGone(name, resourceVersion),
        }),
        startWatch({
          ...common,
          resource: 'pods',
          listed: () => listed('pods'),
          present: (name, object) => {
            const seen = parseSeenPod(object);
            if (seen === null) hear.podGone(name);
            else hear.pod(seen);
          },
          removed: (name) => hear.podGone(name),
        }),
      ];
      return {
        async stop() {
          await Promise.all(watches.map((each) => each.stop()));
        },
      };
    },
    async nudge({ name, uid }, signal) {
      const annotations = { [askedAgainAnnotation]: new Date(clock.now()).toISOString() };
      const body = { metadata: { uid, annotations } };
      const answer = await client.call({ method: 'PATCH', resource: 'deployments', name, body }, signal);
      return answer.ok ? ok(undefined) : answer;
    },
    ask: (address, signal) => askPod(address, clock, signal),
    async exist(signal) {
      const allowed = await mayListDeployments(client, signal);
      // Where even that is refused the list itself answers.
      if (allowed.ok && !allowed.value) {
        const text = `the Role does not let us list deployments.apps in ${client.namespace}: expected that of deploy/overlays/pod-mode`;
        return failed('kube-forbidden', text);
      }
      const query = { labelSelector: hostHashLabel, limit: '1' };
      const answer = await client.call({ method: 'GET', resource: 'deployments', query }, signal);
      if (!answer.ok) return answer;
      const { items } = answer.value as { items?: unknown };
      return ok(Array.isArray(items) && items.length > 0);
    },
    async remove({ name, uid }, signal) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid },
        propagationPolicy: 'Background',
      };
      const removed = await client.call({ method: 'DELETE', resource: 'deployments', name, body }, signal);
      const { code } = removed.ok ? { code: null } : removed.fault;
      // A conflict is another one of that name by now: the watch tells of it.
      if (!removed.ok && code !== 'kube-not-found' && code !== 'kube-conflict') return removed;
      const budget = await removeBudget(name, signal);
      return budget.ok ? ok(undefined) : budget;
    },
  };
}
