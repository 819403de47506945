import type { RunFact, TunnelRun, TunnelRunRequest } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';

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
  /** False for a successor until all pods are of its making: the run that it replaces counts them until then. */
  counts: boolean;
  /** The last count of connections that was heard, and the last problem with Access. */
  told = 0;
  toldAccess: string | null = null;
  isOver = false;

  constructor(owner: PodRuns, request: TunnelRunRequest, counts: boolean, hear: (fact: RunFact) => void) {
    this.#owner = owner;
    this.request = request;
    this.counts = counts;
    this.hear = hear;
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
