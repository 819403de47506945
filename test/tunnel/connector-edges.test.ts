import { assert } from 'chai';
import { startSpacingMs } from '../../src/tunnel/connector.ts';
import { type EdgeResolver, withFallback } from '../../src/tunnel/edge-resolver.ts';
import { pingIntervalMs, pingTimeoutMs } from '../../src/tunnel/heartbeat.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';
import { RunningConnector, specFor } from '../support/running-connector.ts';
import { ScriptedEdge } from '../support/scripted-edge.ts';

const four = [0, 1, 2, 3];

/** A connector and the places that it finds by DNS: two regions, each an edge of its own. */
describe('connector with two regions', () => {
  let regions: [ScriptedEdge, ScriptedEdge];
  let running: RunningConnector | null;

  beforeEach(async () => {
    running = null;
    regions = [await ScriptedEdge.start(), await ScriptedEdge.start()];
  });
  afterEach(async () => {
    running?.connector.destroy();
    assert.strictEqual(running?.clock.pendingTimers ?? 0, 0, 'timers left behind');
    for (const region of regions) await region.close();
  });

  const asked: string[] = [];
  /** Two services; each has two addresses on this machine. */
  const resolver: EdgeResolver = {
    async services(name) {
      asked.push(name);
      return regions.map(({ port }, index) => ({
        name: `region${index + 1}.test`,
        port,
        priority: 1,
        weight: 1,
      }));
    },
    addresses: async () => ['127.0.0.1', '127.0.0.1'],
  };
  const failing: EdgeResolver = {
    services: () => Promise.reject(new Error('queryA ECONNREFUSED')),
    addresses: () => Promise.reject(new Error('not to be asked')),
  };

  async function start(by: EdgeResolver, connections = four): Promise<RunningConnector> {
    const [one, two] = regions;
    const edge = { addresses: [], ca: one.ca + two.ca, region: 'us' };
    // The middle: neither the first nor the last of what is chosen by chance.
    running = new RunningConnector(specFor(one, { connections, edge }), () => 0.4, by);
    await running.registrations(1);
    await running.clock.advance(connections.length * startSpacingMs);
    await running.registrations(connections.length);
    return running;
  }

  it('is found by the name of its region, and has half of the connections in either', async () => {
    asked.length = 0;
    await start(resolver);
    assert.deepEqual(asked, ['_us-v2-origintunneld._tcp.argotunnel.com']);
    assert.deepEqual(
      regions.map(({ open }) => open.length),
      [2, 2],
    );
  });

  it('is found by the second resolver where the first fails, and its names are not asked elsewhere', async () => {
    await start(withFallback(failing, resolver, new ManualClock()));
    assert.deepEqual(
      regions.map(({ open }) => open.length),
      [2, 2],
    );
  });

  it('is looked for until it is found', async () => {
    let fails = 3;
    const late: EdgeResolver = {
      ...resolver,
      services: (name, signal) => (fails-- > 0 ? failing : resolver).services(name, signal),
    };
    const [one, two] = regions;
    const edge = { addresses: [], ca: one.ca + two.ca, region: '' };
    running = new RunningConnector(specFor(one, { edge }), () => 0.4, late);
    for (let losses = 1; losses <= 3; losses += 1) {
      await running.losses(losses);
      const { fault, retryInMs } = running.factsOf('connection.lost').at(-1)!;
      assert.deepInclude(fault, { code: 'edge-discovery' });
      await running.clock.advance(retryInMs);
    }
    await running.registrations(1);
  });

  it('is looked for no more once the connector has ended, and nobody else is asked for it', async () => {
    let [asks, givenUp, askedElsewhere] = [0, 0, 0];
    const silent: EdgeResolver = {
      ...failing,
      services: (_, signal) => {
        asks += 1;
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            givenUp += 1;
            reject(signal.reason);
          }),
        );
      },
    };
    const second: EdgeResolver = {
      ...failing,
      services: () => {
        askedElsewhere += 1;
        return Promise.reject(new Error('not to be asked'));
      },
    };
    const clock = new ManualClock();
    const [one] = regions;
    const edge = { addresses: [], ca: one.ca, region: '' };
    running = new RunningConnector(specFor(one, { edge }), () => 0.4, withFallback(silent, second, clock));
    await settle();
    running.connector.destroy();
    await settle();
    assert.deepEqual([asks, givenUp, askedElsewhere], [1, 1, 0]);
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('moves to the other region what one region loses, and no other connection', async () => {
    const { clock } = await start(resolver);
    const kept = [...regions[1].open];
    await regions[0].close();
    await running!.losses(2);
    // The first attempt finds nobody there; the next ones go elsewhere.
    let waitedMs = 0;
    const look = async (): Promise<boolean> => {
      if (regions[1].open.length >= 4) return true;
      assert.isBelow(waitedMs, 20_000, 'both are in the other region');
      waitedMs += 500;
      await clock.advance(500);
      return false;
    };
    await eventually('both are in the other region', look, { everyMs: 10 });
    await running!.registrations(6);
    assert.strictEqual(regions[1].open.length, 4);
    assert.isTrue(kept.every((peer) => !peer.closed));
  });

  it('has one wedged connection of four replaced within ten seconds, while the others serve', async () => {
    const { clock } = await start(resolver);
    const peers = regions.flatMap(({ open }) => open);
    const [wedged, ...others] = peers;
    wedged!.freeze();
    let answered = 0;
    for (let waitedMs = 0; waitedMs < pingIntervalMs + pingTimeoutMs; waitedMs += 500) {
      await clock.advance(500);
      // The edge answers PINGs by itself; a request on each shows that they were answered.
      for (const peer of others) {
        assert.strictEqual((await peer.request({ ':path': '/' }).headers())[':status'], 503);
        answered += 1;
      }
    }
    await running!.losses(1);
    assert.deepEqual(
      running!.factsOf('connection.lost').map(({ fault }) => fault.code),
      ['edge-timeout'],
    );
    await clock.advance(1_000);
    await running!.registrations(5);
    assert.isAtMost(pingIntervalMs + pingTimeoutMs, 10_000);
    assert.isAbove(answered, 50);
    await eventually('four that work', () => regions.flatMap(({ open }) => open).length >= 4);
    assert.isTrue(others.every((peer) => !peer.closed));
  });
});
