import { assert } from 'chai';
import type { RunFact, TunnelRun } from '../../src/actors/ports.ts';
import type { Fault } from '../../src/fault.ts';
import { heartbeatDeadlineMs } from '../../src/runners/thread-pool.ts';
import { endingSlackMs } from '../../src/runners/thread-run.ts';
import {
  createThreadRunner,
  type ThreadRunner,
  type ThreadRunnerOptions,
} from '../../src/runners/thread-runner.ts';
import type { TunnelCounts } from '../../src/tunnel/link.ts';
import { eventually } from '../support/eventually.ts';
import { HoldingOrigin } from '../support/holding-origin.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { routesTo } from '../support/running-connector.ts';
import { type EdgePeer, ScriptedEdge } from '../support/scripted-edge.ts';

const misbehaving = new URL('../support/misbehaving-thread.js', import.meta.url);
const tunnelIds = ['11111111', '22222222', '33333333'].map((start) => `${start}-2222-4333-8444-555555555555`);
const secret = Buffer.alloc(32, 5).toString('base64');

interface Started {
  readonly run: TunnelRun;
  readonly facts: RunFact[];
  readonly tunnelId: string;
}

describe('thread runner, with real threads', () => {
  let edge: ScriptedEdge;
  let origin: HoldingOrigin;
  let clock: ManualClock;
  let runner: ThreadRunner;
  let threads: Map<string, number | null>;
  let counts: [string, TunnelCounts][];
  let log: ReturnType<typeof keptLog>;

  beforeEach(async () => {
    edge = await ScriptedEdge.start();
    origin = await HoldingOrigin.start();
    clock = new ManualClock();
    threads = new Map();
    counts = [];
    log = keptLog();
  });

  afterEach(async () => {
    await runner.close();
    assert.strictEqual(clock.pendingTimers, 0, 'timers left behind');
    assert.isTrue(
      [...threads.values()].every((tunnels) => tunnels === null),
      'threads left behind',
    );
    assert.notInclude(JSON.stringify(log.lines), secret);
    await edge.close();
    await origin.close();
  });

  function createRunner(overrides: Partial<ThreadRunnerOptions> = {}): void {
    runner = createThreadRunner({
      clock,
      log: log.log,
      logLevel: 'error',
      accessCertsUrl: null,
      edge: { addresses: [edge.address], ca: edge.ca, region: '' },
      graceMs: 2000,
      maxThreads: 2,
      tunnelsPerThread: 'auto',
      workerFile: misbehaving,
      heapMb: 64,
      onCounts: (host, counted) => counts.push([host, counted]),
      onThread: (thread, tunnels) => threads.set(thread, tunnels),
      ...overrides,
    });
  }

  function start(index: number, token?: string): Started {
    const tunnelId = tunnelIds[index] as string;
    const fields = { a: 'account', t: tunnelId, s: secret };
    const facts: RunFact[] = [];
    const run = runner.start(
      {
        host: `app${index}.example.com`,
        tunnel: {
          accountId: 'account',
          id: tunnelId,
          token: token ?? Buffer.from(JSON.stringify(fields)).toString('base64'),
        },
        haConnections: 1,
        routes: { ...routesTo(origin.port), host: `app${index}.example.com` },
      },
      (fact) => facts.push(fact),
    );
    return { run, facts, tunnelId };
  }

  const registered = ({ facts }: Started) =>
    eventually('registered', () =>
      facts.some((fact) => fact.type === 'connections' && fact.registered === 1),
    );
  const ended = ({ facts }: Started) =>
    eventually('ended', () => facts.find((fact) => fact.type === 'ended'));
  const peerOf = ({ tunnelId }: Started): EdgePeer =>
    edge.open.findLast((peer) => peer.registration?.tunnelId === tunnelId) as EdgePeer;
  const statusOf = async (started: Started, index: number): Promise<number | undefined> => {
    const authority = `app${index}.example.com`;
    return (await peerOf(started).request({ ':path': '/', ':authority': authority }).headers())[':status'];
  };
  /** Of the last fact, which must be the ending. */
  const endingOf = ({ facts }: Started): Fault | null => {
    const last = facts.at(-1);
    if (last?.type !== 'ended') throw new Error('has not ended');
    return last.fault;
  };
  const endings = ({ facts }: Started): number => facts.filter(({ type }) => type === 'ended').length;
  const command = ({ run }: Started, host: string): void =>
    run.updateRoutes({ host, routes: [], access: null });

  it('runs a tunnel in a thread: serves, follows routes, counts, stops, and the thread ends', async () => {
    createRunner({ workerFile: undefined as never });
    const tunnel = start(0);
    await registered(tunnel);
    assert.deepEqual([...threads], [['1', 1]]);
    assert.strictEqual(await statusOf(tunnel, 0), 503);
    tunnel.run.updateRoutes({
      host: 'app0.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 418 } }],
      access: null,
    });
    await eventually('counted', () => counts[0]);
    assert.strictEqual(await statusOf(tunnel, 0), 418);
    const peer = peerOf(tunnel);
    tunnel.run.stop();
    await ended(tunnel);
    assert.isTrue(peer.unregistered);
    assert.isNull(endingOf(tunnel));
    const requests = counts.map(([host, counted]) => [host, counted.requests[4], counted.requests[5]]);
    assert.deepEqual(requests, [
      ['app0.example.com', 0, 1],
      ['app0.example.com', 1, 0],
    ]);
    await eventually('thread ended', () => threads.get('1') === null);
  });

  const misdeeds: [string, string, string, RegExp][] = [
    ['throws', 'throws.test', 'thread-threw', /thrown on command/],
    ['leaves a rejection unhandled', 'rejects.test', 'thread-threw', /rejected on command/],
    ['exits', 'exits.test', 'thread-exited', /code: 7/],
    ['runs out of heap', 'allocates.test', 'thread-out-of-memory', /heap/],
  ];
  for (const [title, host, code, message] of misdeeds) {
    it(`a thread that ${title} ends its tunnel as one value, and no other`, async () => {
      createRunner();
      const [bad, good] = [start(0), start(1)];
      await Promise.all([registered(bad), registered(good)]);
      command(bad, host);
      await ended(bad);
      assert.strictEqual(endingOf(bad)?.code, code);
      assert.match(endingOf(bad)?.message ?? '', message);
      assert.strictEqual(await statusOf(good, 1), 503);
      assert.isFalse(good.facts.some(({ type }) => type === 'ended' || type === 'lost'));
      const again = start(0);
      await registered(again);
      assert.deepEqual(
        [...threads],
        [
          ['1', null],
          ['2', 1],
          ['3', 1],
        ],
      );
      bad.run.stop();
      bad.run.kill();
      assert.strictEqual(endings(bad), 1);
    });
  }

  it('a thread that spins is noticed by its silence and ended; its neighbour serves on', async () => {
    createRunner();
    const [bad, good] = [start(0), start(1)];
    await Promise.all([registered(bad), registered(good)]);
    command(bad, 'spins.test');
    // Heartbeats go on while time moves in steps that leave the good thread room to answer.
    for (let waitedMs = 0; waitedMs <= heartbeatDeadlineMs + 3000; waitedMs += 250) {
      await clock.advance(250);
      await statusOf(good, 1);
    }
    await ended(bad);
    assert.strictEqual(endingOf(bad)?.code, 'thread-unresponsive');
    assert.isFalse(good.facts.some(({ type }) => type === 'ended'));
    assert.strictEqual(await statusOf(good, 1), 503);
  });

  it('shares threads once there are enough, and a dead one ends each tunnel on it once', async () => {
    createRunner();
    const tunnels = [start(0), start(1), start(2)] as const;
    await Promise.all(tunnels.map(registered));
    assert.deepEqual(
      [...threads],
      [
        ['1', 2],
        ['2', 1],
      ],
    );
    command(tunnels[2], 'throws.test');
    await Promise.all([ended(tunnels[0]), ended(tunnels[2])]);
    assert.strictEqual(await statusOf(tunnels[1], 1), 503);
    assert.deepEqual(tunnels.map(endings), [1, 0, 1]);
  });

  it('refuses what does not fit when each tunnel is to have a thread of its own', async () => {
    createRunner({ maxThreads: 1, tunnelsPerThread: 1 });
    const [first, second] = [start(0), start(1)];
    await registered(first);
    await ended(second);
    assert.strictEqual(endingOf(second)?.code, 'threads-exhausted');
  });

  it('ends a run with a bad token by a fault that does not show it', async () => {
    createRunner();
    const bad = start(0, 'c2VjcmV0LXRva2Vu');
    assert.isEmpty(bad.facts, 'not before the caller has its run');
    await ended(bad);
    assert.strictEqual(endingOf(bad)?.code, 'credentials-invalid');
    assert.notInclude(JSON.stringify([bad.facts, log.lines]), 'c2VjcmV0');
    assert.isEmpty([...threads]);
  });

  it('ends the tunnels of a worker file that cannot be loaded', async () => {
    createRunner({ workerFile: new URL('../support/broken-thread.js', import.meta.url) });
    const tunnel = start(0);
    await ended(tunnel);
    assert.strictEqual(endingOf(tunnel)?.code, 'thread-threw');
  });

  it('kills a run at once, and a thread that does not even do that is ended', async () => {
    createRunner();
    const [polite, deaf] = [start(0), start(1)];
    await Promise.all([registered(polite), registered(deaf)]);
    polite.run.kill();
    await ended(polite);
    assert.isNull(endingOf(polite));
    command(deaf, 'deaf.test');
    deaf.run.stop();
    await clock.advance(2000 + endingSlackMs);
    assert.isFalse(deaf.facts.some(({ type }) => type === 'ended'));
    await clock.advance(endingSlackMs);
    await ended(deaf);
    assert.strictEqual(endingOf(deaf)?.code, 'thread-unresponsive');
  });

  it('closes: drains what runs, ends every thread, refuses what comes later', async () => {
    createRunner();
    const [busy, idle] = [start(0), start(1)];
    await Promise.all([registered(busy), registered(idle)]);
    const request = peerOf(busy).request({ ':path': '/hold', ':authority': 'app0.example.com' });
    await request.headers();
    const closed = runner.close();
    await ended(idle);
    assert.isFalse(busy.facts.some(({ type }) => type === 'ended'));
    origin.finish();
    assert.strictEqual(await request.text(), 'part and end');
    await closed;
    assert.isNull(endingOf(busy));
    const late = start(2);
    await ended(late);
    assert.strictEqual(endingOf(late)?.code, 'stopped');
  });
});
