import type { ActorLog, RunFact, TunnelRun, TunnelRunRequest } from '../actors/ports.ts';
import type { RouteTable } from '../domain/routes.ts';
import { type Fault, fault, type Result } from '../fault.ts';
import type { PodAnswer } from '../kube/pods/ask-pod.ts';
import type { SeenPod, SeenPods } from '../kube/pods/parse-pods.ts';
import { podsHashAnnotation, type WantedPods, withoutReplicas } from '../kube/pods/tunnel-deployment.ts';
import type { Backoff } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { RetryTimer } from '../time/retry-timer.ts';
import type { PodNudges, RefusedTunnel } from './pod-nudges.ts';
import { PodRun } from './pod-run.ts';
import { PodTroubles } from './pod-troubles.ts';
import { PodUpkeep } from './pod-upkeep.ts';
import { SeenDeployment } from './seen-deployment.ts';

export interface PodTunnelWorld {
  readonly clock: Clock;
  readonly log: ActorLog;
  /** In [0, 1). */
  readonly random: () => number;
  readonly graceMs: number;
  readonly signal: AbortSignal;
  /** Whether what there is has been listed, and is ours to change. */
  readonly maySee: () => boolean;
  readonly mayWrite: () => boolean;
  /** What should be for such a run. */
  wanted(request: TunnelRunRequest): Promise<Result<WantedPods>>;
  apply(wanted: WantedPods, signal: AbortSignal): Promise<Result<SeenPods>>;
  /** As `TunnelPods.nudge`. */
  nudge(seen: SeenPods, signal: AbortSignal): Promise<Result<void>>;
  /** Of the whole namespace. */
  readonly nudges: PodNudges;
  remove(seen: SeenPods, signal: AbortSignal): Promise<Result<void>>;
}

/** Of writes that failed while pods serve on. */
const writeBackoff: Backoff = { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 0 };
/** Beyond the grace period, until pods that were asked to end are given up waiting for. */
const endingSlackMs = 10_000;

/**
 * The Deployment of one host: brought to what the newest run wants, one write at a time, and its pods' readiness told
 * to the runs. A run that replaces another one changes the same Deployment, whose rollout leaves no gap. What becomes
 * of single pods is Kubernetes' business. Owned by the runner.
 */
export class PodTunnel implements RefusedTunnel {
  readonly #world: PodTunnelWorld;
  /** Oldest first. */
  readonly #runs: PodRun[] = [];
  /** Of the newest run, also after that has failed: what it has begun goes on. Null: nothing should be there. */
  #wish: TunnelRunRequest | null = null;
  /** Nobody wants it any more. False for what has not been claimed since this process started. */
  #unwanted = false;
  readonly #deployment = new SeenDeployment();
  readonly #pods = new Map<string, SeenPod>();
  readonly #troubles: PodTroubles;
  readonly #upkeep: PodUpkeep;
  /** Nothing is written while it waits. */
  readonly #retry: RetryTimer;
  /** What the wish comes to, once it is known. */
  #wantedHash = '';
  #wantedMaking = '';
  /** The run that ends when no pod is left. */
  #draining: { readonly run: PodRun; readonly overdue: Timer } | null = null;
  #isMoving = false;
  #isDue = false;

  constructor(world: PodTunnelWorld) {
    this.#world = world;
    this.#troubles = new PodTroubles(world.clock, () => this.advance());
    this.#upkeep = new PodUpkeep(world, () => this.advance());
    this.#retry = new RetryTimer(world, writeBackoff, () => this.advance());
  }

  /** Nothing is known of it and nobody needs it. */
  get isIdle(): boolean {
    return (
      this.#deployment.now === null &&
      this.#pods.size === 0 &&
      this.#runs.length === 0 &&
      this.#draining === null
    );
  }

  /** Addresses of the pods that let nobody in without a token. */
  get guards(): readonly string[] {
    return this.#wish?.routes.access == null ? [] : addressesOf([...this.#pods.values()]);
  }

