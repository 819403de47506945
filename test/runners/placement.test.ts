import { assert } from 'chai';
import { type PlacementLimits, placeTunnel, type ThreadLoad } from '../../src/runners/placement.ts';

describe('placement of a tunnel', () => {
  const two = [
    { id: 'a', tunnels: 3 },
    { id: 'b', tunnels: 2 },
  ];
  const cases: [string, ThreadLoad[], PlacementLimits, string | null | undefined][] = [
    ['a new thread when there is none', [], { maxThreads: 2, tunnelsPerThread: 'auto' }, null],
    ['a new thread while there may be more', two, { maxThreads: 3, tunnelsPerThread: 'auto' }, null],
    ['the emptiest one after that', two, { maxThreads: 2, tunnelsPerThread: 'auto' }, 'b'],
    ['one that is not full', two, { maxThreads: 2, tunnelsPerThread: 3 }, 'b'],
    ['nowhere when all are full', two, { maxThreads: 2, tunnelsPerThread: 2 }, undefined],
  ];
  for (const [title, threads, limits, expected] of cases) {
    it(title, () => {
      const parts = placeTunnel([0, 1], threads, limits);
      const whole = expected === undefined ? null : [{ thread: expected, connections: [0, 1] }];
      assert.deepEqual(parts, whole);
    });
  }
});
