import { expect } from 'chai';
import { type Waiter, Waiters } from '../../../src/tunnel/origin/http2-waiters.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';

const failure: OriginFailure = { reason: 'refused', message: 'no further session' };

describe('who waits for a place in a session', () => {
  let waiters: Waiters;
  let failed: string[];
  beforeEach(() => {
    waiters = new Waiters();
    failed = [];
  });

  /** Waits for a request that came at that time. */
  function join(name: string, sinceMs: number, patientUntilMs = 0): Waiter {
    const waiter: Waiter = {
      caller: { serverName: name, http1: false, sinceMs },
      patientUntilMs,
      connected() {},
      failed: () => void failed.push(name),
    };
    waiters.join(waiter);
    return waiter;
  }

  const served = (): string[] => {
    const names: string[] = [];
    for (let next = waiters.next(); next !== undefined; next = waiters.next())
      names.push(next.caller.serverName);
    return names;
  };

  it('is served in the order of the requests, also of one that was cut off elsewhere; of one moment, who came first', () => {
    for (const [name, sinceMs] of [
      ['a', 10],
      ['b', 20],
      ['c', 20],
      ['before', 5],
      ['between', 15],
    ] as const)
      join(name, sinceMs);
    expect(served()).to.deep.equal(['before', 'a', 'between', 'b', 'c']);
  });

  it('leaves alone, once', () => {
    const [, leaving] = [join('stays', 1), join('leaves', 2), join('last', 3)];
    expect([waiters.leave(leaving), waiters.leave(leaving)]).to.deep.equal([true, false]);
    expect(served()).to.deep.equal(['stays', 'last']);
  });

  it('is told when its patience is over, and only then', () => {
    join('now', 1, 100);
    join('later', 2, 101);
    waiters.failImpatient(99, failure);
    expect(failed).to.deep.equal([]);
    waiters.failImpatient(100, failure);
    expect(failed).to.deep.equal(['now']);
    expect(served()).to.deep.equal(['later']);
  });

  it('is told once that there is nothing to wait for any more', () => {
    join('a', 1);
    join('b', 2);
    waiters.failAll(failure);
    waiters.failAll(failure);
    expect(failed).to.deep.equal(['a', 'b']);
    expect(waiters.count).to.equal(0);
  });
});
