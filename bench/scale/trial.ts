import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControllerUnderTest } from './controller.ts';
import { firstPath, hostOf } from './manifests.ts';
import type { Calls, Cost, Idle, Measured, Start } from './measured.ts';
import { newIngresses, type ScaleOptions } from './options.ts';
import type { Settlement } from './settlement.ts';
import { measureThreadDeath, type ThreadDeath } from './thread-death.ts';
import { until, Visitors } from './visitors.ts';

const mebi = 1 << 20;
/** A phase begins when Kubernetes has not been called for so long: what the one before began has come to its end. */
const calmMs = 3_000;
const longestUnrestMs = 180_000;
const mostChanged = 500;
const lagSamples = 20;
const rollTickMs = 30;

interface Rolled extends Cost {
  readonly events: number;
  readonly elapsedMs: number;
  readonly lagMs: readonly number[];
}

/** One controller in one world, from its start to its end. */
export class Trial {
  readonly #world: Settlement;
  readonly #names: readonly string[];
  readonly #options: ScaleOptions;
  readonly #visitors: Visitors;
  #controller: ControllerUnderTest | null = null;
  /** EndpointSlice events so far. */
  #rolled = 0;

  constructor(world: Settlement, names: readonly string[], options: ScaleOptions) {
    this.#world = world;
    this.#names = names;
    this.#options = options;
    this.#visitors = new Visitors(world.edge.frontUrl);
  }

  get threads(): number {
    return this.#running.threads;
  }

  async calm(): Promise<void> {
    const untilMs = performance.now() + longestUnrestMs;
    for (let before = -1; before !== this.#calls().kubernetes && performance.now() < untilMs; ) {
      before = this.#calls().kubernetes;
      await sleep(calmMs);
    }
  }

