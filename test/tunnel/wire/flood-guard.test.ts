import { expect } from 'chai';
import { FloodGuard } from '../../../src/tunnel/wire/flood-guard.ts';

describe('flood guard', () => {
  let nowMs: number;
  let guard: FloodGuard;
  beforeEach(() => {
    nowMs = 0;
    guard = new FloodGuard({ burst: 10, perSecond: 5 }, () => nowMs);
  });

  /** How many events pass until one does not. */
  function passing(): number {
    let count = 0;
    while (guard.take()) count++;
    return count;
  }

  it('lets a burst pass, and no more in the same moment', () => {
    expect(passing()).to.equal(10);
    expect(guard.take()).to.equal(false);
  });

  it('lets as many pass after that as the rate allows', () => {
    passing();
    nowMs = 199;
    expect(guard.take()).to.equal(false);
    nowMs = 400;
    expect(passing()).to.equal(2);
    nowMs = 1_400;
    expect(passing()).to.equal(5);
  });

  it('earns no more than a burst, however long it rests', () => {
    passing();
    nowMs = 3_600_000;
    expect(passing()).to.equal(10);
  });

  it('lets what was allowed besides pass, and no more than a burst of it', () => {
    passing();
    guard.allow(3);
    expect(passing()).to.equal(3);
    guard.allow(1_000);
    expect(passing()).to.equal(10);
  });
});
