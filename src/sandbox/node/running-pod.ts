import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../../time/clock.ts';
import {
  type JsonObject,
  type KubeObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
} from '../kube-api/json.ts';
import type { KubeApi } from '../kube-api/kube-api.ts';
import { plainDeletion } from '../kube-api/registry/deletion.ts';
import { timestamp } from '../kube-api/registry/metadata.ts';
import { pods } from '../kube-api/resources/pod.ts';
import { StatusError } from '../kube-api/status.ts';
import { Container } from './container.ts';
import { fieldOf, layVolumes } from './pod-volumes.ts';
import type { ProbeSpec } from './probe.ts';

export interface PodWorld {
  readonly api: KubeApi;
  readonly clock: Clock;
  /** The pod's own. */
  readonly address: string;
  /** For its volumes; made and removed here. */
  readonly directory: string;
  /** What an image runs behind the Node.js executable; null for one that cannot be pulled. */
  commandOf(image: string): readonly string[] | null;
  onLine(line: string): void;
  onGone(): void;
}

const nodeName = 'sandbox';
const mountAgainMs = 500;
const killGraceMs = 3_000;
const quiet = { dryRun: false, writer: null };

/** One pod from its binding to its end. Owns its containers, its files, and what its status says. */
export class RunningPod {
  readonly #pod: KubeObject;
  readonly #world: PodWorld;
  #containers: readonly Container[] = [];
  /** Why containers do not start, as the status words it. */
  #waiting: { readonly reason: string; readonly message: string } = {
    reason: 'ContainerCreating',
    message: '',
  };
  #retry: Timer | null = null;
  /** What lays its files; whoever removes them waits for it. */
  #creating: Promise<void> = Promise.resolve();
  #ending: Promise<void> | null = null;

  constructor(pod: KubeObject, world: PodWorld) {
    this.#pod = pod;
    this.#world = world;
  }

  get name(): string {
    return this.#pod.metadata.name;
  }

  processIds(): readonly number[] {
    return this.#containers.flatMap((container) => container.pid ?? []);
  }

  start(): void {
    this.#change('', (pod) => {
      pod.spec = { ...objectAt(pod, 'spec'), nodeName };
      return pod;
    });
    this.#report();
    this.#creating = this.#create();
  }

  /** As a kubelet ends a pod: SIGTERM, SIGKILL when the time is over, then the object goes. */
  terminate(graceMs: number): void {
    this.#ending ??= this.#end(graceMs).then(() => this.#remove());
  }

  /** Its object is gone, or the node ends. */
  kill(): Promise<void> {
    this.#ending ??= this.#end(killGraceMs);
    return this.#ending;
  }

  async #create(): Promise<void> {
    const specs = objectsAt(this.#pod, 'spec', 'containers');
    const unknown = specs
      .map((spec) => textAt(spec, 'image'))
      .find((image) => this.#world.commandOf(image) === null);
    if (unknown !== undefined) {
      this.#waiting = { reason: 'ImagePullBackOff', message: `Back-off pulling image "${unknown}"` };
      return this.#report();
    }
    const missing = await layVolumes(this.#world.api, this.#pod, this.#world.directory);
    if (this.#ending !== null) return;
    if (missing !== null) {
      this.#waiting = { reason: 'ContainerCreating', message: missing };
      this.#report();
      this.#retry = this.#world.clock.after(mountAgainMs, () => {
        this.#creating = this.#create();
      });
      return;
    }
    this.#containers = specs.map((spec) => this.#containerOf(spec));
    for (const container of this.#containers) container.start();
  }

  #containerOf(spec: JsonObject): Container {
    const { api, address, clock, commandOf, onLine } = this.#world;
    const container = textAt(spec, 'name');
    const image = textAt(spec, 'image');
    const mounts = objectsAt(spec, 'volumeMounts').map(
      (mount) => [textAt(mount, 'mountPath'), join(this.#world.directory, textAt(mount, 'name'))] as const,
    );
    const args = listAt(spec, 'args').map((arg) => this.#inHere(String(arg), mounts));
    return new Container(
      {
        name: container,
        image,
        command: [...commandOf(image)!, ...args],
        env: Object.fromEntries(
          objectsAt(spec, 'env').map((each) => [
            textAt(each, 'name'),
            textAt(each, 'value') ||
              fieldOf(this.#addressed(), textAt(each, 'valueFrom', 'fieldRef', 'fieldPath')),
          ]),
        ),
        readiness: probeOf(spec, 'readinessProbe', address),
        liveness: probeOf(spec, 'livenessProbe', address),
      },
      {
        clock,
        onLine: (text) => {
          api.logs.add(this.#pod.metadata.uid, { container, text, atMs: clock.now() });
          onLine(text);
        },
        onChange: () => this.#report(),
      },
    );
  }

  /** A pod has its own file system and addresses; a child process has neither, so its arguments are translated. */
  #inHere(arg: string, mounts: readonly (readonly [path: string, folder: string])[]): string {
    for (const [path, folder] of mounts) {
      if (arg === path || arg.startsWith(`${path}/`)) return folder + arg.slice(path.length);
    }
    return arg.replace(/^0\.0\.0\.0:/, `${this.#world.address}:`);
  }

  #addressed(): KubeObject {
    return { ...this.#pod, status: { podIP: this.#world.address } };
  }

  async #end(graceMs: number): Promise<void> {
    this.#retry?.cancel();
    await this.#creating;
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)));
    await rm(this.#world.directory, { recursive: true, force: true });
    this.#world.api.logs.end(this.#pod.metadata.uid);
    this.#world.onGone();
  }

  #remove(): void {
    const { name, namespace = '', uid } = this.#pod.metadata;
    const deletion = { ...plainDeletion, graceSeconds: 0, preconditions: { uid } };
    unlessGone(() => this.#world.api.registry.delete({ definition: pods, namespace, name }, deletion));
  }

  #report(): void {
    const containers = this.#containers;
    const isReady = containers.length > 0 && containers.every((container) => container.isReady);
    const isRunning = containers.length > 0;
    const { registry } = this.#world.api;
    const now = timestamp(registry.nowMs);
    const condition = (type: string, holds: boolean) => ({
      type,
      status: holds ? 'True' : 'False',
      lastTransitionTime: now,
    });
    const waiting = { reason: this.#waiting.reason, message: this.#waiting.message };
    this.#change('status', (pod) => {
      const before = objectAt(pod, 'status');
      pod.status = {
        ...before,
        phase: isRunning ? 'Running' : 'Pending',
        podIP: this.#world.address,
        podIPs: [{ ip: this.#world.address }],
        startTime: before.startTime ?? now,
        conditions: [
          condition('PodScheduled', true),
          condition('Initialized', true),
          condition('ContainersReady', isReady),
          condition('Ready', isReady),
        ],
        containerStatuses: isRunning
          ? containers.map((container) => container.status())
          : objectsAt(pod, 'spec', 'containers').map((spec) => ({
              name: textAt(spec, 'name'),
              image: textAt(spec, 'image'),
              imageID: '',
              ready: false,
              started: false,
              restartCount: 0,
              state: { waiting },
              lastState: {},
            })),
      };
      return pod;
    });
  }

  #change(subresource: '' | 'status', change: (pod: KubeObject) => KubeObject): void {
    const { name, namespace = '', uid } = this.#pod.metadata;
    const target = { definition: pods, namespace, name };
    unlessGone(() =>
      this.#world.api.registry.update(target, subresource, quiet, (pod) => {
        pod.metadata.uid = uid;
        return change(pod);
      }),
    );
  }
}

/** Somebody may have deleted the object meanwhile; that is told by the store. */
function unlessGone(write: () => void): void {
  try {
    write();
  } catch (thrown) {
    if (!(thrown instanceof StatusError)) throw thrown;
  }
}

function probeOf(
  container: JsonObject,
  kind: 'readinessProbe' | 'livenessProbe',
  host: string,
): ProbeSpec | null {
  const probe = objectAt(container, kind);
  if (probe.httpGet === undefined) return null;
  const port = objectAt(probe, 'httpGet').port;
  const named = objectsAt(container, 'ports').find((each) => each.name === port);
  const number = (key: string, fallback: number): number => numberAt(probe, key) ?? fallback;
  return {
    host,
    port: numberAt(named, 'containerPort') ?? Number(port),
    path: textAt(probe, 'httpGet', 'path') || '/',
    initialDelayMs: number('initialDelaySeconds', 0) * 1000,
    periodMs: number('periodSeconds', 10) * 1000,
    timeoutMs: number('timeoutSeconds', 1) * 1000,
    successThreshold: number('successThreshold', 1),
    failureThreshold: number('failureThreshold', 3),
    eager: kind === 'readinessProbe',
  };
}
