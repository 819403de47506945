import { assert } from 'chai';
import fc from 'fast-check';
import {
  type Circumstances,
  type Company,
  type Homeless,
  misplaced,
  type Place,
  partsOf,
  placePart,
  type ThreadLoad,
} from '../../src/runners/placement.ts';
import { defaultMaxThreads, mostShared, sharedThreads } from '../../src/runners/thread-count.ts';

const none: ReadonlyMap<string, number> = new Map();

function load(id: string, tunnels: Record<string, number>, company: Company = 'any'): ThreadLoad {
  const connections = Object.values(tunnels).reduce((sum, count) => sum + count, 0);
  return { id, tunnels: new Map(Object.entries(tunnels)), connections, company };
}

function circumstances(
  maxThreads: number,
  shared: number,
  tunnelsPerThread: 'auto' | number = 'auto',
  suspects = none,
  suspectThreads = 0,
): Circumstances {
  return { limits: { maxThreads, tunnelsPerThread }, sharedThreads: shared, suspectThreads, suspects };
}

describe('parts of a tunnel', () => {
  const cases: [string, number[], number, 'auto' | number, number[][]][] = [
    [
      'two, turn by turn',
      [0, 1, 2, 3],
      8,
      'auto',
      [
        [0, 2],
        [1, 3],
      ],
    ],
    ['the larger one first', [0, 1, 2], 8, 5, [[0, 2], [1]]],
    ['one for one connection', [0], 8, 'auto', [[0]]],
    ['one with strict isolation', [0, 1, 2, 3], 8, 1, [[0, 1, 2, 3]]],
    ['one when there may be one thread', [0, 1], 1, 'auto', [[0, 1]]],
  ];
  for (const [title, connections, maxThreads, tunnelsPerThread, parts] of cases) {
    it(title, () => assert.deepEqual(partsOf(connections, { maxThreads, tunnelsPerThread }), parts));
  }
});

