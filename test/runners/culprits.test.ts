import { assert } from 'chai';
import {
  type Circumstances,
  type Company,
  misplaced,
  type Place,
  placePart,
  type ThreadLoad,
} from '../../src/runners/placement.ts';
import { type Death, suspectsOf, type Verdict, verdictOf, withDeath } from '../../src/runners/suspects.ts';
import { sharedThreads } from '../../src/runners/thread-count.ts';

interface Thread extends ThreadLoad {
  readonly tunnels: Map<string, number>;
  connections: number;
}

/** Tunnels of two parts on threads, moved as the runner does; every part is one connection. */
class World {
  readonly threads = new Map<string, Thread>();
  /** How many deaths hit each tunnel that is no culprit. */
  readonly hits = new Map<string, number>();
  /** How many deaths hit threads that any may share. */
  outside = 0;
  deaths = 0;
  /** The last death so far that hit an innocent one at all. */
  lastHit = 0;
  /** Most suspects that shared threads among themselves at a time. */
  mostSuspects = 0;
  readonly culprits: readonly string[];
  readonly #limits;
  readonly #tunnels: readonly string[];
  #evidence: readonly Death[] = [];
  #suspects: ReadonlyMap<string, number> = new Map();
  #verdict: Verdict = { quarantined: new Map(), suspectThreads: 0 };
  #next = 1;

  constructor(tunnels: number, maxThreads: number, culprits: number) {
    this.#limits = { cores: 2, maxThreads, tunnelsPerThread: 'auto' as const };
    this.#tunnels = Array.from({ length: tunnels }, (_, index) => `t${index}`);
    this.culprits = Array.from({ length: culprits }, (_, index) => `t${(index * tunnels) / culprits}`);
    for (const tunnel of this.#tunnels) for (const _ of 'ab') this.#put(tunnel, false);
  }

  get quarantined(): ReadonlyMap<string, Company> {
    return this.#verdict.quarantined;
  }

  isAlone(tunnel: string): boolean {
    return this.#homes(tunnel).every(({ tunnels }) => tunnels.size === 1);
  }

  /** How many innocent ones were hit so often or more. */
  hitAtLeast(times: number): number {
    return [...this.hits.values()].filter((hits) => hits >= times).length;
  }

  /** The culprits kill a thread each, in turn. */
  kill(deaths: number): void {
    for (let last = this.deaths + deaths; this.deaths < last; ) {
      const culprit = this.culprits[this.deaths % this.culprits.length]!;
      const homes = this.#homes(culprit);
      this.#die(homes[this.deaths % homes.length]!);
    }
  }

  #die(thread: Thread): void {
    this.deaths++;
    if (thread.company === 'any') this.outside++;
    for (const tunnel of thread.tunnels.keys()) {
      if (this.culprits.includes(tunnel)) continue;
      this.hits.set(tunnel, (this.hits.get(tunnel) ?? 0) + 1);
      this.lastHit = this.deaths;
    }
    this.threads.delete(thread.id);
    this.#judge({ atMs: this.deaths * 1000, tunnels: new Set(thread.tunnels.keys()) });
    for (const [tunnel, parts] of thread.tunnels)
      for (let part = 0; part < parts; part++) this.#put(tunnel, true);
    // Some have to wait for the room that others make.
    for (const _ of 'twice') for (const tunnel of this.#tunnels) this.#settle(tunnel);
    const shared = [...this.quarantined.values()].filter((company) => company === 'suspects').length;
    this.mostSuspects = Math.max(this.mostSuspects, shared);
  }

  #judge(death: Death): void {
    const shared = [...this.threads.values()].filter(({ company }) => company === 'any').length;
    const wanted = this.#circumstances().sharedThreads;
    this.#evidence = withDeath(this.#evidence, death);
    this.#suspects = suspectsOf(this.#evidence);
    const room = {
      threads: this.#limits.maxThreads - Math.max(shared, wanted),
      tunnelsPerThread: Math.ceil((2 * this.#tunnels.length) / wanted),
    };
    this.#verdict = verdictOf(this.#evidence, room, this.#verdict.quarantined);
  }

  #settle(tunnel: string): void {
    for (let part = 0; part < 2; part++) {
      const threads = this.#homes(tunnel);
      const company = this.#companyOf(tunnel);
      if (threads.length > 1 && threads.every((home) => home.company === company)) return;
      const homes = threads.flatMap((home) => Array.from({ length: home.tunnels.get(tunnel)! }, () => home));
      const place = this.#place(tunnel, false);
      const from = homes[misplaced(homes, place.kind === 'new' ? place : this.threads.get(place.id)!)];
      if (from === undefined) return;
      const left = from.tunnels.get(tunnel)! - 1;
      if (left > 0) from.tunnels.set(tunnel, left);
      else from.tunnels.delete(tunnel);
      from.connections--;
      if (from.tunnels.size === 0) this.threads.delete(from.id);
      this.#put(tunnel, false);
    }
  }

  #put(tunnel: string, lost: boolean): void {
    const place = this.#place(tunnel, lost);
    const thread =
      place.kind === 'thread'
        ? this.threads.get(place.id)!
        : { id: String(this.#next++), tunnels: new Map(), connections: 0, company: place.company };
    this.threads.set(thread.id, thread);
    thread.tunnels.set(tunnel, (thread.tunnels.get(tunnel) ?? 0) + 1);
    thread.connections++;
  }

  #homes(tunnel: string): Thread[] {
    return [...this.threads.values()].filter(({ tunnels }) => tunnels.has(tunnel));
  }

  #companyOf(tunnel: string): Company {
    return this.quarantined.get(tunnel) ?? 'any';
  }

