import { expect } from 'chai';
import { startWatch, type Watch, type WatchOptions } from '../../../src/kube/watch.ts';
import { eventually } from '../../support/eventually.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type KubeCall, ScriptedKube } from '../../support/scripted-kube.ts';

const service = (name: string, resourceVersion: string) => ({
  metadata: { name, resourceVersion, uid: `u-${name}` },
});

describe('kube watch', () => {
  let kube: ScriptedKube;
  let clock: ManualClock;
  let watch: Watch;
  let told: string[];
  let counted: string[];
  let kept: ReturnType<typeof keptLog>;

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    clock = new ManualClock();
    kept = keptLog();
    told = [];
    counted = [];
  });
  afterEach(async () => {
    await watch.stop();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    await kube.close();
  });

  async function start(changes: Partial<WatchOptions> = {}): Promise<void> {
    watch = startWatch({
      client: await kube.client(clock),
      resource: 'services',
      clock,
      log: kept.log,
      telemetry: {
        events: () => {},
        restarts: (kind, reason) => void counted.push(`${kind} ${reason}`),
      },
      random: () => 0,
      present: (name) => void told.push(`+${name}`),
      removed: (name, version) => void told.push(`-${name}@${version}`),
      listed: () => void told.push('listed'),
      ...changes,
    });
  }

  const nextList = (): Promise<KubeCall> => kube.next('GET /services');
  const nextWatch = (): Promise<KubeCall> => kube.next('GET /services watch');
  const hear = (...expected: string[]): Promise<unknown> =>
    eventually(`${expected} of ${told}`, () => told.length >= expected.length).then(() => {
      expect(told).to.deep.equal(expected);
      told.length = 0;
    });
  /** Lets the loop get through its backoff (at most 5 s here), and no request run out of its 16 s. */
  const restarted = async (count = 1): Promise<void> => {
    await eventually(`${count} restarts`, () => counted.length >= count);
    await clock.advance(6_000);
  };

  async function synced(): Promise<KubeCall> {
    (await nextList()).list('10', [service('a', '1'), service('b', '2')]);
    await hear('+a', '+b', 'listed');
    return (await nextWatch()).begin();
  }

  /** The server ends the watch when it was asked to (300 s here), a bookmark at `version` being the last that it said. */
  async function endInTime(call: KubeCall, version: string): Promise<void> {
    for (let quarter = 0; quarter < 4; quarter += 1) {
      call.bookmark(version);
      await eventually('the bookmark', () => clock.nextTimerMs === 90_000);
      await clock.advance(75_000);
    }
    call.end();
  }

  it('lists page by page, then watches from there', async () => {
    await start({ labelSelector: 'of=us' });
    const first = await nextList();
    expect(Object.fromEntries(first.url.searchParams)).to.deep.equal({
      limit: '500',
      labelSelector: 'of=us',
    });
    first.list('10', [service('a', '1')], 'more');
    const second = await nextList();
    expect(second.url.searchParams.get('continue')).to.equal('more');
    second.list('10', [service('b', '2')]);
    const call = await nextWatch();
    expect(Object.fromEntries(call.url.searchParams)).to.deep.equal({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '10',
      timeoutSeconds: '300',
      labelSelector: 'of=us',
    });
    call
      .begin()
      .event('ADDED', service('c', '11'))
      .event('MODIFIED', service('a', '12'))
      .event('DELETED', service('b', '13'));
    await hear('+a', '+b', 'listed', '+c', '+a', '-b@13');
  });

  it('reads events in whatever pieces they come', async () => {
    await start();
    const call = await synced();
    const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { ...service('ü', '11') } })}\n`);
    const at = line.indexOf(0xc3) + 1;
    call.raw(line.subarray(0, 5)).raw(line.subarray(5, at));
    await clock.advance(0);
    call.raw(Buffer.concat([line.subarray(at), line]));
    await hear('+ü', '+ü');
  });

  it('goes on from the last bookmark when the server ends the watch in its time', async () => {
    await start();
    const call = await synced();
    call.event('ADDED', service('c', '11'));
    await endInTime(call, '19');
    expect((await nextWatch()).url.searchParams.get('resourceVersion')).to.equal('19');
    expect(counted).to.deep.equal(['services ended']);
    await hear('+c');
  });

  it('goes on where it was when the next watch has to wait for a busy server', async () => {
    await start();
    await endInTime(await synced(), '19');
    (await nextWatch()).refuse(429, 'slow down', { 'retry-after': '1' });
    await restarted(2);
    expect((await nextWatch()).url.searchParams.get('resourceVersion')).to.equal('19');
  });

  for (const [how, expire] of [
    ['a cut connection', (call: KubeCall) => call.cut()],
    ['half a line and a cut', (call: KubeCall) => call.raw('{"type":"ADDED","obj').cut()],
    ['an end before its time', (call: KubeCall) => call.end()],
    [
      'an ERROR event',
      (call: KubeCall) => call.event('ERROR', { kind: 'Status', code: 410, message: 'too old' }),
    ],
    ['a line that is no JSON', (call: KubeCall) => call.raw('}{\n')],
    ['an event of an unknown type', (call: KubeCall) => call.event('REPLACED', service('a', '12'))],
    ['an event without a name', (call: KubeCall) => call.event('ADDED', { metadata: {} })],
    ['a line that never ends', (call: KubeCall) => call.raw(Buffer.alloc(17 * 2 ** 20, 'x'))],
    ['a server whose history went back', (call: KubeCall) => call.bookmark('9')],
    [
      'an internal error',
      (call: KubeCall) => call.event('ERROR', { kind: 'Status', code: 500, message: 'oops' }),
    ],
  ] as const) {
    it(`lists again after ${how}, and tells of deletions that nobody saw`, async () => {
      await start();
      expire(await synced());
      await restarted();
      (await nextList()).list('20', [service('b', '2'), service('c', '15')]);
      await hear('+b', '+c', '-a@20', 'listed');
      expect((await nextWatch()).url.searchParams.get('resourceVersion')).to.equal('20');
    });
  }

  it('lists again when the answer to the watch is 410', async () => {
    await start();
    (await nextList()).list('10', [service('a', '1')]);
    (await nextWatch()).refuse(410, 'too old resource version');
    (await nextList()).list('20', []);
    await hear('+a', 'listed', '-a@20', 'listed');
  });

  for (const status of [403, 404, 500, 504]) {
    it(`lists again when the watch is refused with ${status}: nobody watches meanwhile`, async () => {
      await start();
      await endInTime(await synced(), '11');
      (await nextWatch()).refuse(status, 'no');
      await restarted(2);
      (await nextList()).list('20', [service('b', '2')]);
      await hear('+b', '-a@20', 'listed');
    });
  }

  it('lists once a server is back that was away for a moment, though it watches from any version: its cluster may be restored from a backup', async () => {
    await start();
    (await synced()).cut();
    await restarted();
    (await nextList()).refuse(429, 'starting', { 'retry-after': '1' });
    await restarted(2);
    (await nextList()).list('12', [service('b', '2')]);
    await hear('+b', '-a@12', 'listed');
    expect((await nextWatch()).url.searchParams.get('resourceVersion')).to.equal('12');
  });

  it('lists in one piece after the next page has expired', async () => {
    await start();
    (await nextList()).list('10', [service('a', '1')], 'more');
    (await nextList()).refuse(410, 'the provided continue parameter is too old');
    const whole = await nextList();
    expect(whole.url.search).to.equal('');
    whole.list('20', [service('b', '2')]);
    await hear('+a', '+b', '-a@20', 'listed');
  });

  it('leaves a connection that has fallen silent', async () => {
    await start();
    const call = await synced();
    await clock.advance(60_000);
    call.bookmark('11');
    await eventually('the bookmark', () => clock.nextTimerMs === 90_000);
    await clock.advance(89_999);
    expect(call.closed).to.equal(false);
    await clock.advance(1);
    expect((await nextWatch()).url.searchParams.get('resourceVersion')).to.equal('11');
    await eventually('the old connection to be closed', () => call.closed);
    expect(counted).to.deep.equal(['services idle']);
  });

  it('lists after four more connections that stayed silent: its version may be of a history that is no more', async () => {
    await start();
    let call = await synced();
    for (let more = 0; more < 4; more += 1) {
      await eventually('the watch', () => clock.nextTimerMs === 90_000);
      await clock.advance(90_000);
      call = (await nextWatch()).begin();
    }
    await eventually('the watch', () => clock.nextTimerMs === 90_000);
    await clock.advance(90_000);
    (await nextList()).list('7', [service('b', '2')]);
    await hear('+b', '-a@7', 'listed');
    expect(call.url.searchParams.get('resourceVersion')).to.equal('10');
  });

  it('leaves a connection that outlives its time, however lively', async () => {
    await start();
    const call = await synced();
    for (let version = 11; version < 15; version += 1) {
      call.bookmark(String(version));
      await eventually('the bookmark', () => clock.nextTimerMs === 90_000);
      await clock.advance(70_000);
    }
    call.bookmark('15');
    await eventually('nothing but its age to end it', () => clock.nextTimerMs === 50_000);
    await clock.advance(50_000);
    await nextWatch();
    await eventually('the old connection to be closed', () => call.closed);
  });

  it('leaves a server that accepts the watch and never answers', async () => {
    await start();
    (await nextList()).list('10', []);
    await nextWatch();
    await clock.advance(16_000);
    await restarted();
    (await nextList()).list('10', []);
    await nextWatch();
  });

  it('does not take it for health that an answer is long in coming', async () => {
    await start();
    for (const delayMs of [500, 1_000, 2_000]) {
      (await nextList()).list('10', []);
      await nextWatch();
      await clock.advance(16_000);
      await eventually('a restart', () => clock.nextTimerMs === delayMs);
      await clock.advance(delayMs);
    }
  });

  for (const status of [401, 403, 404, 429, 500]) {
    it(`names a ${status} in the log and tries again`, async () => {
      await start();
      (await nextList()).refuse(status, 'because of this');
      await restarted();
      (await nextList()).list('10', []);
      await hear('listed');
      expect(kept.lines.find(({ msg }) => msg === 'watch restarts')).to.include({
        level: 'warn',
        kind: 'services',
      });
      expect(JSON.stringify(kept.lines)).to.match(new RegExp(`GET services: ${status}.*because of this`));
    });
  }

  it('backs off, farther and farther, up to 10 s, and never gives up', async () => {
    await start({ random: () => 0.999 });
    const delays: number[] = [];
    for (let at = 0; at < 8; at += 1) {
      (await nextList()).refuse(500, 'no');
      await eventually('a restart', () => counted.length > at);
      delays.push(Math.round(clock.nextTimerMs ?? 0) / 1000);
      await clock.advance(clock.nextTimerMs ?? 0);
    }
    expect(delays.map(Math.round)).to.deep.equal([1, 2, 4, 8, 10, 10, 10, 10]);
  });

  it('backs off from a server that ends every watch at once', async () => {
    await start();
    (await synced()).end();
    for (const delayMs of [500, 1_000, 2_000]) {
      await eventually('the pause after the end', () => clock.nextTimerMs === delayMs);
      await clock.advance(delayMs);
      (await nextList()).list('10', []);
      (await nextWatch()).begin().end();
    }
  });

  it('forgets failures after ten seconds of health', async () => {
    await start();
    (await synced()).cut();
    await restarted();
    (await nextList()).list('10', []);
    const second = (await nextWatch()).begin();
    await eventually('the watch to be heard', () => clock.nextTimerMs === 90_000);
    await clock.advance(10_000);
    second.cut();
    await eventually('a first pause', () => clock.nextTimerMs === 500);
  });

  for (const [random, delayMs] of [
    [0, 77_000],
    [0.5, 80_850],
  ] as const) {
    it(`waits as long as the server asks, and up to a tenth longer: ${delayMs} ms`, async () => {
      await start({ random: () => random });
      (await nextList()).refuse(429, 'slow down', { 'retry-after': '77' });
      await eventually('a restart', () => counted.length === 1);
      expect(clock.nextTimerMs).to.be.closeTo(delayMs, 1);
    });
  }

  describe('can be brought up to date', () => {
    const refreshed = () => watch.refresh(new AbortController().signal);

    it('without a request while its connection holds, also on one that the server has ended as agreed', async () => {
      await start();
      await endInTime(await synced(), '10');
      (await nextWatch()).begin().event('ADDED', service('c', '11'));
      await hear('+c');
      expect((await refreshed()).ok).to.equal(true);
      expect(kube.waiting).to.be.empty;
    });

    it('by a list that does not wait for its turn, once it has told that', async () => {
      await start();
      (await synced()).cut();
      await eventually('the break', () => counted.length === 1);
      const refresh = refreshed();
      (await nextList()).list('20', [service('b', '2')]);
      expect((await refresh).ok).to.equal(true);
      await hear('+b', '-a@20', 'listed');
      await nextWatch();
    });

    it('by a list, too, while it waits for an answer, and when it went on after a silence by itself', async () => {
      await start();
      await endInTime(await synced(), '10');
      const unanswered = await nextWatch();
      const first = refreshed();
      await eventually('that request to be given up', () => unanswered.closed);
      (await nextList()).list('20', []);
      await first;
      await hear('-a@20', '-b@20', 'listed');
      (await nextWatch()).begin();
      await eventually('the watch', () => clock.nextTimerMs === 90_000);
      await clock.advance(90_000);
      (await nextWatch()).begin().event('ADDED', service('c', '21'));
      await hear('+c');
      const second = refreshed();
      (await nextList()).list('30', []);
      expect((await second).ok).to.equal(true);
    });

    it('or says why not, and goes on as before', async () => {
      await start();
      (await synced()).cut();
      await eventually('the break', () => counted.length === 1);
      const refresh = refreshed();
      (await nextList()).refuse(503, 'not yet');
      expect(await refresh)
        .to.have.nested.property('fault.message')
        .that.contains('not yet');
      await clock.advance(20_000);
      (await nextList()).list('20', []);
    });

    it('and nobody waits for a watch that stops, or when they give up', async () => {
      await start();
      (await synced()).cut();
      await eventually('the break', () => counted.length === 1);
      const given = new AbortController();
      const [one, other] = [watch.refresh(given.signal), refreshed()];
      given.abort();
      expect(await one).to.have.nested.property('fault.code', 'stopped');
      await watch.stop();
      expect(await other).to.have.nested.property('fault.code', 'stopped');
      expect(await refreshed()).to.have.nested.property('fault.code', 'stopped');
    });
  });

  it('survives a receiver that throws, and tells it everything again', async () => {
    let broken = true;
    await start({
      present: (name) => {
        if (broken) throw new Error('of ours');
        told.push(`+${name}`);
      },
    });
    (await nextList()).list('10', [service('a', '1')]);
    await restarted();
    broken = false;
    (await nextList()).list('11', [service('a', '1')]);
    await hear('+a', 'listed');
    expect(kept.lines.some(({ level, reason }) => level === 'error' && reason === 'bug')).to.equal(true);
  });

  it('tells nothing once it is stopped, and leaves its connection', async () => {
    await start();
    const call = await synced();
    const stopped = watch.stop();
    call.event('ADDED', service('c', '11'));
    await stopped;
    await watch.stop();
    await eventually('the connection to be closed', () => call.closed);
    expect(told).to.deep.equal([]);
  });

  it('can be stopped while it waits for a list, and while it backs off', async () => {
    await start();
    await nextList();
    await watch.stop();
    await start();
    (await nextList()).refuse(500, 'no');
    await eventually('a restart', () => counted.length === 1);
    await watch.stop();
  });
});