describe('placement of a part', () => {
  const x: Homeless = { tunnel: 'x', company: 'any', lost: false };
  const lost = { ...x, lost: true };
  const alone: Homeless = { ...x, company: 'nobody' };
  const suspect: Homeless = { ...x, company: 'suspects' };
  const [a, b, c] = [load('a', { o: 2, p: 2 }), load('b', { o: 2 }), load('c', { p: 2, q: 2 })];
  const on = (id: string): Place => ({ kind: 'thread', id });
  const fresh: Place = { kind: 'new', company: 'any' };
  const own: Place = { kind: 'new', company: 'nobody' };
  const cases: [string, Homeless, ThreadLoad[], Circumstances, Place | null][] = [
    ['a new thread when there is none', x, [], circumstances(4, 2), fresh],
    ['a new thread while too few are shared', x, [a, b], circumstances(4, 3), fresh],
    ['then the one with the fewest connections', x, [a, b, c], circumstances(4, 3), on('b')],
    [
      'what was lost to threads that live, although one more should be there',
      lost,
      [a, b, c],
      circumstances(8, 4),
      on('b'),
    ],
    ['what was lost to a new thread when too few live', lost, [a, b], circumstances(8, 4), fresh],
    [
      'what was lost to a new thread when those that live are full',
      lost,
      [a, c],
      circumstances(8, 2, 2),
      fresh,
    ],
    [
      'what was lost to a second thread rather than beside the other part',
      lost,
      [load('b', { x: 2 })],
      circumstances(8, 2),
      fresh,
    ],
    ['not where the other part is', x, [a, load('b', { x: 2 }), c], circumstances(4, 3), on('a')],
    [
      'of equal ones that with the fewest common neighbours',
      x,
      [load('s', { x: 2, o: 2, p: 2 }), a, c],
      circumstances(4, 3),
      on('c'),
    ],
    [
      'a second thread rather than beside the other part',
      x,
      [load('b', { x: 2 })],
      circumstances(2, 1),
      fresh,
    ],
    [
      'beside the other part when there can be no other',
      x,
      [load('b', { x: 2 })],
      circumstances(1, 1),
      on('b'),
    ],
    ['not on a full one', x, [a, b, c], circumstances(3, 3, 1 + 1), on('b')],
    ['nowhere when all are full', x, [a, c], circumstances(2, 2, 2), null],
    ['a thread of its own when isolation is strict', x, [a], circumstances(2, 2, 1), own],
    ['nowhere when isolation is strict and there are enough', x, [a, b], circumstances(2, 2, 1), null],
    ['a thread of its own in quarantine', alone, [a, b], circumstances(4, 2), own],
    [
      'with the rest of the tunnel in quarantine',
      alone,
      [a, b, load('d', { x: 2 }, 'nobody')],
      circumstances(4, 2),
      on('d'),
    ],
    ['shared when there is no thread left to be alone in', alone, [a, b], circumstances(2, 2), on('b')],
    [
      "not in another tunnel's quarantine",
      x,
      [a, b, load('d', { z: 1 }, 'nobody')],
      circumstances(4, 2),
      on('b'),
    ],
    [
      'a suspect away from other suspects',
      x,
      [a, b, load('d', { r: 9 })],
      circumstances(4, 3, 'auto', new Map([...'xop'].map((tunnel) => [tunnel, 1]))),
      on('d'),
    ],
    [
      'a suspect of two deaths away from another one, where everybody is suspected of one',
      x,
      [load('a', { o: 2, p: 2 }), load('b', { r: 2 }), load('c', { x: 2 })],
      circumstances(4, 3, 'auto', new Map(Object.entries({ x: 2, r: 2, o: 1, p: 1 }))),
      on('a'),
    ],
    [
      'with more threads than needed, not on the emptiest, so that it can end',
      x,
      [load('a', { o: 2, p: 2 }), load('b', { o: 2 }), load('c', { p: 2, q: 2, r: 2 })],
      circumstances(4, 2),
      on('a'),
    ],
    [
      'on the emptiest all the same when the others have this tunnel or are full',
      x,
      [load('a', { x: 4 }), load('b', { o: 2, p: 2 }), load('c', { q: 2 })],
      circumstances(4, 2, 2),
      on('c'),
    ],
  ];
  const [own1, own2] = [load('s', { o: 1, p: 1 }, 'suspects'), load('t', { p: 1, q: 1 }, 'suspects')];
  const among: Place = { kind: 'new', company: 'suspects' };
  const room = (maxThreads: number, suspectThreads: number, tunnelsPerThread: 'auto' | number = 'auto') =>
    circumstances(
      maxThreads,
      2,
      tunnelsPerThread,
      new Map([...'xop'].map((tunnel) => [tunnel, 2])),
      suspectThreads,
    );
  cases.push(
    ['a suspect on a new thread for suspects while there are too few', suspect, [a, b], room(8, 3), among],
    ['a suspect away from others as suspected', suspect, [a, b, own1, own2], room(4, 2), on('t')],
    [
      'a suspect not where its other part is',
      suspect,
      [a, b, own1, load('t', { x: 1 }, 'suspects')],
      room(4, 2),
      on('s'),
    ],
    [
      'a suspect on a shared thread where it can have one thread for suspects only',
      suspect,
      [a, b],
      room(3, 2),
      on('b'),
    ],
    [
      'a suspect on a shared thread where those for suspects are full',
      suspect,
      [a, b, own1, own2],
      room(4, 2, 2),
      on('b'),
    ],
    [
      'what a suspect lost on shared threads that live, while those for suspects must be started',
      { ...suspect, lost: true },
      [a, b],
      room(8, 4),
      on('b'),
    ],
    [
      'what a suspect lost on other threads for suspects',
      { ...suspect, lost: true },
      [a, b, own1, own2],
      room(5, 3),
      on('t'),
    ],
    [
      'among suspects when there is no thread left to be alone in',
      alone,
      [a, b, own1, own2],
      room(4, 2),
      on('t'),
    ],
    ['others not among suspects', x, [a, b, load('s', { o: 1 }, 'suspects')], room(4, 2), on('b')],
  );
  for (const [title, part, threads, given, expected] of cases) {
    it(title, () => assert.deepEqual(placePart(part, threads, given), expected));
  }
});