  #place(tunnel: string, lost: boolean): Place {
    const part = { tunnel, company: this.#companyOf(tunnel), lost };
    return placePart(part, [...this.threads.values()], this.#circumstances())!;
  }

  #circumstances(): Circumstances {
    return {
      limits: this.#limits,
      sharedThreads: sharedThreads(this.#tunnels.length, this.#limits),
      suspectThreads: this.#verdict.suspectThreads,
      suspects: this.#suspects,
    };
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
      const world = new World(tunnels, maxThreads, culprits);
      world.kill(mostDeaths);
      assert.isTrue(world.culprits.every((tunnel) => world.isAlone(tunnel)));
      // Its own thread's death is then each one's own, and acquits those who were there before.
      world.kill(culprits);
      assert.sameMembers([...world.quarantined.keys()], [...world.culprits]);
    });
  }

  const promises: [culprits: number, mostOutside: number, mostHitThrice: number, lastHit: number][] = [
    [1, 2, 5, 3],
    [2, 6, 70, 8],
    [5, 16, 500, 30],
  ];
  for (const [culprits, mostOutside, mostHitThrice, lastHit] of promises) {
    it(`soon hit suspects only, and then nobody: ${culprits} of 1000 on 32 threads`, () => {
      const world = new World(1000, 32, culprits);
      world.kill(60);
      assert.isAtMost(world.outside, mostOutside, 'deaths of threads that any may share');
      assert.isAtMost(world.hitAtLeast(3), mostHitThrice, 'innocent ones that were hit three times');
      assert.isAtMost(world.lastHit, lastHit, 'the last death that hit an innocent one');
      assert.isTrue(world.culprits.every((tunnel) => world.isAlone(tunnel)));
    });
  }

  it('hit suspects nearly always in the end, and innocent ones leave them: 20 of 1000 on 32 threads', function () {
    this.timeout(20_000);
    const world = new World(1000, 32, 20);
    world.kill(100);
    const { outside } = world;
    world.kill(50);
    assert.isAtMost(world.outside - outside, 10, 'of fifty deaths on threads that any may share');
    assert.isAtMost(world.quarantined.size, world.mostSuspects / 2);
  });
});
