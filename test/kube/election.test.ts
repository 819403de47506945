import { expect } from 'chai';
import { failed, ok, type Result } from '../../src/fault.ts';
import { createElection, type Election } from '../../src/kube/election.ts';
import type { LeaseClaim, LeaseStore, SeenLease } from '../../src/kube/lease.ts';
import type { Clock } from '../../src/time/clock.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A Lease in memory as the API server would keep it, and the ways in which it can be out of reach. */
class MemoryLease implements LeaseStore {
  readonly name = 'leader';
  stored: SeenLease | null = null;
  writes: string[] = [];
  reads = 0;
  /** Replicas that cannot reach the server: they get an error, or (`silent`) no answer. */
  readonly cutOff = new Map<string, 'error' | 'silent'>();
  /** The server is busy (429): so many writes, and every read. */
  busy = { writes: 0, reads: false };
  /** What happens between a read and the write that follows from it. */
  onRead: (() => Promise<unknown>) | null = null;
  /** So many writes of somebody who gives it back are refused, as by an admission webhook. */
  refusals = 0;
  #version = 0;

  for(me: string): LeaseStore {
    const reached = async (signal: AbortSignal): Promise<Result<void>> => {
      const how = this.cutOff.get(me);
      if (how === 'error') return failed('kube-unreachable', 'connection refused');
      if (how === 'silent') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return failed('stopped', 'given up');
      }
      return ok(undefined);
    };
    return {
      name: this.name,
      read: async (signal) => {
        const there = await reached(signal);
        if (this.busy.reads) return tooMany();
        return there.ok ? this.read() : there;
      },
      write: async (seen, claim, signal) => {
        const there = await reached(signal);
        if (this.busy.writes-- > 0) return tooMany();
        return there.ok ? this.write(seen, claim) : there;
      },
    };
  }

  async read(): Promise<Result<SeenLease | null>> {
    this.reads += 1;
    const { stored } = this;
    await this.onRead?.();
    return ok(stored);
  }

  async write(seen: SeenLease | null, { holder, durationMs }: LeaseClaim): Promise<Result<SeenLease>> {
    if (seen?.metadata.resourceVersion !== this.stored?.metadata.resourceVersion) {
      return failed('kube-conflict', 'changed meanwhile');
    }
    if (holder === '' && this.refusals > 0) {
      this.refusals -= 1;
      return failed('kube-unreachable', 'the webhook is away');
    }
    const version = String(++this.#version);
    this.writes.push(holder);
    this.stored = {
      record: { holder, durationMs, stamp: version },
      metadata: { resourceVersion: version },
      spec: {},
    };
    return ok(this.stored);
  }
}

/** As API Priority and Fairness refuses what it has no room for. */
function tooMany(): Result<never> {
  return failed('kube-refused', '429 Too many requests, please try again later.', 1_000);
}