describe('a part is where it should not be', () => {
  const [a, b] = [load('a', { x: 1 }), load('b', { x: 1 })];
  const [s, t] = [load('s', { x: 1 }, 'suspects'), load('t', { o: 1 }, 'suspects')];
  const own = load('d', { x: 1 }, 'nobody');
  const fresh: Place = { kind: 'new', company: 'any' };
  const cases: [string, ThreadLoad[], Pick<ThreadLoad, 'company'>, number][] = [
    ['never on two threads of the right kind', [a, b], load('c', {}), -1],
    ['beside the other part, where another thread takes it', [a, a], b, 0],
    ['beside the other part, where a thread can be started', [a, a], fresh, 0],
    ['not beside the other part where no other thread takes it', [a, a], a, -1],
    ['on a shared thread as a suspect', [s, b], t, 1],
    ['among suspects after release', [s, a], b, 0],
    ['outside of the thread of its own', [own, b], own, 1],
    ['not in the thread of its own', [own, own], own, -1],
  ];
  for (const [title, homes, target, expected] of cases) {
    it(title, () => assert.strictEqual(misplaced(homes, target), expected));
  }
});

/** What threads carry, as a runner would keep it; parts never move by themselves. */
class Model {
  readonly threads = new Map<
    string,
    { load: ThreadLoad; parts: { tunnel: string; connections: number[] }[] }
  >();
  readonly tunnels = new Set<string>();
  readonly #limits;
  #next = 1;

  constructor(limits: { cores: number; maxThreads: number; tunnelsPerThread: 'auto' | number }) {
    this.#limits = limits;
  }

  get loads(): ThreadLoad[] {
    return Array.from(this.threads.values(), (thread) => thread.load);
  }

  /** Places all parts, or none; gives the loads that were there when each one was placed. */
  come(tunnel: string, haConnections: number): { place: Place; loads: ThreadLoad[] }[] | null {
    this.tunnels.add(tunnel);
    const placed: { place: Place; loads: ThreadLoad[] }[] = [];
    for (const connections of partsOf([...Array(haConnections).keys()], this.#limits)) {
      const loads = this.loads;
      const place = placePart({ tunnel, company: 'any', lost: false }, loads, this.now());
      if (place === null) {
        assert.isEmpty(placed, 'a tunnel whose first part found a place');
        this.tunnels.delete(tunnel);
        return null;
      }
      placed.push({ place, loads });
      const id = place.kind === 'new' ? String(this.#next++) : place.id;
      const parts = [...(this.threads.get(id)?.parts ?? []), { tunnel, connections: [...connections] }];
      this.#put(id, parts, place.kind === 'new' ? place.company : this.threads.get(id)!.load.company);
    }
    return placed;
  }

  go(tunnel: string): void {
    this.tunnels.delete(tunnel);
    for (const [id, { parts, load }] of [...this.threads]) {
      this.#put(
        id,
        parts.filter((part) => part.tunnel !== tunnel),
        load.company,
      );
    }
  }

  now(): Circumstances {
    return {
      limits: this.#limits,
      sharedThreads: sharedThreads(this.tunnels.size, this.#limits),
      suspectThreads: 0,
      suspects: none,
    };
  }

  #put(id: string, parts: { tunnel: string; connections: number[] }[], company: Company): void {
    if (parts.length === 0) return void this.threads.delete(id);
    const counts: Record<string, number> = {};
    for (const { tunnel, connections } of parts) counts[tunnel] = (counts[tunnel] ?? 0) + connections.length;
    this.threads.set(id, { parts, load: load(id, counts, company) });
  }
}

describe('placement, over any history of tunnels', () => {
  const history = fc.record({
    cores: fc.integer({ min: 1, max: 4 }),
    maxThreads: fc.integer({ min: 1, max: 12 }),
    tunnelsPerThread: fc.oneof(fc.constant('auto' as const), fc.integer({ min: 1, max: 6 })),
    steps: fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ haConnections: fc.integer({ min: 1, max: 4 }) }) },
        { weight: 1, arbitrary: fc.record({ leaves: fc.nat() }) },
      ),
      { maxLength: 150 },
    ),
  });

  it('keeps the limits, spreads each tunnel over two threads, and fills the emptiest', () => {
    fc.assert(
      fc.property(history, ({ steps, ...limits }) => {
        const model = new Model(limits);
        const strict = limits.tunnelsPerThread === 1;
        for (const [index, step] of steps.entries()) {
          if ('leaves' in step) {
            const all = [...model.tunnels];
            if (all.length > 0) model.go(all[step.leaves % all.length]!);
            continue;
          }
          const tunnel = `t${index}`;
          const placed = model.come(tunnel, step.haConnections);
          const full =
            limits.tunnelsPerThread === 'auto' ? Number.POSITIVE_INFINITY : limits.tunnelsPerThread;
          if (placed === null) {
            const shared = strict ? limits.maxThreads : mostShared(limits.maxThreads);
            assert.lengthOf(model.loads, shared, 'refused although there may be another thread');
            assert.isTrue(model.loads.every(({ tunnels }) => tunnels.size >= full));
            continue;
          }
          const homes = model.loads.filter(({ tunnels }) => tunnels.has(tunnel));
          if (strict)
            assert.deepEqual(
              homes.map(({ tunnels }) => tunnels.size),
              [1],
            );
          // One thread, only where every other one is full.
          if (!strict && step.haConnections > 1 && homes.length < 2) {
            const others = model.loads.filter(({ tunnels }) => !tunnels.has(tunnel));
            assert.strictEqual(model.loads.length, mostShared(limits.maxThreads));
            assert.isTrue(others.every(({ tunnels }) => tunnels.size >= full));
          }
          for (const { place, loads } of placed) {
            if (place.kind === 'new') continue;
            const chosen = loads.find(({ id }) => id === place.id)!;
            const wanted = model.now().sharedThreads;
            if (loads.length > wanted || chosen.tunnels.has(tunnel)) continue;
            const open = loads.filter(({ tunnels }) => !tunnels.has(tunnel) && tunnels.size < full);
            assert.strictEqual(chosen.connections, Math.min(...open.map(({ connections }) => connections)));
          }
          assert.isAtMost(model.loads.length, limits.maxThreads);
          assert.isTrue(model.loads.every(({ tunnels }) => tunnels.size <= full));
        }
      }),
    );
  });

  it('of a thousand tunnels that only come, no thread has a third more than another, and pairs vary', () => {
    const model = new Model({ cores: 2, maxThreads: 32, tunnelsPerThread: 'auto' });
    for (let index = 0; index < 1000; index++) model.come(`t${index}`, 4);
    const connections = model.loads.map((thread) => thread.connections);
    assert.lengthOf(connections, 14);
    assert.isAtMost(Math.max(...connections), (Math.min(...connections) * 4) / 3);
    for (const one of model.loads) {
      const lost = [...one.tunnels.keys()];
      for (const other of model.loads.filter(({ id }) => id !== one.id)) {
        const common = lost.filter((tunnel) => other.tunnels.has(tunnel)).length;
        assert.isAtMost(common, lost.length / 3, `threads ${one.id} and ${other.id}`);
      }
    }
  });
});

