import { nameOf } from './manifests.ts';
import type { Measured } from './measured.ts';
import type { ScaleOptions } from './options.ts';
import { settle } from './settlement.ts';
import { Trial } from './trial.ts';

/** New hosts that Cloudflare's calls suffice for at once. */
const mostNew = 100;
/** Beyond the Ingresses of a world: those that a phase makes. */
const spareTunnels = 200;

/** Measures one number of Ingresses in worlds of its own, which it ends. `say` hears what is going on. */
export async function measure(
  size: number,
  options: ScaleOptions,
  say: (text: string) => void,
): Promise<Measured> {
  const measured: Measured = {
    ...{ ingresses: size, haConnections: options.haConnections, threads: null, first: null, cold: null },
    ...{ idle: null, newIngress: null, change: null, roll: null, threadDeath: null, stopMs: null },
  };
  if (options.phases.has('first')) {
    const many = Math.min(size, mostNew);
    await inWorld(many, false, options, async (trial) => {
      say(`${many} new Ingresses`);
      measured.first = { ingresses: many, ...(await trial.start()) };
    });
  }
  if ([...options.phases].every((phase) => phase === 'first')) return measured;
  await inWorld(size, true, options, async (trial) => {
    say(`${size} Ingresses: cold start`);
    measured.cold = await trial.start();
    measured.threads = trial.threads;
    await trial.calm();
    if (options.phases.has('idle')) {
      say(`${size} Ingresses: idle`);
      measured.idle = await trial.idle(options.idleMs);
    }
    if (options.phases.has('new')) {
      say(`${size} Ingresses: new ones`);
      measured.newIngress = await trial.newIngresses();
      await trial.calm();
    }
    if (options.phases.has('change')) {
      say(`${size} Ingresses: change`);
      measured.change = await trial.change();
      await trial.calm();
    }
    if (options.phases.has('roll')) {
      say(`${size} Ingresses: roll`);
      measured.roll = await trial.roll(options);
    }
    if (options.phases.has('thread-death')) {
      // The last one, because what opens the inspector leaves it open.
      await trial.calm();
      say(`${size} Ingresses: the death of a thread`);
      measured.threadDeath = await trial.threadDeath();
    }
    measured.stopMs = await trial.stop();
  });
  return measured;
}

async function inWorld(
  size: number,
  known: boolean,
  options: ScaleOptions,
  work: (trial: Trial) => Promise<void>,
): Promise<void> {
  const world = await settle(Math.max(1_000, size + spareTunnels));
  const names = Array.from({ length: size }, (_, index) => nameOf(index));
  const trial = new Trial(world, names, options);
  try {
    for (const name of names) {
      world.add(name);
      if (known) world.addTunnel(name);
    }
    await work(trial);
  } finally {
    await trial.stop();
    await world.stop();
  }
}
