import type {
  ActorLog,
  Leadership,
  RunFact,
  TunnelRun,
  TunnelRunner,
  TunnelRunRequest,
} from '../actors/ports.ts';
import type { Result } from '../fault.ts';
import type { SeenPod } from '../kube/pods/parse-pods.ts';
import type { PodSettings } from '../kube/pods/tunnel-deployment.ts';
import type { TunnelPods } from '../kube/pods/tunnel-pods.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { PodNudges } from './pod-nudges.ts';
import { PodQuestions } from './pod-questions.ts';
import { PodTunnel, type PodTunnelWorld } from './pod-tunnel.ts';

export interface PodRunnerOptions {
  readonly pods: TunnelPods;
  readonly settings: Omit<PodSettings, 'image'>;
  /** The image of the pods; asked for until it is known, then no more. */
  image(signal: AbortSignal): Promise<Result<string>>;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: ActorLog;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** While nobody can say whether there are pods from before. */
const lookAgainMs = 30_000;

/**
 * Runs tunnels in Deployments of pods, which outlive this process: the next one takes over what is as it should be
 * without a write. Without leadership it only tells how the pods are. Owns the watch and the retries.
 */
export class PodRunner implements TunnelRunner {
  readonly #options: PodRunnerOptions;
  readonly #tunnels = new Map<string, PodTunnel>();
  /** Of which Deployment a pod is. */
  readonly #homes = new Map<string, string>();
  readonly #stopping = new AbortController();
  readonly #world: PodTunnelWorld;
  readonly #questions: PodQuestions;
  readonly #unsubscribe: () => void;
  #watch: { stop(): Promise<void> } | null = null;
  #look: Timer | null = null;
  #isListed = false;
  #isMinding = false;
  /** What is not among the tunnels here has no pods. */
  #knowsAll = false;
  #image: string | null = null;

  constructor(options: PodRunnerOptions) {
    this.#options = options;
    const { pods, leadership, clock, log, settings, random = Math.random } = options;
    const { signal } = this.#stopping;
    this.#world = {
      clock,
      log,
      random,
      graceMs: settings.graceMs,
      signal,
      maySee: () => this.#isListed,
      mayWrite: () => leadership.isLeading && !signal.aborted,
      wanted: async (request) => {
        const image = await this.#imageOfPods(signal);
        return image.ok ? pods.wanted(request, { ...settings, image: image.value }) : image;
      },
      apply: (wanted, aborted) => pods.apply(wanted, aborted),
      nudge: (seen, aborted) => pods.nudge(seen, aborted),
      nudges: new PodNudges({ clock, random }),
      remove: (seen, aborted) => pods.remove(seen, aborted),
    };
    this.#questions = new PodQuestions({
      clock,
      signal,
      mayAsk: this.#world.mayWrite,
      tunnels: () => this.#tunnels.values(),
      ask: (address, aborted) => pods.ask(address, aborted),
    });
    this.#unsubscribe = leadership.onChange(() => {
      for (const tunnel of this.#tunnels.values()) {
        tunnel.leadershipChanged();
        this.#questions.changed(tunnel);
      }
    });
  }

  /** Finds what an earlier process has left. Without any pods there is nothing to watch until there is a run. */
  async open(): Promise<void> {
    const { pods, clock } = this.#options;
    const { signal } = this.#stopping;
    const exist = await pods.exist(signal);
    if (signal.aborted) return;
    if (exist.ok && exist.value) return this.#watchPods();
    // Who may not look at Deployments has never made any.
    if (exist.ok || exist.fault.code === 'kube-forbidden') return this.#nothingBefore();
    this.#look = clock.after(lookAgainMs, () => void this.open());
  }

  start(request: TunnelRunRequest, hear: (fact: RunFact) => void): TunnelRun {
    this.#watchPods();
    const tunnel = this.#tunnelOf(this.#options.pods.nameOf(request.host));
    const run = tunnel.start(request, hear);
    this.#questions.changed(tunnel);
    if (!this.#isListed) void this.#mind();
    return run;
  }

  clear(host: string): void {
    const name = this.#options.pods.nameOf(host);
    if (this.#knowsAll && !this.#tunnels.has(name)) return;
    this.#tunnelOf(name).clear();
  }

  /** The process ends and the pods stay as they are: from now on a run that is stopped is over at once. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#look?.cancel();
    this.#questions.stop();
    this.#unsubscribe();
    for (const tunnel of this.#tunnels.values()) tunnel.release();
    await this.#watch?.stop();
  }

  #nothingBefore(): void {
    this.#knowsAll = true;
    for (const [name, tunnel] of this.#tunnels) if (tunnel.isIdle) this.#tunnels.delete(name);
  }

  /** Says to runs that wait for the first listing why it does not come; the watch itself goes on trying. */
  async #mind(): Promise<void> {
    if (this.#isMinding) return;
    this.#isMinding = true;
    const exist = await this.#options.pods.exist(this.#stopping.signal);
    this.#isMinding = false;
    if (exist.ok || this.#isListed || this.#stopping.signal.aborted) return;
    for (const tunnel of this.#tunnels.values()) tunnel.refused(exist.fault);
  }

  #watchPods(): void {
    if (this.#watch !== null || this.#stopping.signal.aborted) return;
    this.#look?.cancel();
    this.#watch = this.#options.pods.watch({
      deployment: (seen) => this.#tunnelOf(seen.name).deployment(seen),
      deploymentGone: (name, resourceVersion) =>
        this.#tell(name, (each) => each.deploymentGone(resourceVersion)),
      pod: (seen) => this.#pod(seen),
      podGone: (name) => {
        const home = this.#homes.get(name);
        this.#homes.delete(name);
        if (home !== undefined) this.#tell(home, (each) => each.podGone(name));
      },
      listed: () => {
        this.#isListed = true;
        this.#nothingBefore();
        this.#advanceAll();
      },
    });
  }

  #pod(seen: SeenPod): void {
    this.#homes.set(seen.name, seen.of);
    const tunnel = this.#tunnelOf(seen.of);
    tunnel.pod(seen);
    this.#questions.changed(tunnel);
  }

  #tell(name: string, tell: (tunnel: PodTunnel) => void): void {
    const tunnel = this.#tunnels.get(name);
    if (tunnel === undefined) return;
    tell(tunnel);
    if (tunnel.isIdle) this.#tunnels.delete(name);
  }

  #advanceAll(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.advance();
  }

  #tunnelOf(name: string): PodTunnel {
    let tunnel = this.#tunnels.get(name);
    if (tunnel === undefined) {
      tunnel = new PodTunnel(this.#world);
      this.#tunnels.set(name, tunnel);
    }
    return tunnel;
  }

  async #imageOfPods(signal: AbortSignal): Promise<Result<string>> {
    if (this.#image !== null) return { ok: true, value: this.#image };
    const image = await this.#options.image(signal);
    if (image.ok) this.#image = image.value;
    return image;
  }
}
