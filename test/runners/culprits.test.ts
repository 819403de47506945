import { assert } from 'chai';
import { type Circumstances, placePart, type ThreadLoad } from '../../src/runners/placement.ts';
import { type Evidence, noEvidence, suspectsOf, withDeath } from '../../src/runners/suspects.ts';
import { sharedThreads } from '../../src/runners/thread-count.ts';

interface Thread extends ThreadLoad {
  readonly tunnels: Map<string, number>;
  connections: number;
}

/** Tunnels of two parts on threads, moved as the runner does; every part is one connection. */
class World {
  readonly threads = new Map<string, Thread>();
  evidence: Evidence = noEvidence;
  readonly #limits;
  readonly #tunnels: readonly string[];
  #next = 1;
  #nowMs = 0;

  constructor(tunnels: number, maxThreads: number) {
    this.#limits = { cores: 2, maxThreads, tunnelsPerThread: 'auto' as const };
    this.#tunnels = Array.from({ length: tunnels }, (_, index) => `t${index}`);
    for (const tunnel of this.#tunnels) for (const _ of 'ab') this.#put(tunnel, false);
  }

  homes(tunnel: string): Thread[] {
    return [...this.threads.values()].filter(({ tunnels }) => tunnels.has(tunnel));
  }

  isAlone(tunnel: string): boolean {
    return this.homes(tunnel).every(({ tunnels }) => tunnels.size === 1);
  }

  die({ id, tunnels }: Thread): void {
    this.threads.delete(id);
    const shared = [...this.threads.values()].filter(({ reserved }) => !reserved).length;
    this.#nowMs += 1000;
    const death = { atMs: this.#nowMs, tunnels: new Set(tunnels.keys()) };
    const places = this.#limits.maxThreads - Math.max(shared, this.#circumstances().sharedThreads);
    this.evidence = withDeath(this.evidence, death, places);
    for (const [tunnel, parts] of tunnels) for (let part = 0; part < parts; part++) this.#put(tunnel, true);
    for (const isAlone of [false, true]) {
      for (const thread of [...this.threads.values()]) {
        for (const tunnel of [...thread.tunnels.keys()]) {
          const alone = this.evidence.quarantined.has(tunnel);
          if (alone === isAlone && alone !== thread.reserved) this.#move(tunnel, thread);
        }
      }
    }
  }

  #move(tunnel: string, from: Thread): void {
    const parts = from.tunnels.get(tunnel) ?? 0;
    from.tunnels.delete(tunnel);
    from.connections -= parts;
    if (from.tunnels.size === 0) this.threads.delete(from.id);
    for (let part = 0; part < parts; part++) this.#put(tunnel, false);
  }

  #put(tunnel: string, lost: boolean): void {
    const alone = this.evidence.quarantined.has(tunnel);
    const place = placePart({ tunnel, alone, lost }, [...this.threads.values()], this.#circumstances())!;
    const id = place.kind === 'new' ? String(this.#next++) : place.id;
    const reserved = place.kind === 'new' && place.reserved;
    const thread = this.threads.get(id) ?? { id, tunnels: new Map(), connections: 0, reserved };
    this.threads.set(id, thread);
    thread.tunnels.set(tunnel, (thread.tunnels.get(tunnel) ?? 0) + 1);
    thread.connections++;
  }

  #circumstances(): Circumstances {
    const shared = sharedThreads(this.#tunnels.length, this.#limits);
    return { limits: this.#limits, sharedThreads: shared, suspects: suspectsOf(this.evidence) };
  }
}

describe('tunnels that kill one thread after the other, in turn', () => {
  const cases: [tunnels: number, maxThreads: number, culprits: number, mostDeaths: number][] = [
    [100, 21, 1, 5],
    [100, 21, 2, 20],
    [100, 21, 5, 100],
    [1000, 21, 1, 5],
    [1000, 21, 2, 20],
    [1000, 32, 2, 20],
  ];
  for (const [tunnels, maxThreads, culprits, mostDeaths] of cases) {
    it(`are each alone after ${mostDeaths} deaths: ${culprits} of ${tunnels} on ${maxThreads} threads`, () => {
      const world = new World(tunnels, maxThreads);
      const bad = Array.from({ length: culprits }, (_, index) => `t${(index * tunnels) / culprits}`);
      for (let death = 0; death < mostDeaths; death++) {
        const homes = world.homes(bad[death % culprits]!);
        world.die(homes[death % homes.length]!);
      }
      assert.isTrue(bad.every((tunnel) => world.isAlone(tunnel)));
      // Its own thread's death is then each one's own, and acquits those who were there before.
      for (const tunnel of bad) world.die(world.homes(tunnel)[0]!);
      assert.sameMembers([...world.evidence.quarantined], bad);
    });
  }
});