  async start(): Promise<Start> {
    const { haConnections, controllerFlags, nodeFlags, log, profile } = this.#options;
    const served: number[] = [];
    const failures: unknown[] = [];
    const wanted = new Map(this.#names.map((name) => [hostOf(name), name]));
    const callsBefore = this.#calls();
    const flags = [...this.#world.flags, '--ha-connections', String(haConnections), ...controllerFlags];
    const controller = new ControllerUnderTest(
      flags,
      nodeFlags,
      log ?? join(this.#world.folder, 'controller.log'),
      profile,
    );
    this.#controller = controller;
    const sinceMs = (): number => performance.now() - controller.startedAtMs;
    this.#world.onFirstConnection = (host) => {
      const name = wanted.get(host);
      if (name === undefined) return;
      this.#visitors.until(name, firstPath).then(
        () => served.push(sinceMs()),
        (error: unknown) => failures.push(error),
      );
    };
    controller.watchLoop();
    await until('every host answers', () => {
      if (failures.length > 0) throw failures[0];
      // Throws with the end of its log if it has ended.
      return controller.usage.cpuUs >= 0 && served.length === this.#names.length;
    });
    await until('every connection is registered', () => {
      return this.#world.connections() === this.#names.length * haConnections;
    });
    const allConnectedMs = sinceMs();
    await controller.ready();
    const readyMs = sinceMs();
    return {
      ...{ firstServedMs: Math.min(...served), allServedMs: Math.max(...served), allConnectedMs, readyMs },
      ...(await controller.loopDelay()),
      cpuMs: controller.usage.cpuUs / 1_000,
      calls: this.#callsSince(callsBefore),
    };
  }

  async idle(idleMs: number): Promise<Idle> {
    const callsBefore = this.#calls();
    const { rssBytes } = this.#running.usage;
    const startedMs = performance.now();
    const cpuPercent = await this.#cpuPercentOf(idleMs);
    const after = this.#running.usage;
    const elapsedMs = performance.now() - startedMs;
    const calls = this.#callsSince(callsBefore);
    // Watching the loop takes CPU of its own, so it has a time of its own.
    this.#running.watchLoop();
    await sleep(Math.min(idleMs, 10_000));
    return {
      seconds: elapsedMs / 1_000,
      cpuPercent,
      rssMib: after.rssBytes / mebi,
      peakRssMib: this.#running.peakBytes / mebi,
      mibPerHour: ((after.rssBytes - rssBytes) / mebi / elapsedMs) * 3_600_000,
      calls,
      ...(await this.#running.loopDelay()),
    };
  }

  async newIngresses(): Promise<Measured['newIngress']> {
    const answeredMs: number[] = [];
    const cost = await this.#costOf(async () => {
      for (let index = 0; index < newIngresses; index++) {
        const name = `new-${index}`;
        const startedMs = performance.now();
        this.#world.add(name);
        await this.#visitors.until(name, firstPath);
        answeredMs.push(performance.now() - startedMs);
        await sleep(100);
      }
    });
    for (let index = 0; index < newIngresses; index++) this.#world.removeIngress(`new-${index}`);
    const expected = this.#names.length * this.#options.haConnections;
    await until('the new ones are gone again', () => this.#world.connections() === expected);
    return { ...cost, answeredMs };
  }

  async change(): Promise<Measured['change']> {
    const changed = this.#names.slice(0, Math.min(mostChanged, Math.ceil(this.#names.length / 2)));
    let allAnsweredMs = 0;
    const cost = await this.#costOf(async () => {
      const startedMs = performance.now();
      for (const name of changed) this.#world.changeIngress(name, '/changed');
      await Promise.all(inTurns(changed, 8).map((some) => this.#visitAll(some, '/changed')));
      allAnsweredMs = performance.now() - startedMs;
    });
    const cpuMsEach = cost.cpuMs / changed.length;
    await this.#costOf(async () => {
      for (const name of changed) this.#world.changeIngress(name, firstPath);
      for (const name of changed) await this.#visitors.until(name, firstPath);
    });
    return { ...cost, ingresses: changed.length, allAnsweredMs, cpuMsEach };
  }

  /**
   * Twice, because each thread compiles its code for such events as it meets the first thousands of them, and a world of
   * more Ingresses has more threads. What the process takes at rest is measured in between, in the same state.
   */
  async roll(options: ScaleOptions): Promise<Measured['roll']> {
    const first = await this.#rollFor(options);
    const idleCpuPercent = await this.#cpuPercentOf(options.rollMs);
    const then = await this.#rollFor(options);
    const beyondIdleMsEach = ({ cpuMs, elapsedMs, events }: Rolled): number =>
      (cpuMs - (idleCpuPercent / 100) * elapsedMs) / events;
    return {
      ...then,
      eventsPerMinute: (then.events / then.elapsedMs) * 60_000,
      idleCpuPercent,
      cpuMsEach: beyondIdleMsEach(then),
      firstCpuMsEach: beyondIdleMsEach(first),
    };
  }

  async #rollFor({ rollMs, rollRate }: ScaleOptions): Promise<Rolled> {
    const lagMs: number[] = [];
    let events = 0;
    let elapsedMs = 0;
    const sampleEvery = Math.max(1, Math.floor((rollMs / 60_000) * (rollRate / lagSamples)));
    const cost = await this.#costOf(async () => {
      const startedMs = performance.now();
      const samples: Promise<void>[] = [];
      while (elapsedMs < rollMs) {
        const due = (elapsedMs / 60_000) * rollRate;
        for (; events < due; events++) {
          // On from where the roll before has ended: the same address again would be no change.
          const round = Math.floor(this.#rolled / this.#names.length);
          const name = this.#names[this.#rolled % this.#names.length]!;
          this.#rolled++;
          const address = `127.0.0.${2 + (round % 2)}`;
          this.#world.changeSlice(name, address);
          if (events % sampleEvery !== 0) continue;
          const changedMs = performance.now();
          samples.push(
            this.#visitors.until(name, firstPath, address).then(() => {
              lagMs.push(performance.now() - changedMs);
            }),
          );
        }
        await sleep(rollTickMs);
        elapsedMs = performance.now() - startedMs;
      }
      await Promise.all(samples);
      elapsedMs = performance.now() - startedMs;
    });
    return { ...cost, events, elapsedMs, lagMs };
  }

  async threadDeath(): Promise<ThreadDeath> {
    const controller = { pid: this.#running.pid, inspectorUrl: await this.#running.inspectorUrl() };
    return measureThreadDeath(this.#world, this.#visitors, this.#names, controller, this.#options);
  }

  /** Milliseconds until the process was gone. Idempotent. */
  async stop(): Promise<number | null> {
    const controller = this.#controller;
    if (controller === null) return null;
    this.#controller = null;
    const startedMs = performance.now();
    await controller.stop();
    this.#visitors.close();
    return performance.now() - startedMs;
  }

  get #running(): ControllerUnderTest {
    if (this.#controller === null) throw new Error('the controller was not started');
    return this.#controller;
  }

  async #visitAll(names: readonly string[], path: string): Promise<void> {
    for (const name of names) await this.#visitors.until(name, path);
  }

  async #costOf(work: () => Promise<void>): Promise<Cost> {
    const calls = this.#calls();
    const { cpuUs } = this.#running.usage;
    this.#running.watchLoop();
    await work();
    const delay = await this.#running.loopDelay();
    return { ...delay, cpuMs: (this.#running.usage.cpuUs - cpuUs) / 1_000, calls: this.#callsSince(calls) };
  }

  /** Of one core, while nothing happens for so long. */
  async #cpuPercentOf(restMs: number): Promise<number> {
    const { cpuUs } = this.#running.usage;
    const startedMs = performance.now();
    await sleep(restMs);
    return (this.#running.usage.cpuUs - cpuUs) / (performance.now() - startedMs) / 10;
  }

  #calls(): Calls {
    const { kubernetes, cloudflare } = this.#world;
    // The leader renews its Lease all the time, whatever there is to do.
    const asked = Array.from(kubernetes.calls, ([call, count]) =>
      call.endsWith(' leases') ? 0 : count,
    ).reduce((sum, count) => sum + count, 0);
    return { kubernetes: asked, cloudflare: cloudflare.calls.length };
  }

  #callsSince(before: Calls): Calls {
    const now = this.#calls();
    return {
      kubernetes: now.kubernetes - before.kubernetes,
      cloudflare: now.cloudflare - before.cloudflare,
    };
  }
}

/** So many lists, dealt like cards. */
function inTurns<T>(all: readonly T[], lists: number): readonly T[][] {
  return Array.from({ length: lists }, (_, list) => all.filter((_, index) => index % lists === list));
}