describe('number of shared threads', () => {
  const cases: [string, number, Parameters<typeof sharedThreads>[1], number][] = [
    ['two for one tunnel', 1, { cores: 8, maxThreads: 100, tunnelsPerThread: 'auto' }, 2],
    ['one more for ten tunnels', 21, { cores: 8, maxThreads: 100, tunnelsPerThread: 'auto' }, 3],
    ['fourteen at most', 1000, { cores: 2, maxThreads: 100, tunnelsPerThread: 'auto' }, 14],
    ['or as many as cores', 1000, { cores: 32, maxThreads: 100, tunnelsPerThread: 'auto' }, 32],
    [
      'one fewer than there may be, for a quarantine',
      1000,
      { cores: 8, maxThreads: 6, tunnelsPerThread: 'auto' },
      5,
    ],
    ['both when there may be two', 1000, { cores: 8, maxThreads: 2, tunnelsPerThread: 'auto' }, 2],
    ['one when there may be one', 1000, { cores: 8, maxThreads: 1, tunnelsPerThread: 'auto' }, 1],
    ['as many as two parts of each tunnel need', 30, { cores: 1, maxThreads: 100, tunnelsPerThread: 10 }, 6],
  ];
  for (const [title, tunnels, limits, expected] of cases) {
    it(title, () => assert.strictEqual(sharedThreads(tunnels, limits), expected));
  }
});

describe('the most threads there may be, where nobody says it', () => {
  const gibi = 2 ** 30;
  const cases: [string, cores: number, memoryBytes: number, most: number][] = [
    ['are 16 for a core where memory is plenty', 2, 8 * gibi, 32],
    ['take half of the memory at most', 2, gibi, 21],
    ['are two at least, for a tunnel needs two', 1, gibi / 32, 2],
  ];
  for (const [title, cores, memoryBytes, most] of cases) {
    it(title, () => assert.strictEqual(defaultMaxThreads(cores, memoryBytes), most));
  }
});