describe('a replica that contends for the Lease', () => {
  let clock: ManualClock;
  let lease: MemoryLease;
  let log: string[];
  /** What it takes a replica to bring its view up to date. */
  let view: (me: string) => Promise<Result<void>>;
  const replicas: Election[] = [];

  beforeEach(() => {
    clock = new ManualClock();
    lease = new MemoryLease();
    log = [];
    view = async () => ok(undefined);
  });
  afterEach(async () => {
    lease.cutOff.clear();
    lease.busy = { writes: 0, reads: false };
    for (const replica of replicas.splice(0)) await replica.stop();
    expect(clock.pendingTimers).to.equal(0);
  });

  async function replica(me: string, time: Clock = clock): Promise<Election> {
    const note = (_fields: object, message: string): void => void log.push(`${me}: ${message}`);
    const election = createElection({
      lease: lease.for(me),
      me,
      clock: time,
      random: () => 0,
      log: { info: note, warn: note } as never,
      prepare: () => view(me),
    });
    election.onChange((isLeading) => log.push(`${me} ${isLeading ? 'leads' : 'follows'}`));
    replicas.push(election);
    election.start();
    await clock.advance(0);
    return election;
  }

  /** Who leads; never more than one. */
  function leader(of: Readonly<Record<string, Election>>): string {
    const leading = Object.keys(of).filter((name) => of[name]!.isLeading);
    expect(leading.length, 'leaders at once').to.be.at.most(1);
    return leading[0] ?? 'nobody';
  }

  it('leads at once when it is alone, and goes on', async () => {
    const a = await replica('a');
    expect(a.isLeading).to.equal(true);
    expect(a.pending).to.equal(null);
    await clock.advance(600_000);
    expect(a.isLeading).to.equal(true);
    expect(log).to.deep.equal(['a: leadership gained', 'a leads']);
    expect(lease.reads, 'a holder does not read').to.equal(1);
  });

  it('follows while another leads, and says so once', async () => {
    const a = await replica('a');
    const b = await replica('b');
    await clock.advance(120_000);
    expect(leader({ a, b })).to.equal('a');
    expect(b.pending).to.equal(null);
    expect(log).to.deep.equal(['a: leadership gained', 'a leads', 'b: another replica leads']);
  });

  it('takes over within 15 s of a leader that was killed, and not before that one has given up', async () => {
    const a = await replica('a');
    const b = await replica('b');
    for (const killedAtMs of [300, 1_700, 2_400]) {
      await clock.advance(killedAtMs);
      const [before, after] = leader({ a, b }) === 'a' ? [a, b] : [b, a];
      const name = before === a ? 'a' : 'b';
      // For the server a killed replica and one that is cut off are the same.
      lease.cutOff.set(name, 'silent');
      let tookMs = 0;
      while (!after.isLeading) {
        await clock.advance(100);
        tookMs += 100;
        leader({ a, b });
      }
      expect(tookMs).to.be.within(7_000, 15_000);
      lease.cutOff.clear();
      await clock.advance(20_000);
      expect(after.isLeading).to.equal(true);
    }
  });

  it('brings its view up to date before it leads, and does not lead while it cannot', async () => {
    const asked: string[] = [];
    view = async (me) => {
      asked.push(me);
      return me === 'b' ? failed('kube-unreachable', 'ingresses are away') : ok(undefined);
    };
    const a = await replica('a');
    await clock.advance(60_000);
    const b = await replica('b');
    await clock.advance(60_000);
    expect(asked, 'who leads, or looks on, needs none').to.deep.equal(['a']);
    lease.cutOff.set('a', 'silent');
    await clock.advance(30_000);
    expect(leader({ a, b })).to.equal('nobody');
    expect(log).to.include('b: lease not reached');
    view = async () => ok(undefined);
    await clock.advance(10_000);
    expect(leader({ a, b })).to.equal('b');
  });

  it('does not lead with a view from before another one led', async () => {
    view = async () => {
      view = async () => ok(undefined);
      await lease.write(lease.stored, { holder: 'z', durationMs: 10_000, nowMs: 0 });
      return ok(undefined);
    };
    const a = await replica('a');
    await clock.advance(5_000);
    expect(a.isLeading).to.equal(false);
    expect(lease.stored).to.have.nested.property('record.holder', 'z');
  });

  it('takes over within two seconds from one that was stopped', async () => {
    const a = await replica('a');
    const b = await replica('b');
    await clock.advance(5_500);
    await a.stop();
    expect(lease.stored?.record.holder).to.equal('');
    expect(a.isLeading).to.equal(false);
    await clock.advance(2_000);
    expect(b.isLeading).to.equal(true);
  });

  it('gives the Lease back also when its last renewal arrives late and when the server refuses for a while', async () => {
    const a = await replica('a');
    const b = await replica('b');
    await clock.advance(5_500);
    lease.onRead = async () => {
      lease.onRead = null;
      await lease.write(lease.stored, { holder: 'a', durationMs: 10_000, nowMs: 0 });
    };
    lease.refusals = 3;
    const stopped = a.stop();
    await clock.advance(6_000);
    await stopped;
    expect(lease.refusals, 'tried until it was heard').to.equal(0);
    expect(b.isLeading).to.equal(true);
  });

  it('gives the Lease back also when its last renewal failed', async () => {
    const a = await replica('a');
    lease.cutOff.set('a', 'error');
    await clock.advance(2_000);
    lease.cutOff.clear();
    await a.stop();
    expect(lease.writes).to.deep.equal(['a', '']);
  });

  it('gives nothing back that another took meanwhile', async () => {
    const a = await replica('a');
    lease.onRead = async () => {
      lease.onRead = null;
      await lease.write(lease.stored, { holder: 'z', durationMs: 10_000, nowMs: 0 });
    };
    const stopped = a.stop();
    await clock.advance(6_000);
    await stopped;
    expect(lease.stored).to.have.nested.property('record.holder', 'z');
  });

  for (const how of ['error', 'silent'] as const) {
    it(`ends within its time when the Lease cannot be given back (${how}), and says so`, async () => {
      const a = await replica('a');
      lease.cutOff.set('a', how);
      let isOver = false;
      void a.stop().then(() => {
        isOver = true;
      });
      await clock.advance(5_900);
      expect(isOver, 'goes on trying').to.equal(false);
      await clock.advance(100);
      expect(isOver).to.equal(true);
      expect(log.at(-1)).to.equal('a: lease not given back');
    });
  }

  for (const how of ['error', 'silent'] as const) {
    it(`stops leading when it cannot renew in time (${how}), and leads again when it can`, async () => {
      const a = await replica('a');
      await clock.advance(4_000);
      lease.cutOff.set('a', how);
      await clock.advance(4_500);
      expect(a.isLeading).to.equal(true);
      await clock.advance(3_000);
      expect(a.isLeading).to.equal(false);
      expect(log.at(-1)).to.equal('a follows');
      await clock.advance(60_000);
      lease.cutOff.clear();
      await clock.advance(10_000);
      expect(a.isLeading).to.equal(true);
      expect(
        log.filter((line) => line === 'a: lease not reached'),
        'one line per cause',
      ).to.have.length(1);
    });
  }

  it('leads on while a busy server refuses some of its requests, with one write for each try', async () => {
    const a = await replica('a');
    lease.busy = { writes: 4, reads: true };
    await clock.advance(60_000);
    expect(lease.busy.writes, 'refusals left').to.be.below(1);
    expect(log.filter((line) => line.startsWith('a ') || line.includes('leadership lost'))).to.deep.equal([
      'a leads',
    ]);
    expect(a.isLeading).to.equal(true);
  });

  it('looks for a free Lease as often as ever when a busy server asks for more patience', async () => {
    const a = await replica('a');
    const b = await replica('b');
    lease.cutOff.set('a', 'error');
    lease.busy.reads = true;
    await clock.advance(60_000);
    expect(leader({ a, b })).to.equal('nobody');
    lease.busy.reads = false;
    await clock.advance(8_000);
    expect(leader({ a, b })).to.equal('b');
  });

  it('does not believe that it leads when it was frozen, even before its timers fire', async () => {
    const a = await replica('a');
    // Time goes on and nothing else does.
    clock.freeze(8_000);
    expect(a.isLeading).to.equal(false);
  });

  it('says that it stopped leading also when the timer fires a moment early, as those of Node.js do', async () => {
    const early: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (ms, fire) => clock.after(ms - 1, fire),
    };
    const a = await replica('a', early);
    lease.cutOff.set('a', 'error');
    await clock.advance(20_000);
    expect(a.isLeading).to.equal(false);
    expect(log.at(-1)).to.equal('a follows');
  });

  it('leads on when somebody deletes the Lease', async () => {
    const a = await replica('a');
    lease.stored = null;
    await clock.advance(3_000);
    expect(lease.stored).to.have.nested.property('record.holder', 'a');
    expect(log).to.deep.equal(['a: leadership gained', 'a leads', 'a: lease not reached']);
    expect(a.isLeading).to.equal(true);
  });

  it('stops leading when it sees that another has it', async () => {
    const a = await replica('a');
    await lease.write(lease.stored, { holder: 'z', durationMs: 10_000, nowMs: 0 });
    await clock.advance(3_500);
    expect(a.isLeading).to.equal(false);
    expect(lease.stored).to.have.nested.property('record.holder', 'z');
  });

  it('says what it waits for until it knows who leads', async () => {
    lease.cutOff.set('a', 'error');
    const a = await replica('a');
    await clock.advance(2_000);
    expect(a.pending).to.equal('the Lease leader: connection refused');
    expect(a.isLeading).to.equal(false);
  });

  it('writes nothing any more once it was stopped, also when it never led', async () => {
    await replica('a');
    const b = await replica('b');
    await b.stop();
    const writes = lease.writes.length;
    expect(lease.stored?.record.holder).to.equal('a');
    await clock.advance(1_000);
    expect(lease.writes.slice(writes).every((holder) => holder === 'a')).to.equal(true);
  });
});
