import { fault } from '../fault.ts';
import type { PodTrouble, SeenPod } from '../kube/pods/parse-pods.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { PodRun } from './pod-run.ts';

/**
 * Most pods serve within seconds, and of several one comes after the other: so long without one more that is ready. One
 * whose image comes over a slow line is told of, and serves later.
 */
const readyWithinMs = 60_000;

/** How the pods that a run wants are. */
export interface PodsLook {
  readonly run: PodRun;
  /** What the pods are made from (`WantedPods.making`). */
  readonly making: string;
  /** Why none can be made, or null. */
  readonly trouble: PodTrouble | null;
  /** Those of this making. */
  readonly pods: readonly SeenPod[];
  readonly isRolledOut: boolean;
}

/**
 * Tells a run what keeps its pods from serving: each kind once, until all pods are as they should be or others are wanted.
 * Of pods that do not get ready, and of which Kubernetes says nothing else, after a minute. Owns its timer.
 */
export class PodTroubles {
  readonly #clock: Clock;
  readonly #overdue: () => void;
  readonly #told = new Set<string>();
  #run: PodRun | null = null;
  #making = '';
  /** The most of them that were ready at once. */
  #ready = 0;
  /** Null: nobody is waited for. */
  #patience: Timer | null = null;
  #isOverdue = false;

  /** `overdue`: it is time to look again. */
  constructor(clock: Clock, overdue: () => void) {
    this.#clock = clock;
    this.#overdue = overdue;
  }

  look({ run, making, trouble, pods, isRolledOut }: PodsLook): void {
    if (run !== this.#run || making !== this.#making) this.#begin(run, making);
    if (isRolledOut) return this.#over();
    const ready = pods.filter(({ isReady }) => isReady).length;
    if (ready > this.#ready) {
      this.#ready = ready;
      if (this.#patience !== null) this.#wait();
    }
    const troubles = [trouble, ...pods.map((pod) => pod.trouble)].filter((each) => each !== null);
    if (this.#isOverdue && this.#told.size === 0 && troubles.length === 0) troubles.push(notReady(pods));
    const news = troubles.find(({ kind }) => !this.#told.has(kind));
    if (news === undefined) return;
    this.#told.add(news.kind);
    run.hear({ type: 'failing', fault: fault('pods-failing', news.text) });
  }

  /** Nothing is wanted any more. Idempotent. */
  stop(): void {
    this.#rest();
    this.#run = null;
    this.#told.clear();
  }

  #begin(run: PodRun, making: string): void {
    if (run === this.#run) this.#over();
    this.stop();
    this.#run = run;
    this.#making = making;
    this.#ready = 0;
    this.#wait();
  }

  #wait(): void {
    this.#rest();
    this.#patience = this.#clock.after(readyWithinMs, () => {
      this.#isOverdue = true;
      this.#overdue();
    });
  }

  #over(): void {
    this.#rest();
    if (this.#told.size === 0) return;
    this.#told.clear();
    this.#run?.hear({ type: 'failing', fault: null });
  }

  /** Who was ready once is not waited for. */
  #rest(): void {
    this.#patience?.cancel();
    this.#patience = null;
    this.#isOverdue = false;
  }
}

function notReady(pods: readonly SeenPod[]): PodTrouble {
  const kind = 'NotReady';
  const pod = pods.find(({ isReady }) => !isReady);
  const seconds = readyWithinMs / 1000;
  const further = pods.length === 0 ? '' : 'further ';
  if (pod === undefined) return { kind, text: `no ${further}pod was made within ${seconds} s` };
  const why = pod.phase === 'Running' ? 'its log says why' : `see "kubectl describe pod ${pod.name}"`;
  return { kind, text: `pod ${pod.name} is ${pod.phase} and was not ready within ${seconds} s; ${why}` };
}
