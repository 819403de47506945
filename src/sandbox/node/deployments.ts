import { createHash } from 'node:crypto';
import {
  clone,
  equal,
  type JsonObject,
  type KubeObject,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
} from '../kube-api/json.ts';
import type { KubeApi } from '../kube-api/kube-api.ts';
import { plainDeletion } from '../kube-api/registry/deletion.ts';
import { timestamp } from '../kube-api/registry/metadata.ts';
import { pods } from '../kube-api/resources/pod.ts';
import { deployments } from '../kube-api/resources/workload.ts';
import { planRollout } from './rollout.ts';

const hashLabel = 'pod-template-hash';
const quiet = { dryRun: false, writer: null };

/**
 * A small Deployment controller, without the ReplicaSets in between: keeps as many pods as a Deployment says, rolls a
 * changed template out as `maxSurge` and `maxUnavailable` allow, and says in the status how far that is. Works just
 * after each change; ends with `stop`.
 */
export class Deployments {
  readonly #api: KubeApi;
  readonly #unsubscribe: () => void;
  readonly #due = new Set<string>();
  #isScheduled = false;
  #isStopped = false;

  constructor(api: KubeApi) {
    this.#api = api;
    this.#unsubscribe = api.store.subscribe(({ storage, object, previous }) => {
      if (storage === deployments.storage) this.#look(object.metadata.uid);
      if (storage !== pods.storage) return;
      for (const each of [object, previous]) if (each !== null) this.#look(ownerOf(each));
    });
    for (const each of api.store.values(deployments.storage)) this.#look(each.metadata.uid);
  }

  stop(): void {
    this.#isStopped = true;
    this.#unsubscribe();
  }

  #look(uid: string): void {
    if (uid === '') return;
    this.#due.add(uid);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const batch = new Set(this.#due);
      this.#due.clear();
      if (this.#isStopped) return;
      for (const each of [...this.#api.store.values(deployments.storage)]) {
        if (batch.has(each.metadata.uid) && each.metadata.deletionTimestamp === undefined) this.#settle(each);
      }
    });
  }

  #settle(deployment: KubeObject): void {
    const { uid } = deployment.metadata;
    const template = objectAt(deployment, 'spec', 'template');
    const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
    const owned = [...this.#api.store.values(pods.storage)].filter(
      (pod) => ownerOf(pod) === uid && isActive(pod),
    );
    const { create, remove } = planRollout(
      owned.map((pod) => ({
        name: pod.metadata.name,
        isNew: pod.metadata.labels?.[hashLabel] === hash,
        isReady: isReady(pod),
      })),
      strategyOf(deployment),
    );
    for (const name of remove) this.#remove(deployment, name);
    for (let index = 0; index < create; index++) this.#create(deployment, template, hash);
    this.#report(deployment, hash);
  }

  #create(deployment: KubeObject, template: JsonObject, hash: string): void {
    const { name, uid, namespace = '' } = deployment.metadata;
    const metadata = objectAt(template, 'metadata');
    const owner = { apiVersion: 'apps/v1', kind: deployments.kind, name, uid, controller: true };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...clone(metadata),
        generateName: `${name}-${hash}-`,
        labels: { ...objectAt(metadata, 'labels'), [hashLabel]: hash },
        ownerReferences: [owner],
      },
      spec: clone(objectAt(template, 'spec')),
    };
    this.#api.registry.create(pods, namespace, pod, quiet);
  }

  #remove({ metadata: { namespace = '' } }: KubeObject, name: string): void {
    this.#api.registry.delete({ definition: pods, namespace, name }, plainDeletion);
  }

  #report({ metadata: { uid, name, namespace = '' } }: KubeObject, hash: string): void {
    const { registry, store } = this.#api;
    const active = [...store.values(pods.storage)].filter((pod) => ownerOf(pod) === uid && isActive(pod));
    const ready = active.filter(isReady).length;
    registry.update({ definition: deployments, namespace, name }, 'status', quiet, (object) => {
      const replicas = numberAt(object, 'spec', 'replicas') ?? 1;
      const updated = active.filter((pod) => pod.metadata.labels?.[hashLabel] === hash).length;
      const isAvailable = ready >= replicas - strategyOf(object).maxUnavailable;
      const isDone = updated === replicas && active.length === replicas && ready === replicas;
      object.status = {
        observedGeneration: object.metadata.generation ?? 1,
        ...positive({
          replicas: active.length,
          updatedReplicas: updated,
          readyReplicas: ready,
          availableReplicas: ready,
          unavailableReplicas: Math.max(0, replicas - ready),
        }),
        conditions: [
          condition(object, 'Available', isAvailable, 'MinimumReplicasAvailable', registry.nowMs),
          condition(
            object,
            'Progressing',
            true,
            isDone ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
            registry.nowMs,
          ),
        ],
      };
      return object;
    });
  }
}

/** Zeros are left out, as the real one does. */
function positive(counts: Readonly<Record<string, number>>): JsonObject {
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0));
}

/** Its times change with its status only. */
function condition(
  object: KubeObject,
  type: string,
  holds: boolean,
  reason: string,
  nowMs: number,
): JsonObject {
  const status = holds ? 'True' : 'False';
  const before = objectsAt(object, 'status', 'conditions').find((each) => each.type === type);
  const same = before !== undefined && equal([before.status, before.reason], [status, reason]);
  const now = timestamp(nowMs);
  return same
    ? before
    : { type, status, reason, message: reason, lastUpdateTime: now, lastTransitionTime: now };
}

function strategyOf(deployment: KubeObject) {
  const replicas = numberAt(deployment, 'spec', 'replicas') ?? 1;
  const { maxSurge, maxUnavailable } = objectAt(deployment, 'spec', 'strategy', 'rollingUpdate');
  return {
    replicas,
    maxSurge: shareOf(maxSurge, replicas, Math.ceil),
    maxUnavailable: shareOf(maxUnavailable, replicas, Math.floor),
  };
}

/** A number, or a percentage of the replicas. */
function shareOf(value: unknown, replicas: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  return round((Number.parseInt(String(value), 10) / 100) * replicas) || 0;
}

function ownerOf(pod: KubeObject): string {
  const owner = objectsAt(pod.metadata, 'ownerReferences').find((each) => each.kind === deployments.kind);
  return textAt(owner, 'uid');
}

function isActive(pod: KubeObject): boolean {
  const ended = ['Failed', 'Succeeded'].includes(textAt(pod, 'status', 'phase'));
  return pod.metadata.deletionTimestamp === undefined && !ended;
}

function isReady(pod: KubeObject): boolean {
  return objectsAt(pod, 'status', 'conditions').some(
    (each) => each.type === 'Ready' && each.status === 'True',
  );
}
