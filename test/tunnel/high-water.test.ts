import { expect } from 'chai';
import { HighWater } from '../../src/tunnel/high-water.ts';

describe('the high water of an output', () => {
  const cases: [way: string, takenBytes: number, inMs: number, bytes: number][] = [
    ['a slow way has little ready', 128, 100, 256],
    ['a way in between has what it takes in 20 ms', 300, 12, 500],
    ['a fast way has more', 600, 3, 1024],
    ['a way that takes no time is a fast one', 128, 0, 1024],
    ['a clock that went back means nothing worse than that', 128, -5, 1024],
  ];
  for (const [way, takenBytes, inMs, bytes] of cases) {
    it(way, () => {
      let nowMs = 1_000;
      const highWater = new HighWater(256, 1024, () => nowMs);
      expect(highWater.bytes).to.equal(256);
      highWater.filled();
      nowMs += inMs;
      highWater.drained(takenBytes);
      expect(highWater.bytes).to.equal(bytes);
    });
  }

  it('comes down again when the way becomes slow', () => {
    let nowMs = 0;
    const highWater = new HighWater(256, 1024, () => nowMs);
    for (const [inMs, bytes] of [
      [1, 1024],
      [1_000, 256],
    ] as const) {
      highWater.filled();
      nowMs += inMs;
      highWater.drained(600);
      expect(highWater.bytes).to.equal(bytes);
    }
  });

  it('stays where it is without an upper bound', () => {
    const highWater = new HighWater(256);
    highWater.filled();
    highWater.drained(1_000_000);
    expect(highWater.bytes).to.equal(256);
  });
});