  /** Addresses of the pods that are waited for. */
  get unready(): readonly string[] {
    return addressesOf(this.#wantedPods.filter(({ isReady }) => !isReady));
  }

  hearPods(answers: ReadonlyMap<string, PodAnswer>): void {
    const there = addressesOf([...this.#pods.values()]);
    this.#runs.at(-1)?.hearPods(answers, there, this.#wish?.routes.access != null);
  }

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun {
    // What drains is taken over: it is not waited for, its pods may well be the new run's.
    this.#drained();
    const run = new PodRun(this, request, this.#runs.length === 0, hear);
    this.#runs.push(run);
    this.#want(request);
    return run;
  }

  follow(routes: RouteTable): void {
    if (this.#wish !== null) this.#want({ ...this.#wish, routes });
  }

  stop(run: PodRun): void {
    this.#leave(run);
    if (!this.#world.mayWrite()) {
      // Whoever leads sees to the pods; when that is us again, what nobody here runs any more is not made anew.
      if (this.#runs.length === 0) this.#wish = null;
      return run.end(null);
    }
    this.clear();
    if (this.#runs.length > 0) return run.end(null);
    if (this.#deployment.now === null && this.#pods.size === 0 && !this.#isMoving) return run.end(null);
    const { clock, graceMs } = this.#world;
    const overdue = clock.after(graceMs + endingSlackMs, () => this.#drained());
    this.#draining = { run, overdue };
  }

  kill(run: PodRun): void {
    if (this.#draining?.run === run) return this.#drained();
    this.#leave(run);
    run.end(null);
    this.clear();
  }

  /** What no run wants ends; what a failed one has begun is taken back. */
  clear(): void {
    const newest = this.#runs.at(-1);
    if (newest !== undefined) {
      if (this.#wish !== null) this.#want({ ...newest.request, routes: this.#wish.routes });
      return;
    }
    this.#wish = null;
    this.#upkeep.stop();
    this.#world.nudges.leave(this);
    this.#unwanted = true;
    this.advance();
  }

  /** Whoever leads has the API server. */
  leadershipChanged(): void {
    this.#retry.reset();
    this.advance();
  }

  /** What there is cannot be seen, so nothing can be started. */
  refused(cause: Fault): void {
    for (const run of [...this.#runs]) this.#fail(run, cause);
  }

  /** Nothing is written any more and nothing waited for. */
  release(): void {
    this.#retry.reset();
    this.#troubles.stop();
    this.#upkeep.stop();
    this.#world.nudges.leave(this);
    this.#drained();
  }

  deployment(seen: SeenPods): void {
    if (this.#deployment.told(seen)) this.advance();
  }

  deploymentGone(resourceVersion: string): void {
    if (this.#deployment.gone(resourceVersion)) this.advance();
  }

  pod(seen: SeenPod): void {
    this.#pods.set(seen.name, seen);
    this.advance();
  }

  podGone(name: string): void {
    if (this.#pods.delete(name)) this.advance();
  }

  /** Something has changed: makes the writes that are due, one after the other, and tells what is. */
  advance(): void {
    this.#isDue = true;
    if (this.#isMoving) return;
    this.#isMoving = true;
    void this.#moveWhileDue();
  }

  async #moveWhileDue(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false;
      // Before the write, too: what serves already is no failure of it.
      this.#tell();
      await this.#move();
      this.#tell();
    }
    this.#isMoving = false;
  }

  async #move(): Promise<void> {
    const { maySee, mayWrite, signal } = this.#world;
    const wish = this.#wish;
    if (!maySee()) return;
    if (wish === null) {
      const seen = this.#deployment.now;
      if (seen === null || seen.deleting || !this.#unwanted || !mayWrite() || this.#retry.isWaiting) return;
      const removed = await this.#world.remove(seen, signal);
      if (!removed.ok) return this.#failed(seen.host, removed.fault);
      this.#retry.reset();
      this.#deployment.removed(seen.uid);
      this.#world.log.info({ host: seen.host }, 'tunnel pods removed');
      this.#isDue = true;
      return;
    }
    const wanted = await this.#world.wanted(wish);
    if (wish !== this.#wish) return;
    if (!wanted.ok) return this.#failed(wish.host, wanted.fault);
    this.#wantedHash = wanted.value.hash;
    this.#wantedMaking = wanted.value.making;
    const seen = this.#deployment.now;
    // One that is being deleted is made again once it is gone.
    if (seen?.deleting || !mayWrite() || this.#retry.isWaiting) return;
    const said = seen?.isAutoscaled ? withoutReplicas(wanted.value) : wanted.value;
    const areRefused = seen?.hash === this.#wantedHash && seen.areRefused;
    this.#world.nudges.look(this, areRefused, seen?.isRolledOut ?? false);
    const strays = seen?.hash === this.#wantedHash ? this.#upkeep.look(said, seen) : null;
    if (strays?.length === 0) return;
    const written = this.#deployment.writing();
    const applied = await this.#world.apply(said, signal);
    if (!applied.ok) return this.#failed(wish.host, applied.fault);
    if (applied.value.hash !== wanted.value.hash) return this.#failed(wish.host, unmarked(applied.value));
    this.#retry.reset();
    this.#upkeep.written(said, applied.value, strays && { found: strays, by: seen?.otherManagers ?? [] });
    if (written(applied.value)) this.#isDue = true;
  }

  async askAgain(): Promise<void> {
    const { mayWrite, log, signal } = this.#world;
    const seen = this.#deployment.now;
    if (seen === null || !mayWrite()) return;
    const asked = await this.#world.nudge(seen, signal);
    const { host, name: pods } = seen;
    if (asked.ok) log.debug({ host, pods }, 'Kubernetes asked again for tunnel pods');
    this.advance();
  }

  /** While nothing serves that is the run's end, and its actor starts the next one; else it is tried again here. */
  #failed(host: string, cause: Fault): void {
    const { log, signal } = this.#world;
    if (signal.aborted) return;
    const newest = this.#runs.at(-1);
    if (newest?.told === 0) return this.#fail(newest, cause);
    const retryInMs = this.#retry.wait(cause.retryAfterMs);
    log.warn({ host, code: cause.code, detail: cause.message, retryInMs }, 'tunnel pods not changed');
  }

  /** Those of an older making are on their way out. */
  get #wantedPods(): readonly SeenPod[] {
    return [...this.#pods.values()].filter(({ making }) => making === this.#wantedMaking);
  }

  #tell(): void {
    if (!this.#world.maySee()) return;
    const seen = this.#deployment.now;
    const isWanted = seen !== null && seen.hash === this.#wantedHash;
    const newest = this.#runs.at(-1);
    if (newest !== undefined && isWanted && seen.isRolledOut) newest.counts = true;
    for (const run of [...this.#runs]) {
      run.tellReady(seen?.ready ?? 0);
    }
    if (newest !== undefined && isWanted) {
      const { trouble, isRolledOut } = seen;
      const pods = this.#wantedPods;
      this.#troubles.look({ run: newest, making: this.#wantedMaking, trouble, pods, isRolledOut });
    }
    if (this.#draining !== null && seen === null && this.#pods.size === 0) this.#drained();
  }

  #want(wish: TunnelRunRequest): void {
    this.#wish = wish;
    this.#wantedHash = '';
    this.#unwanted = false;
    this.advance();
  }

  /** What it wanted stays wanted: its actor starts another one, or clears. */
  #fail(run: PodRun, cause: Fault): void {
    this.#leave(run);
    run.end(cause);
  }

  #leave(run: PodRun): void {
    const at = this.#runs.indexOf(run);
    if (at >= 0) this.#runs.splice(at, 1);
    if (this.#runs.length === 0) this.#troubles.stop();
  }

  #drained(): void {
    const draining = this.#draining;
    this.#draining = null;
    draining?.overdue.cancel();
    if (draining !== null) draining.run.end(null);
  }
}

/** By its mark what is wanted is known again. */
function unmarked({ name }: SeenPods): Fault {
  const text = `Deployment ${name} comes out without what we said in its annotation ${podsHashAnnotation}: expected no admission webhook that takes it away`;
  return fault('kube-refused', text);
}

function addressesOf(pods: readonly SeenPod[]): readonly string[] {
  return pods.flatMap(({ address }) => address ?? []);
}
