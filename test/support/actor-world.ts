import { expect } from 'chai';
import type { ChildSpec } from '../../src/kernel/actor.ts';
import type { KernelProbe } from '../../src/kernel/probe.ts';
import { type ActorSystem, createActorSystem } from '../../src/kernel/system.ts';
import { ManualClock } from './manual-clock.ts';

/** An actor system on a manual clock, without jitter (each delay is half of its bound), and what it reported. */
export interface ActorWorld {
  readonly clock: ManualClock;
  readonly system: ActorSystem;
  readonly deadLetters: string[];
  readonly restarts: {
    readonly path: string;
    readonly atMs: number;
    readonly delayMs: number;
    readonly code: string | null;
  }[];
  readonly killed: string[];
  readonly logged: { readonly fields: object; readonly message: string }[];
  /** Letters that wait, by kind. */
  readonly depths: Map<string, number>;
}

export function actorWorld(random: () => number = () => 0): ActorWorld {
  const clock = new ManualClock();
  const deadLetters: string[] = [];
  const restarts: ActorWorld['restarts'] = [];
  const killed: string[] = [];
  const logged: ActorWorld['logged'] = [];
  const depths = new Map<string, number>();
  const probe: KernelProbe = {
    deadLetter: (path) => void deadLetters.push(path),
    restarted: (path, _kind, fault, delayMs) =>
      void restarts.push({ path, atMs: clock.monotonic(), delayMs, code: fault?.code ?? null }),
    killed: (path) => void killed.push(path),
    mailboxDepth: (kind, delta) => void depths.set(kind, (depths.get(kind) ?? 0) + delta),
  };
  const note = (fields: object, message: string): void => void logged.push({ fields, message });
  const system = createActorSystem({ clock, random, probe, log: { warn: note, error: note } });
  return { clock, system, deadLetters, restarts, killed, logged, depths };
}

/** For the end of each test: no timer and no letter waits any more. */
export function expectNothingWaits({ clock, depths }: ActorWorld): void {
  expect(clock.pendingTimers, 'timers that were left behind').to.equal(0);
  expect(
    [...depths.values()].filter((depth) => depth !== 0),
    'letters that were left behind',
  ).to.deep.equal([]);
}

/** A child's spec with numbers that are easy to follow: restarts after 1, 2, 4 … 16 s without jitter. */
export function childSpec<M>(
  create: ChildSpec<M>['create'],
  changes: Partial<ChildSpec<M>> = {},
): ChildSpec<M> {
  return {
    kind: 'child',
    create,
    restart: 'permanent',
    backoff: { baseMs: 2_000, capMs: 32_000, healthyAfterMs: 60_000 },
    intensity: { maxRestarts: 1_000, windowMs: 60_000, whenExceeded: 'escalate' },
    stopWithinMs: 5_000,
    ...changes,
  };
}
