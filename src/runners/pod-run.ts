import type { RunFact, TunnelRun, TunnelRunRequest } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';
import type { PodAnswer } from '../kube/pods/ask-pod.ts';

/** Who brings the pods to what their runs want. */
interface PodRuns {
  follow(routes: RouteTable): void;
  stop(run: PodRun): void;
  kill(run: PodRun): void;
}

/** One run of a tunnel in pods, as its actor sees it. */
export class PodRun implements TunnelRun {
  readonly request: TunnelRunRequest;
  readonly hear: (fact: RunFact) => void;
  readonly #owner: PodRuns;
  #toldAccess: string | null = null;
  /** False for a successor until all pods are of its making: the run that it replaces counts them until then. */
  counts: boolean;
  /** The last count of connections that was heard. */
  told = 0;
  isOver = false;

  constructor(owner: PodRuns, request: TunnelRunRequest, counts: boolean, hear: (fact: RunFact) => void) {
    this.#owner = owner;
    this.request = request;
    this.counts = counts;
    this.hear = hear;
  }

  /** `isGuarded`: they are to let nobody in without a token. */
  hearPods(answers: readonly PodAnswer[], isGuarded: boolean): void {
    const lost = answers.map(({ edgeProblem }) => edgeProblem).find((each) => each !== null);
    if (lost !== undefined) this.hear({ type: 'lost', ...lost });
    // One that refuses everybody is enough to be told of; with nobody to ask nothing is known, where there is a policy.
    const problem = answers.map(({ accessProblem }) => accessProblem).find((each) => each !== null) ?? null;
    const isKnown = answers.length > 0 || !isGuarded;
    if (!isKnown || this.#toldAccess === problem) return;
    this.#toldAccess = problem;
    this.hear({ type: 'access', problem });
  }

  updateRoutes(routes: RouteTable): void {
    if (!this.isOver) this.#owner.follow(routes);
  }

  stop(): void {
    if (!this.isOver) this.#owner.stop(this);
  }

  kill(): void {
    if (!this.isOver) this.#owner.kill(this);
  }
}
