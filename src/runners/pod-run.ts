import type { RunFact, TunnelRun, TunnelRunRequest } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';
import type { Fault } from '../fault.ts';
import type { EdgeProblem, PodAnswer } from '../kube/pods/ask-pod.ts';

/** Of one look at one pod; many more make no difference. */
const maxAttemptsTold = 8;

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
  /** Failed attempts that are told already, by the pod's address. */
  readonly #toldAttempts = new Map<string, number>();
  /** False for a successor until all pods are of its making: the run that it replaces counts them until then. */
  counts: boolean;
  #told = 0;
  #isOver = false;

  constructor(owner: PodRuns, request: TunnelRunRequest, counts: boolean, hear: (fact: RunFact) => void) {
    this.#owner = owner;
    this.request = request;
    this.counts = counts;
    this.hear = hear;
  }

  /** The last count of connections that was told. */
  get told(): number {
    return this.#told;
  }

  tellReady(pods: number): void {
    const registered = this.counts ? pods * this.request.haConnections : 0;
    if (registered === this.#told) return;
    this.#told = registered;
    this.hear({ type: 'connections', registered });
  }

  /** Idempotent. */
  end(cause: Fault | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Never before the caller has what it asked for.
    queueMicrotask(() => this.hear({ type: 'ended', fault: cause }));
  }

  /** `there`: addresses of all pods, also of those that could not be asked. `isGuarded`: they are to let nobody in without a token. */
  hearPods(said: ReadonlyMap<string, PodAnswer>, there: readonly string[], isGuarded: boolean): void {
    for (const address of [...this.#toldAttempts.keys()])
      if (!there.includes(address)) this.#toldAttempts.delete(address);
    this.#hearAttempts(said);
    const answers = [...said.values()];
    // One that refuses everybody is enough to be told of; with nobody to ask nothing is known, where there is a policy.
    const problem = answers.map(({ accessProblem }) => accessProblem).find((each) => each !== null) ?? null;
    const isKnown = answers.length > 0 || !isGuarded;
    if (!isKnown || this.#toldAccess === problem) return;
    this.#toldAccess = problem;
    this.hear({ type: 'access', problem });
  }

  /** Each attempt once, however often it is looked at; of several pods those of the one that has had most: they fail alike. */
  #hearAttempts(said: ReadonlyMap<string, PodAnswer>): void {
    let most: { readonly news: number; readonly problem: EdgeProblem } | null = null;
    for (const [address, { edgeProblem: problem }] of said) {
      if (problem === null) {
        this.#toldAttempts.delete(address);
        continue;
      }
      const told = this.#toldAttempts.get(address) ?? 0;
      // Fewer than were told: another process counts.
      const news = problem.attempts < told ? problem.attempts : problem.attempts - told;
      this.#toldAttempts.set(address, problem.attempts);
      if (news > (most?.news ?? 0)) most = { news, problem };
    }
    if (most === null) return;
    const { connIndex, fault } = most.problem;
    for (let told = 0; told < Math.min(most.news, maxAttemptsTold); told++)
      this.hear({ type: 'lost', connIndex, fault });
  }

  updateRoutes(routes: RouteTable): void {
    if (!this.#isOver) this.#owner.follow(routes);
  }

  stop(): void {
    if (!this.#isOver) this.#owner.stop(this);
  }

  kill(): void {
    if (!this.#isOver) this.#owner.kill(this);
  }
}
