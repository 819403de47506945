import { type Fault, failed, ok, type Result } from '../../src/fault.ts';
import type { PodAnswer } from '../../src/kube/pods/ask-pod.ts';
import type { SeenPods } from '../../src/kube/pods/parse-pods.ts';
import { tunnelPods, type WantedPods } from '../../src/kube/pods/tunnel-deployment.ts';
import type { PodsHearer, TunnelPods } from '../../src/kube/pods/tunnel-pods.ts';

type Stored = SeenPods['stored'];

/** Deployments of tunnel pods in memory; what becomes of their pods is the test's to say. */
export class MemoryPods implements TunnelPods {
  readonly deployments = new Map<string, SeenPods>();
  /** `apply` and `remove`, in order. */
  readonly writes: string[] = [];
  /** What the next writes fail with. */
  readonly failures: Fault[] = [];
  readonly wanted = tunnelPods;
  /** Addresses. */
  readonly asked: string[] = [];
  /** Of the last change: in a cluster that is restored from a backup it is lower again. */
  version = 0;
  #hear: PodsHearer | null = null;
  #held: (() => void)[] | null = null;
  /** Of pods that come now. */
  #making = '';

  get isWatched(): boolean {
    return this.#hear !== null;
  }

  nameOf(host: string): string {
    return `pods-${host}`;
  }

  watch(hear: PodsHearer) {
    this.#hear = hear;
    queueMicrotask(() => {
      for (const seen of this.deployments.values()) hear.deployment(seen);
      hear.listed();
    });
    return {
      stop: async () => {
        this.#hear = null;
      },
    };
  }

  async exist(): Promise<Result<boolean>> {
    return ok(this.deployments.size > 0);
  }

  async apply({ deployment, hash, making }: WantedPods): Promise<Result<SeenPods>> {
    const { host } = hostOf(deployment);
    this.writes.push(`apply ${host}`);
    const failure = this.failures.shift();
    if (failure !== undefined) return { ok: false, fault: failure };
    this.#making = making;
    const before = this.deployments.get(this.nameOf(host));
    const made = {
      name: this.nameOf(host),
      host,
      uid: before?.uid ?? `uid-${this.version}`,
      deleting: false,
      stored: this.admit(sayable(deployment)),
      isAutoscaled: before?.isAutoscaled ?? false,
      otherManagers: before?.otherManagers ?? [],
    };
    const seen = {
      ...made,
      hash,
      ready: before?.ready ?? 0,
      isRolledOut: false,
      trouble: null,
      areRefused: false,
    };
    return ok(this.#put(seen));
  }

  async nudge({ host }: SeenPods): Promise<Result<void>> {
    this.writes.push(`nudge ${host}`);
    return ok(undefined);
  }

  async remove({ name, host }: SeenPods): Promise<Result<void>> {
    this.writes.push(`remove ${host}`);
    const failure = this.failures.shift();
    if (failure !== undefined) return { ok: false, fault: failure };
    if (this.deployments.delete(name)) this.#gone(name);
    return ok(undefined);
  }

  /** Kubernetes reports so many ready pods, and no refusal. */
  ready(host: string, ready: number, isRolledOut = true): void {
    this.#put({
      ...this.deployments.get(this.nameOf(host))!,
      ready,
      isRolledOut,
      trouble: null,
      areRefused: false,
    });
  }

  /** What becomes of a Deployment that is applied: an admission webhook may change it. */
  admit = (deployment: Stored): Stored => deployment;

  /** Somebody changes its spec. */
  edit(host: string, change: object, over: Partial<SeenPods> = {}): void {
    const before = this.deployments.get(this.nameOf(host))!;
    const stored = { ...before.stored, spec: { ...before.stored.spec, ...change } };
    this.#put({ ...before, stored, ...over });
  }

  /** No pod can be made for what is wanted now. */
  refuse(host: string, text: string): void {
    const trouble = { kind: 'ReplicaFailure', text };
    this.#put({ ...this.deployments.get(this.nameOf(host))!, isRolledOut: false, trouble, areRefused: true });
  }

  /** A pod that is not ready, unless that is said. The first word of `trouble` is its kind. */
  pod(
    host: string,
    name: string,
    trouble: string | null = null,
    address: string | null = null,
    isReady = false,
  ): void {
    this.#hear?.pod({
      ...{ name, of: this.nameOf(host), making: this.#making, address, phase: 'Running', isReady },
      trouble: trouble === null ? null : { kind: trouble.split(' ')[0]!, text: `pod ${name}: ${trouble}` },
    });
  }

  /** Why each pod lets nobody in, or how its connections fail; those that are not here cannot be asked. */
  readonly problems = new Map<string, string | Fault | null>();

  /** How often connections of a pod have failed. */
  readonly attempts = new Map<string, number>();

  async ask(address: string): Promise<Result<PodAnswer>> {
    this.asked.push(address);
    const problem = this.problems.get(address);
    if (problem === undefined) return failed('pods-failing', 'unreachable');
    const accessProblem = typeof problem === 'string' ? problem : null;
    const attempts = this.attempts.get(address) ?? 1;
    const edgeProblem =
      problem === accessProblem ? null : { connIndex: 2, fault: problem as Fault, attempts };
    return ok({ accessProblem, edgeProblem });
  }

  podGone(name: string): void {
    this.#hear?.podGone(name);
  }

  /** Somebody deletes the Deployment. */
  lose(host: string): void {
    this.deployments.delete(this.nameOf(host));
    this.#gone(this.nameOf(host));
  }

  /** It is there as it was in a backup. */
  restore(seen: SeenPods): void {
    this.deployments.set(seen.name, seen);
    this.#tell(() => this.#hear?.deployment(seen));
  }

  /** What becomes of Deployments is told only once that is called, in order. */
  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = null;
      for (const tell of held) tell();
    };
  }

  #gone(name: string): void {
    const version = String(++this.version);
    this.#tell(() => this.#hear?.deploymentGone(name, version));
  }

  #tell(what: () => void): void {
    if (this.#held === null) what();
    else this.#held.push(what);
  }

  #put(seen: Omit<SeenPods, 'resourceVersion'>): SeenPods {
    const stored = { ...seen, resourceVersion: String(++this.version) };
    this.deployments.set(seen.name, stored);
    this.#tell(() => this.#hear?.deployment(stored));
    return stored;
  }
}

/** As it comes from a list: without what names it. */
function sayable({ metadata, spec }: Stored): Stored {
  const { labels, annotations } = metadata;
  return { metadata: { labels, annotations }, spec };
}

function hostOf(deployment: object): { readonly host: string } {
  const { metadata } = deployment as { metadata: { annotations: Record<string, string> } };
  return { host: metadata.annotations['cloudflare-warp/host']! };
}
