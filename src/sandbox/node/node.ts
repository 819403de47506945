import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../time/clock.ts';
import { type KubeObject, textAt } from '../kube-api/json.ts';
import type { KubeApi } from '../kube-api/kube-api.ts';
import { pods } from '../kube-api/resources/pod.ts';
import { Deployments } from './deployments.ts';
import { RunningPod } from './running-pod.ts';

/** The only image that there is here: this very build, under whichever tag. */
const repository = 'cloudflare-warp-ingress';
export const sandboxImage = `${repository}:sandbox`;
const program = fileURLToPath(new URL('../../main.js', import.meta.url));

export interface NodeSettings {
  readonly api: KubeApi;
  /** Where volumes are laid out. */
  readonly directory: string;
  /** Each line that a container writes. */
  onLine?(pod: string, line: string): void;
  readonly clock?: Clock;
}

/** Owned by whoever started it. */
export interface SandboxNode {
  /** Process ids of everything that runs. */
  processIds(): readonly number[];
  /** Sends a signal to every process of this pod; false when none runs. */
  signal(pod: string, signal: NodeJS.Signals): boolean;
  /** Ends every process. Idempotent. */
  stop(): Promise<void>;
}

/**
 * A node with the controllers that bring pods to it: rolls Deployments out and runs their pods as child processes of
 * this one, each with a loopback address of its own, so that ports and probes mean what they say.
 */
export function startNode({
  api,
  directory,
  onLine = () => {},
  clock = systemClock,
}: NodeSettings): SandboxNode {
  const running = new Map<string, RunningPod>();
  const nextAddress = addresses();
  const commandOf = (image: string): readonly string[] | null =>
    image.startsWith(`${repository}:`) ? [program] : null;

  const hear = (pod: KubeObject): void => {
    const { uid, name, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const known = running.get(uid);
    if (deletionTimestamp !== undefined) {
      known?.terminate((deletionGracePeriodSeconds ?? 0) * 1000);
      return;
    }
    if (known !== undefined || textAt(pod, 'spec', 'nodeName') !== '') return;
    const started = new RunningPod(pod, {
      api,
      clock,
      address: nextAddress(),
      directory: join(directory, uid),
      commandOf,
      onLine: (line) => onLine(name, line),
      onGone: () => running.delete(uid),
    });
    running.set(uid, started);
    started.start();
  };
  // After the write that is heard of, never inside it.
  const unsubscribe = api.store.subscribe(({ storage, type, object }) => {
    if (storage !== pods.storage) return;
    if (type === 'DELETED') setImmediate(() => running.get(object.metadata.uid)?.kill());
    else setImmediate(() => isStopped || hear(object));
  });
  const deployments = new Deployments(api);
  let isStopped = false;
  let stopped: Promise<void> | null = null;
  return {
    processIds: () => [...running.values()].flatMap((pod) => pod.processIds()),
    signal: (name, signal) => {
      const pids = [...running.values()]
        .filter((pod) => pod.name === name)
        .flatMap((pod) => pod.processIds());
      for (const pid of pids) process.kill(pid, signal);
      return pids.length > 0;
    },
    stop: () => {
      stopped ??= (async () => {
        isStopped = true;
        unsubscribe();
        deployments.stop();
        await Promise.all([...running.values()].map((pod) => pod.kill()));
      })();
      return stopped;
    },
  };
}

/** 127.112.0.0/12, behind the cluster IPs; from a random place, so that two sandboxes seldom meet. */
function addresses(): () => string {
  const count = 2 ** 20;
  let next = randomInt(count);
  return () => {
    do next = (next + 1) % count;
    while ([0, 255].includes(next & 0xff));
    const value = 0x7f_70_00_00 + next;
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
  };
}
