import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Backoff, backoffDelayMs } from '../../time/backoff.ts';
import type { Clock, Timer } from '../../time/clock.ts';
import type { JsonObject } from '../kube-api/json.ts';
import { spawnTied } from '../tied-child.ts';
import { Probe, type ProbeSpec } from './probe.ts';

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  /** What runs behind the Node.js executable: script and arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly readiness: ProbeSpec | null;
  readonly liveness: ProbeSpec | null;
}

export interface ContainerWorld {
  readonly clock: Clock;
  onLine(line: string): void;
  /** Its `status()` is another one. */
  onChange(): void;
}

/** As a kubelet's, in the small: the first restart is at once, then with longer and longer pauses. */
const restartBackoff: Backoff = { baseMs: 1_000, capMs: 30_000, healthyAfterMs: 60_000 };
const killAfterLivenessMs = 5_000;

/** A container as a child process: started again when it ends, asked by its probes. Owns the process. */
export class Container {
  readonly #spec: ContainerSpec;
  readonly #world: ContainerWorld;
  #child: ChildProcess | null = null;
  #probes: readonly Probe[] = [];
  #isReady = false;
  #startedAtMs = 0;
  #startedAt = '';
  #restarts = 0;
  #failures = 0;
  #lastState: JsonObject = {};
  #retry: Timer | null = null;
  #isStopping = false;
  #ended: (() => void)[] = [];

  constructor(spec: ContainerSpec, world: ContainerWorld) {
    this.#spec = spec;
    this.#world = world;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    const { command, env, readiness, liveness } = this.#spec;
    const { clock, onLine, onChange } = this.#world;
    this.#startedAtMs = clock.monotonic();
    this.#startedAt = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const child = spawnTied(command, env);
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) createInterface({ input: output }).on('line', onLine);
    child.once('error', (error) => onLine(`cannot start: ${error.message}`));
    child.once('close', (code, signal) => this.#closed(code, signal));
    this.#isReady = readiness === null;
    this.#probes = [
      ...(readiness === null ? [] : [new Probe(readiness, clock, (passes) => this.#ready(passes))]),
      ...(liveness === null ? [] : [new Probe(liveness, clock, (passes) => this.#lives(passes))]),
    ];
    onChange();
  }

  /** Asks it to end, kills it when it has not within `graceMs`; resolves when it is gone. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#retry?.cancel();
    const child = this.#child;
    if (child === null) return;
    const gone = new Promise<void>((resolve) => this.#ended.push(resolve));
    child.kill('SIGTERM');
    const overdue = this.#world.clock.after(graceMs, () => child.kill('SIGKILL'));
    await gone;
    overdue.cancel();
  }

  status(): JsonObject {
    const { name, image } = this.#spec;
    const waiting = { reason: 'CrashLoopBackOff', message: `back-off restarting failed container=${name}` };
    return {
      name,
      image,
      imageID: image,
      ready: this.#isReady,
      started: this.#child !== null,
      restartCount: this.#restarts,
      state: this.#child === null ? { waiting } : { running: { startedAt: this.#startedAt } },
      lastState: this.#lastState,
    };
  }

  #ready(passes: boolean): void {
    if (this.#isReady === passes) return;
    this.#isReady = passes;
    this.#world.onChange();
  }

  #lives(passes: boolean): void {
    const child = this.#child;
    if (passes || child === null) return;
    this.#world.onLine('the liveness probe fails: the container is restarted');
    child.kill('SIGTERM');
    const overdue = this.#world.clock.after(killAfterLivenessMs, () => child.kill('SIGKILL'));
    child.once('close', () => overdue.cancel());
  }

  #closed(code: number | null, signal: string | null): void {
    const { clock, onChange } = this.#world;
    for (const probe of this.#probes) probe.stop();
    this.#child = null;
    this.#isReady = false;
    const exitCode = code ?? (signal === 'SIGKILL' ? 137 : 143);
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    this.#lastState = { terminated: { exitCode, reason, startedAt: this.#startedAt } };
    for (const resolve of this.#ended.splice(0)) resolve();
    if (this.#isStopping) return;
    if (clock.monotonic() - this.#startedAtMs >= restartBackoff.healthyAfterMs) this.#failures = 0;
    const delayMs =
      this.#failures === 0 ? 0 : backoffDelayMs(restartBackoff, this.#failures - 1, Math.random());
    this.#failures++;
    this.#retry = clock.after(delayMs, () => {
      this.#restarts++;
      this.start();
    });
    onChange();
  }
}
