import { isDeepStrictEqual } from 'node:util';
import { assert } from 'chai';
import { repairEveryMs, stepMs } from '../../src/runners/part-moves.ts';
import { lastingHealthMs } from '../../src/runners/suspects.ts';
import { partBackoff } from '../../src/runners/thread-run.ts';
import { firstAtOnce } from '../../src/tunnel/dial-gate.ts';
import { eventually } from '../support/eventually.ts';
import { RunnerStage, type StagedRun } from '../support/runner-stage.ts';
import type { EdgePeer } from '../support/scripted-edge.ts';
import { unwilling } from '../support/unwilling-thread.ts';

describe('threads that tunnels share', () => {
  let stage: RunnerStage;

  beforeEach(async () => {
    stage = await RunnerStage.open();
  });
  afterEach(() => stage.close());

  /** So many tunnels with so many connections each, all registered. */
  async function tunnels(count: number, haConnections: number): Promise<StagedRun[]> {
    const all = Array.from({ length: count }, (_, index) => stage.start(index, { haConnections }));
    await registered(all, haConnections);
    return all;
  }

  async function registered(all: readonly StagedRun[], count: number): Promise<void> {
    await Promise.all(all.map((tunnel) => tunnel.registered(count)));
  }

  async function threadsLost(count: number): Promise<void> {
    const lost = () => stage.log.lines.filter(({ msg }) => msg === 'thread lost').length;
    await eventually(`${count} threads lost`, () => lost() === count);
  }

  const quarantine = (): string[] =>
    stage.log.lines
      .filter(({ msg }) => String(msg).includes('quarantine'))
      .map(({ host, msg }) => `${host} ${msg}`);

  it('each tunnel has half of its connections on either thread; all are told as one run', async () => {
    stage.createRunner({ maxThreads: 8 });
    const [one, two] = (await tunnels(2, 4)) as [StagedRun, StagedRun];
    assert.deepEqual(
      [...stage.living],
      [
        ['1', 2],
        ['2', 2],
      ],
    );
    const indexes = one.peers.map(({ registration }) => registration?.connIndex);
    assert.sameMembers(indexes, [0, 1, 2, 3]);
    const idsOf = ({ peers }: StagedRun) =>
      new Set(peers.map(({ registration }) => registration?.client.clientId));
    assert.strictEqual(idsOf(one).size, 1, 'the edge sees one connector');
    assert.notDeepEqual(idsOf(one), idsOf(two), 'another tunnel is another connector');
    assert.deepInclude(
      stage.log.lines.find(({ msg }) => msg === 'number of shared threads decided'),
      { threads: 2, tunnels: 1, cores: 2, maxThreads: 8 },
    );
    one.run.stop();
    await one.ended();
    assert.strictEqual(one.endings, 1);
    assert.isNull(one.ending);
  });

  it('a dead thread costs each tunnel only what was there, and it is dialled again at once', async () => {
    stage.createRunner({ maxThreads: 8 });
    const all = await tunnels(3, 2);
    const [bad] = all as [StagedRun];
    bad.command('0.exits.test');
    await threadsLost(1);
    for (const tunnel of all) {
      await tunnel.registered(1);
      assert.strictEqual(tunnel.endings, 0);
      assert.deepEqual(
        tunnel.losses.map(({ connIndex, fault }) => [connIndex, fault.code]),
        [[0, 'thread-exited']],
      );
    }
    // The first one has the routes that were the command.
    for (const tunnel of all.slice(1)) {
      const left = tunnel.peers.find(({ registration }) => registration?.connIndex === 1)!;
      assert.strictEqual(await tunnel.status(left), 503, 'serves meanwhile');
    }
    await stage.clock.advance(0);
    await registered(all, 2);
    assert.isEmpty(quarantine());
  });

  it('what starts again serves the routes of now', async () => {
    stage.createRunner();
    const [tunnel] = (await tunnels(1, 2)) as [StagedRun];
    tunnel.command('1.exits.test');
    await threadsLost(1);
    tunnel.run.updateRoutes({
      host: 'app0.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 418 } }],
      access: null,
    });
    await stage.clock.advance(0);
    await tunnel.registered(2);
    const again = tunnel.peers.find(({ registration }) => registration?.connIndex === 1)!;
    assert.strictEqual(await tunnel.status(again), 418);
  });

  it('what one thread took along starts again at once, and later after repeated deaths', async () => {
    stage.createRunner({ maxThreads: 2 });
    const all = await tunnels(4, 2);
    const [bad] = all as [StagedRun];
    bad.command('0.exits.test');
    await threadsLost(1);
    await stage.clock.advance(0);
    assert.strictEqual(tunnelsOnThreads(), 2 * all.length);
    await registered(all, 2);

    bad.command('0.exits.test');
    await threadsLost(2);
    await stage.clock.advance(partBackoff.baseMs - 1);
    assert.strictEqual(tunnelsOnThreads(), all.length, 'not as soon as the first time');
    await stage.clock.advance(partBackoff.baseMs + 1);
    await registered(all, 2);
  });

  it('threads that live take what one that died had, without a new one', async () => {
    stage.createRunner({ maxThreads: 8, tunnelsPerThread: 2 });
    const all = await tunnels(3, 2);
    const before = [...stage.threads.keys()];
    assert.lengthOf(before, 4);
    all[0]!.command('0.exits.test');
    await threadsLost(1);
    await stage.clock.advance(0);
    await registered(all, 2);
    assert.deepEqual([...stage.threads.keys()], before);
    assert.deepEqual([...stage.living.values()], [2, 2, 2]);
  });

  it('a tunnel without any connection goes before those that have lost some', async () => {
    stage.createRunner({ maxThreads: 2 });
    const late = 24;
    const all = await tunnels(firstAtOnce + late, 2);
    all[0]!.command('0.exits.test');
    await threadsLost(1);
    await stage.clock.advance(0);
    // Both threads have the same by now, so the second of these is the last one that the new thread hears of.
    const [, fresh] = [all.length, all.length + 1].map((index) => stage.start(index)) as [
      StagedRun,
      StagedRun,
    ];
    assert.deepEqual([...stage.living.values()], [all.length + 1, all.length + 1]);
    await fresh.registered();
    await registered(all, 2);
    const dialled = ({ port }: EdgePeer): number => stage.edge.dials.lastIndexOf(port);
    const lost = all.map(({ peers }) => peers.find(({ registration }) => registration?.connIndex === 0)!);
    const after = lost.filter((peer) => dialled(peer) > dialled(fresh.peer)).length;
    assert.isAtLeast(after, late / 2, 'connections that were dialled after it');
  });

  it('a thread that still drains what was on it is not taken for an empty one', async () => {
    stage.createRunner({ maxThreads: 2 });
    const [one, , third] = (await tunnels(3, 1)) as [StagedRun, StagedRun, StagedRun];
    const open = [one, third].map(({ peer, index }) =>
      peer.request({ ':path': '/hold', ':authority': `app${index}.example.com` }),
    );
    await Promise.all(open.map((request) => request.headers()));
    for (const { run } of [one, third]) run.stop();
    const next = stage.start(3);
    assert.deepEqual([...stage.living.values()], [2, 2], 'with the two that it drains, and with the new one');
    await next.registered();
    stage.origin.finish();
    await Promise.all([one.ended(), third.ended()]);
    await next.registered();
  });

  it('a run ends when no part of it is left, with restarts that were due', async () => {
    stage.createRunner();
    const [tunnel] = (await tunnels(1, 2)) as [StagedRun];
    tunnel.command('0.exits.test');
    await threadsLost(1);
    tunnel.command('1.throws.test');
    await tunnel.ended();
    assert.strictEqual(tunnel.ending?.code, 'thread-threw');
    assert.strictEqual(stage.clock.pendingTimers, 2, 'the end of suspicion, and the next repair');
    assert.isEmpty([...stage.living]);
  });

  it('while no thread can be started the living ones take what was lost; later it is spread again', async () => {
    stage.createRunner({ workerFile: new URL('../support/unwilling-thread.js', import.meta.url) });
    const all = await tunnels(2, 2);
    const [bad] = all as [StagedRun];
    process.env[unwilling] = 'yes';
    try {
      bad.command('0.exits.test');
      await threadsLost(1);
      // They start again in a thread that never comes to life.
      await stage.clock.advance(0);
      await threadsLost(2);
      // Before another thread is tried.
      await stage.clock.advance(1.5 * partBackoff.baseMs);
      await registered(all, 2);
      assert.deepEqual([...stage.living.values()], [2]);
    } finally {
      delete process.env[unwilling];
    }
    await stage.clock.advance(repairEveryMs);
    await eventually('spread again', () => isDeepStrictEqual([...stage.living.values()], [2, 2]));
    await registered(all, 2);
    for (const { endings } of all) assert.strictEqual(endings, 0);
  });

  it('suspects are kept apart, so that the second death tells who did it', async () => {
    // Two tunnels to a thread: the third one has threads of its own from the start.
    stage.createRunner({ maxThreads: 8, tunnelsPerThread: 2 });
    const all = await tunnels(3, 2);
    const [bad, beside, far] = all as [StagedRun, StagedRun, StagedRun];
    await killTwice(bad, all);
    assert.deepEqual(quarantine(), ['app0.example.com tunnel put into quarantine']);
    assert.deepEqual(
      all.map(({ losses }) => losses.length),
      [2, 1, 1],
    );
    await moved('both parts of it are in one thread', all, () => tunnelsOnThreads() === 5);
    bad.command('exits.test');
    await bad.ended();
    for (const { losses } of [beside, far]) assert.lengthOf(losses, 1, 'hit once, not again');
  });

  it('threads that die one after the other of nobody’s work cost no tunnel its last connection, and no other thread', async () => {
    const runner = stage.createRunner({ maxThreads: 12, tunnelsPerThread: 4 });
    const all = await tunnels(8, 4);
    for (let deaths = 1; deaths <= 4; deaths++) {
      const shared = all.find(({ index }) => !runner.quarantined().has(`app${index}.example.com`));
      shared!.command('0.exits.test');
      await threadsLost(deaths);
      await stage.clock.advance(2 * partBackoff.baseMs);
      await registered(all, 4);
    }
    for (const { facts, endings } of all) {
      const counts = facts.flatMap((fact) => (fact.type === 'connections' ? [fact.registered] : []));
      assert.isAtLeast(Math.min(...counts), 1, 'was served all the while');
      assert.strictEqual(endings, 0);
    }
    await threadsLost(4);
  });

  it('who may have killed two threads is put alone into one, without a gap, until it is trusted', async () => {
    const runner = stage.createRunner({ maxThreads: 8 });
    const all = await tunnels(2, 2);
    const [bad, good] = all as [StagedRun, StagedRun];
    assert.isEmpty(runner.quarantined());
    await killTwice(bad, all);
    assert.sameMembers([...runner.quarantined().keys()], ['app0.example.com', 'app1.example.com']);
    assert.sameMembers(quarantine(), [
      'app0.example.com tunnel put into quarantine',
      'app1.example.com tunnel put into quarantine',
    ]);
    await moved('each in its own thread', all, () => isDeepStrictEqual([...stage.living.values()], [1, 1]));
    for (const tunnel of all) assert.strictEqual(tunnel.endings, 0);

    const stays = ({ facts }: StagedRun) =>
      facts.flatMap((fact) => (fact.type === 'quarantine' ? [fact.isApart] : []));
    assert.deepEqual(all.map(stays), [
      [false, true],
      [false, true],
    ]);

    // Alone it is proven guilty, which hits nobody and acquits the other.
    bad.command('exits.test');
    await bad.ended();
    assert.deepEqual(all.map(stays), [
      [false, true],
      [false, true, false],
    ]);
    assert.lengthOf(good.losses, 2);
    assert.deepEqual(quarantine().slice(2), ['app1.example.com tunnel released from quarantine']);
    assert.isEmpty(runner.quarantined(), 'of app0 nothing runs at the moment');
    await moved('the other is on two threads again', [good], () => stage.living.size === 2);
    const counts = good.facts.flatMap((fact) => (fact.type === 'connections' ? [fact.registered] : []));
    assert.isAtLeast(Math.min(...counts), 1, 'was served all the while');

    // Its next run is alone, too, until it has been healthy for long.
    const again = stage.start(0, { haConnections: 2 });
    await again.registered(2);
    assert.deepEqual([...stage.living.values()], [1, 1, 1]);
    assert.sameMembers([...runner.quarantined().keys()], ['app0.example.com']);
    assert.deepEqual(stays(again), [true]);
    await livingFor(lastingHealthMs - 60_000, [again, good]);
    assert.lengthOf(quarantine(), 3);
    await livingFor(60_000, [again, good]);
    assert.deepEqual(quarantine().slice(3), ['app0.example.com tunnel released from quarantine']);
    assert.deepEqual(stays(again), [true, false]);
    await moved('both are on two threads', [again, good], () => tunnelsOnThreads() === 4);
    assert.isEmpty(again.losses);
    assert.lengthOf(good.losses, 2);
  });

  it('a thread that quarantine no longer needs ends without a gap, where enough are shared', async () => {
    stage.createRunner({ maxThreads: 8 });
    const all = await tunnels(4, 2);
    const [bad, ...others] = all as [StagedRun, ...StagedRun[]];
    await killTwice(bad, all);
    await moved('each in its own thread', all, () =>
      isDeepStrictEqual([...stage.living.values()], [1, 1, 1, 1]),
    );
    bad.command('exits.test');
    await bad.ended();
    await moved('three on two threads', others, () =>
      isDeepStrictEqual([...stage.living.values()], [others.length, others.length]),
    );
    for (const { facts } of others) {
      const counts = facts.flatMap((fact) => (fact.type === 'connections' ? [fact.registered] : []));
      assert.isAtLeast(Math.min(...counts), 1, 'was served all the while');
    }
  });

  it('those that were lost and are to be alone get their threads one after the other, and serve meanwhile', async () => {
    stage.createRunner({ maxThreads: 12 });
    const all = await tunnels(5, 2);
    all[0]!.command('0.exits.test');
    await threadsLost(1);
    await stage.clock.advance(0);
    await registered(all, 2);
    all[0]!.command('0.exits.test');
    await threadsLost(2);
    const alone = () =>
      stage.log.lines.filter(({ msg, company }) => msg === 'thread started' && company === 'nobody');
    let before = 0;
    await eventually('all are back', async () => {
      await stage.clock.advance(partBackoff.baseMs);
      assert.isAtMost(alone().length - before, 1, 'threads that start at a time');
      before = alone().length;
      return alone().length === all.length;
    });
    await registered(all, 2);
    for (const { facts } of all) {
      const counts = facts.flatMap((fact) => (fact.type === 'connections' ? [fact.registered] : []));
      assert.isAtLeast(Math.min(...counts.slice(1)), 1, 'was served all the while');
    }
    for (const { losses } of all) assert.lengthOf(losses, 2);
  });

  it('who cannot all be alone share threads among themselves, part after part, and leave them when one is proven', async () => {
    const runner = stage.createRunner({ maxThreads: 15 });
    const all = await tunnels(14, 2);
    const [bad, ...others] = all as [StagedRun, ...StagedRun[]];
    await killTwice(bad, all);
    const suspects = () => [...runner.quarantined()].filter(([, company]) => company === 'suspects');
    assert.lengthOf(suspects(), all.length);
    const started = () =>
      stage.log.lines.filter(({ msg, company }) => msg === 'thread started' && company === 'suspects');
    let before = 0;
    await moved('all are on threads for suspects', all, () => {
      assert.isAtMost(started().length - before, 1, 'threads that one step starts');
      before = started().length;
      return stage.living.size === before && tunnelsOnThreads() === 2 * all.length;
    });
    assert.lengthOf(started(), 12);
    for (const { losses } of all) assert.lengthOf(losses, 2, 'moved without a loss');

    bad.command('0.exits.test');
    await threadsLost(3);
    await livingFor(8 * partBackoff.baseMs, all);
    await moved('some alone, the others on two shared threads', all, () => {
      const alone = runner.quarantined().size;
      return tunnelsOnThreads() === alone + 2 * (all.length - alone) && stage.living.size === alone + 2;
    });
    assert.strictEqual(runner.quarantined().get('app0.example.com'), 'nobody');
    assert.isEmpty(suspects());
    const hit = others.filter(({ losses }) => losses.length > 2);
    assert.isAtMost(hit.length, 3, 'hosts that were hit a third time, of fourteen on twelve threads');
    for (const { facts } of all) {
      const counts = facts.flatMap((fact) => (fact.type === 'connections' ? [fact.registered] : []));
      assert.isAtLeast(Math.min(...counts), 1, 'was served all the while');
    }
  });

  /** Two threads die of the tunnel, one after the other; everything lost comes back. */
  async function killTwice(bad: StagedRun, all: readonly StagedRun[]): Promise<void> {
    for (const deaths of [1, 2]) {
      bad.command('0.exits.test');
      await threadsLost(deaths);
      await stage.clock.advance(2 * partBackoff.baseMs);
      await registered(all, 2);
    }
  }

  /** Step after step, each once the one before is done, until that is so. */
  async function moved(what: string, all: readonly StagedRun[], isSo: () => boolean): Promise<void> {
    await eventually(what, async () => {
      await registered(all, 2);
      if (isSo()) return true;
      await livingFor(stepMs, all);
      return false;
    });
  }

  /** Summed over the threads: a tunnel counts once for each thread that it is on. */
  const tunnelsOnThreads = (): number => [...stage.living.values()].reduce((sum, count) => sum + count, 0);

  /**
   * Moves the clock in steps that leave every thread room to answer its heartbeat: each one is asked something
   * else meanwhile, which a connection that moves may refuse.
   */
  async function livingFor(ms: number, all: readonly StagedRun[]): Promise<void> {
    const stepMs = 4000;
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      await stage.clock.advance(Math.min(stepMs, leftMs));
      await Promise.all(
        all.flatMap((tunnel) => tunnel.peers.map((peer) => tunnel.status(peer).catch(() => null))),
      );
    }
  }
});
