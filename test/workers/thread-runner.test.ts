import { assert } from 'chai';
import { endingSlackMs } from '../../src/runners/thread-part.ts';
import { heartbeatDeadlineMs, heartbeatMs } from '../../src/runners/thread-pool.ts';
import { eventually } from '../support/eventually.ts';
import { RunnerStage } from '../support/runner-stage.ts';

describe('thread runner, with real threads', () => {
  let stage: RunnerStage;

  beforeEach(async () => {
    stage = await RunnerStage.open();
  });
  afterEach(() => stage.close());

  it('runs a tunnel in a thread: serves, follows routes, counts, stops, and the thread ends', async () => {
    stage.createRunner({ workerFile: undefined as never });
    const tunnel = stage.start(0);
    await tunnel.registered();
    assert.deepEqual([...stage.threads], [['1', 1]]);
    assert.strictEqual(await tunnel.status(), 503);
    tunnel.run.updateRoutes({
      host: 'app0.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 418 } }],
      access: null,
    });
    // Counts come with the answer to a heartbeat.
    assert.isEmpty(stage.counts);
    await stage.clock.advance(heartbeatMs);
    await eventually('counted', () => stage.counts[0]);
    assert.strictEqual(await tunnel.status(), 418);
    const { peer } = tunnel;
    tunnel.run.stop();
    await tunnel.ended();
    assert.isTrue(peer.unregistered);
    assert.isNull(tunnel.ending);
    const requests = stage.counts.map(([host, counted]) => [host, counted.requests[4], counted.requests[5]]);
    assert.deepEqual(requests, [
      ['app0.example.com', 0, 1],
      ['app0.example.com', 1, 0],
    ]);
    await eventually('thread ended', () => stage.threads.get('1') === null);
  });

  const misdeeds: [string, string, string, RegExp][] = [
    ['throws', 'throws.test', 'thread-threw', /thrown on command/],
    ['leaves a rejection unhandled', 'rejects.test', 'thread-threw', /rejected on command/],
    ['exits', 'exits.test', 'thread-exited', /code: 7/],
    ['runs out of heap', 'allocates.test', 'thread-out-of-memory', /heap/],
  ];
  for (const [title, misdeed, code, message] of misdeeds) {
    it(`strict isolation: a thread that ${title} ends its tunnel as one value, and no other`, async () => {
      stage.createRunner({ tunnelsPerThread: 1 });
      const [bad, good] = [stage.start(0, { haConnections: 2 }), stage.start(1)];
      await Promise.all([bad.registered(2), good.registered()]);
      bad.command(misdeed);
      await bad.ended();
      assert.strictEqual(bad.ending?.code, code);
      assert.match(bad.ending?.message ?? '', message);
      assert.isEmpty(bad.losses, 'the ending says it all');
      assert.strictEqual(await good.status(), 503);
      assert.isFalse(good.facts.some(({ type }) => type === 'ended' || type === 'lost'));
      const again = stage.start(0);
      await again.registered();
      assert.deepEqual(
        [...stage.threads],
        [
          ['1', null],
          ['2', 1],
          ['3', 1],
        ],
      );
      bad.run.stop();
      bad.run.kill();
      assert.strictEqual(bad.endings, 1);
    });
  }

  it('a thread that spins is noticed by its silence and ended; its neighbour serves on', async () => {
    stage.createRunner();
    const [bad, good] = [stage.start(0), stage.start(1)];
    await Promise.all([bad.registered(), good.registered()]);
    bad.command('spins.test');
    // Heartbeats go on while time moves in steps that leave the good thread room to answer.
    for (let waitedMs = 0; waitedMs <= heartbeatDeadlineMs + 3000; waitedMs += 250) {
      await stage.clock.advance(250);
      await good.status();
    }
    await bad.ended();
    assert.strictEqual(bad.ending?.code, 'thread-unresponsive');
    assert.isFalse(good.facts.some(({ type }) => type === 'ended'));
    assert.strictEqual(await good.status(), 503);
  });

  it('a thread is not blamed for the time in which ours stood still as well', async () => {
    stage.createRunner();
    const tunnel = stage.start(0);
    await tunnel.registered();
    tunnel.command('dozes.test');
    // By then it was asked whether it lives.
    await stage.clock.advance(heartbeatMs);
    for (let stall = 0; stall < 12; stall++) {
      stage.clock.freeze(heartbeatDeadlineMs);
      await stage.clock.advance(0);
    }
    // It is awake again.
    assert.isNumber(await tunnel.status());
    assert.isEmpty(tunnel.losses);
    assert.strictEqual(tunnel.endings, 0);
    assert.strictEqual(stage.living.size, 1);
  });

  it('a tunnel with one connection has one thread, and its death ends each such tunnel on it once', async () => {
    stage.createRunner();
    const tunnels = [stage.start(0), stage.start(1), stage.start(2)] as const;
    await Promise.all(tunnels.map((tunnel) => tunnel.registered()));
    assert.deepEqual(
      [...stage.threads],
      [
        ['1', 2],
        ['2', 1],
      ],
    );
    tunnels[2].command('throws.test');
    await Promise.all([tunnels[0].ended(), tunnels[2].ended()]);
    assert.strictEqual(await tunnels[1].status(), 503);
    assert.deepEqual(
      tunnels.map(({ endings }) => endings),
      [1, 0, 1],
    );
  });

  it('refuses what does not fit when each tunnel is to have a thread of its own', async () => {
    stage.createRunner({ maxThreads: 1, tunnelsPerThread: 1 });
    const [first, second] = [stage.start(0), stage.start(1)];
    await first.registered();
    await second.ended();
    assert.strictEqual(second.ending?.code, 'threads-exhausted');
    assert.match(second.ending?.message ?? '', /--max-threads/);
  });

  it('ends a run with a bad token by a fault that does not show it', async () => {
    stage.createRunner();
    const bad = stage.start(0, { token: 'c2VjcmV0LXRva2Vu' });
    assert.isEmpty(bad.facts, 'not before the caller has its run');
    await bad.ended();
    assert.strictEqual(bad.ending?.code, 'credentials-invalid');
    assert.notInclude(JSON.stringify([bad.facts, stage.log.lines]), 'c2VjcmV0');
    assert.isEmpty([...stage.threads]);
  });

  it('ends the tunnels of a worker file that cannot be loaded, and accuses none', async () => {
    stage.createRunner({
      maxThreads: 8,
      workerFile: new URL('../support/broken-thread.js', import.meta.url),
    });
    for (let attempt = 0; attempt < 2; attempt++) {
      const tunnels = [stage.start(0, { haConnections: 2 }), stage.start(1)];
      await Promise.all(tunnels.map((tunnel) => tunnel.ended()));
      for (const { ending } of tunnels) assert.strictEqual(ending?.code, 'thread-threw');
    }
    assert.notInclude(JSON.stringify(stage.log.lines), 'quarantine');
  });

  it('kills a run at once, and a thread that does not even do that is ended', async () => {
    stage.createRunner();
    const [polite, deaf] = [stage.start(0), stage.start(1)];
    await Promise.all([polite.registered(), deaf.registered()]);
    polite.run.kill();
    await polite.ended();
    assert.isNull(polite.ending);
    deaf.command('deaf.test');
    deaf.run.stop();
    await stage.clock.advance(2000 + endingSlackMs);
    assert.isFalse(deaf.facts.some(({ type }) => type === 'ended'));
    await stage.clock.advance(endingSlackMs);
    await deaf.ended();
    assert.strictEqual(deaf.ending?.code, 'thread-unresponsive');
  });

  it('closes: drains what runs, ends every thread, refuses what comes later', async () => {
    const runner = stage.createRunner();
    const [busy, idle] = [stage.start(0), stage.start(1)];
    await Promise.all([busy.registered(), idle.registered()]);
    const request = busy.peer.request({ ':path': '/hold', ':authority': 'app0.example.com' });
    await request.headers();
    const closed = runner.close();
    await idle.ended();
    assert.isFalse(busy.facts.some(({ type }) => type === 'ended'));
    stage.origin.finish();
    assert.strictEqual(await request.text(), 'part and end');
    await closed;
    assert.isNull(busy.ending);
    const late = stage.start(2);
    await late.ended();
    assert.strictEqual(late.ending?.code, 'stopped');
  });
});
