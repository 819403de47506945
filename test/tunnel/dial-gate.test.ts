import { expect } from 'chai';
import {
  DialGate,
  firstAtOnce,
  leastAtOnce,
  mostAtOnce,
  stallMs,
  type Turn,
} from '../../src/tunnel/dial-gate.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('dial gate', () => {
  let clock: ManualClock;
  let gate: DialGate;
  let turns: Turn[];
  /** Numbers of those that were let in, in order. */
  let begun: number[];

  beforeEach(() => {
    clock = new ManualClock();
    gate = new DialGate(clock);
    turns = [];
    begun = [];
  });
  afterEach(() => {
    for (const turn of turns) turn.end(false);
    expect(clock.pendingTimers).to.equal(0);
  });

  const enter = (count: number, rank = 0, address = 'edge'): void => {
    for (let index = 0; index < count; index += 1) {
      const number = turns.length;
      const go = (): void => {
        begun.push(number);
        turns[number]!.dials(address);
      };
      turns.push(gate.enter(rank, go));
    }
  };
  const settle = (): Promise<void> => clock.advance(0);
  /** An edge that takes `serviceMs` for each, `abreast` of them at a time, and what is under way at the most. */
  const serve = async (serviceMs: number, abreast: number, count: number): Promise<number> => {
    const mine = turns.length;
    enter(count);
    await settle();
    const done = new Set<number>();
    let most = 0;
    while (done.size < count) {
      const open = begun.filter((number) => number >= mine && !done.has(number));
      most = Math.max(most, open.length);
      for (const number of open) turns[number]!.reached();
      await clock.advance(serviceMs);
      for (const number of open.slice(0, abreast)) {
        done.add(number);
        turns[number]!.end(true);
      }
    }
    return most;
  };

  it('lets some in at first, then one for each that is over', async () => {
    enter(100);
    expect(begun, 'before the caller has its turn').to.deep.equal([]);
    await settle();
    expect(begun).to.have.length(firstAtOnce);
    turns[3]!.end(false);
    turns[3]!.end(false);
    expect(begun).to.have.length(firstAtOnce + 1);
    turns[3]!.reached();
    turns[4]!.end(true);
    turns[4]!.end(true);
    expect(begun, 'one for it and one more, as it has registered').to.have.length(firstAtOnce + 3);
    turns[5]!.end(false);
    expect(begun).to.have.length(firstAtOnce + 4);
  });

  it('lets in first whose tunnel has the fewest connections, and others in their order', async () => {
    enter(firstAtOnce);
    await settle();
    enter(2, 2);
    enter(2, 1);
    enter(2, 0);
    await settle();
    for (let index = 0; index < 6; index += 1) turns[index]!.end(false);
    expect(begun.slice(firstAtOnce).map((number) => number - firstAtOnce)).to.deep.equal([4, 5, 2, 3, 0, 1]);
  });

  it('forgets an attempt that is given up while it waits', async () => {
    enter(firstAtOnce + 2);
    await settle();
    turns[firstAtOnce]!.end(false);
    turns[0]!.end(false);
    expect(begun.at(-1)).to.equal(firstAtOnce + 1);
  });

  it('lets in as many as an edge takes that is far away and not busy', async () => {
    expect(await serve(300, Number.POSITIVE_INFINITY, 2_000)).to.equal(mostAtOnce);
    // 16, 32, 64, 128, 256 and so on, each as long as one takes: not one after the other.
    expect(clock.monotonic()).to.be.at.most(12 * 300);
  });

  it('keeps an edge busy that does some at a time, and lets nothing pile up before it', async () => {
    const most = await serve(20, 4, 2_000);
    expect(clock.monotonic()).to.equal((2_000 / 4) * 20);
    expect(most).to.be.lessThan(64);
  });

  it('lets in one more for one that was not much slower than the quickest, and one less for one that was', async () => {
    enter(200);
    await settle();
    await clock.advance(1);
    turns[0]!.end(true);
    const first = firstAtOnce + 2;
    expect(begun).to.have.length(first);
    // What takes no time takes a little more at times.
    await clock.advance(99);
    turns[1]!.end(true);
    expect(begun, 'after 100 ms').to.have.length(first + 2);
    await clock.advance(100);
    turns[2]!.end(true);
    expect(begun, 'after 200 ms').to.have.length(first + 3);
    await clock.advance(100);
    for (const turn of turns.slice(3, 6)) turn.end(false);
    expect(begun, 'after 300 ms and a failure').to.have.length(first + 3);
    for (const turn of turns.slice(100)) turn.end(false);
    turns[first]!.end(true);
    expect(begun, 'with many given up that had not begun').to.have.length(first + 4);
  });

  it('does not take a slow lookup of the edge for a busy one', async () => {
    enter(1);
    await settle();
    await clock.advance(10);
    const lookups = Array.from({ length: firstAtOnce }, () => gate.enter(0, () => {}));
    turns.push(...lookups);
    await settle();
    turns[0]!.end(true);
    enter(100, 1);
    await clock.advance(900);
    const before = begun.length;
    for (const turn of lookups) {
      turn.dials('edge');
      turn.reached();
    }
    await clock.advance(10);
    for (const turn of lookups.slice(1)) turn.end(true);
    expect(begun.length - before).to.equal(2 * (lookups.length - 1));
    lookups[0]!.end(false);
    expect(begun.length - before, 'after one that failed').to.equal(2 * lookups.length - 1);
  });

  it('lets in no more than before when fewer have asked for it', async () => {
    enter(1);
    for (let index = 1; index <= firstAtOnce; index += 1) {
      enter(1);
      await settle();
      turns[index]!.end(true);
    }
    enter(100);
    await settle();
    expect(begun).to.have.length(1 + firstAtOnce + (firstAtOnce - 1));
  });

  it('measures an edge by itself, not by that of the time before', async () => {
    await serve(1, Number.POSITIVE_INFINITY, 1);
    expect(await serve(900, Number.POSITIVE_INFINITY, 100)).to.be.greaterThan(firstAtOnce);
  });

  it('goes down to the least while everything takes long, and begins anew after a rest', async () => {
    enter(1_000);
    await settle();
    let over = 0;
    const endAll = async (afterMs: number): Promise<number> => {
      const open = begun.slice(over);
      over += open.length;
      for (const number of open) turns[number]!.reached();
      await clock.advance(afterMs);
      for (const number of open) turns[number]!.end(true);
      return open.length;
    };
    await endAll(10);
    let last = 0;
    for (let round = 0; round < 20; round += 1) last = await endAll(900);
    expect(last).to.equal(leastAtOnce);
    for (const turn of turns) turn.end(false);
    const before = begun.length;
    enter(100);
    await settle();
    expect(begun.length - before).to.equal(firstAtOnce);
  });

  it('waits for those who hang as long as others get on at their address', async () => {
    enter(200);
    await settle();
    for (let seconds = 0; seconds < 30; seconds += 1) {
      await clock.advance(900);
      // One comes through; another one is let in for it.
      const next = begun[seconds]!;
      turns[next]!.reached();
      turns[next]!.end(true);
      await settle();
    }
    expect(begun.length).to.equal(30 + leastAtOnce);
  });

  it('waits for nobody whom TCP does not reach where it reaches nobody, nor for an edge that registers nobody', async () => {
    enter(firstAtOnce, 0, 'dead');
    await settle();
    enter(firstAtOnce, 0, 'wedged');
    enter(10, 0, 'sound');
    await clock.advance(stallMs.reach);
    const reached = new Set<number>();
    const wedged = begun.slice(firstAtOnce);
    expect(wedged.length).to.be.greaterThan(0);
    for (let seconds = 0; seconds < 5 * (stallMs.register / 1_000); seconds += 1) {
      for (const number of begun.slice(firstAtOnce, 2 * firstAtOnce)) {
        if (!reached.has(number)) turns[number]!.reached();
        reached.add(number);
      }
      await clock.advance(1_000);
    }
    expect(begun).to.have.length(2 * firstAtOnce + 10);
  });

  it('gives few places on where nobody registers, and all of them once somebody does elsewhere', async () => {
    enter(200, 1, 'busy');
    await settle();
    let reached = 0;
    const pass = async (ms: number): Promise<number> => {
      for (const untilMs = clock.monotonic() + ms; clock.monotonic() < untilMs; await clock.advance(500))
        for (; reached < begun.length; reached += 1) turns[begun[reached]!]!.reached();
      return begun.length;
    };
    const stuck = await pass(60_000);
    expect(stuck).to.equal(firstAtOnce + leastAtOnce);
    turns[begun[0]!]!.end(false);
    expect(await pass(60_000), 'as one of those that hang is over').to.equal(stuck + 1);

    enter(1, 0, 'sound');
    turns[begun.at(-1)!]!.end(false);
    expect(await pass(500)).to.equal(stuck + 2);
    turns[begun.at(-1)!]!.end(true);
    expect(await pass(stallMs.register)).to.be.at.least(stuck + 2 + leastAtOnce);
  });
});
