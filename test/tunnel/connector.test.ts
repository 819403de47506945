import { assert } from 'chai';
import { startSpacingMs } from '../../src/tunnel/connector.ts';
import { controlStreamTimeoutMs } from '../../src/tunnel/edge-connection.ts';
import { pingIntervalMs, pingTimeoutMs } from '../../src/tunnel/heartbeat.ts';
import type { ConnectorSpec } from '../../src/tunnel/link.ts';
import { eventually } from '../support/eventually.ts';
import { HoldingOrigin } from '../support/holding-origin.ts';
import { RunningConnector, routesTo, specFor } from '../support/running-connector.ts';
import { accepted, type EdgeAnswer, type EdgePeer, refused, ScriptedEdge } from '../support/scripted-edge.ts';

const upgrade = 'cf-cloudflared-proxy-connection-upgrade';

describe('connector', () => {
  let edge: ScriptedEdge;
  let origin: HoldingOrigin;
  let running: RunningConnector | null;

  beforeEach(async () => {
    running = null;
    edge = await ScriptedEdge.start();
    origin = await HoldingOrigin.start();
  });

  afterEach(async () => {
    running?.connector.destroy();
    assert.strictEqual(running?.clock.pendingTimers ?? 0, 0, 'timers left behind');
    await edge.close();
    await origin.close();
  });

  function start(overrides: Partial<ConnectorSpec> = {}): RunningConnector {
    running = new RunningConnector(specFor(edge, { routes: routesTo(origin.port), ...overrides }));
    return running;
  }

  it('registers the first connection, then starts the others', async () => {
    let answer: EdgeAnswer = { kind: 'silence' };
    edge.script = { answer: () => answer };
    const { clock, connector, ...heard } = start({ connections: [0, 1, 2, 3] });
    const first = await edge.connection(0);
    await eventually('asked', () => first.registration);
    await clock.advance(4 * startSpacingMs);
    assert.strictEqual(edge.connections.length, 1, 'nothing else before the first is registered');
    answer = accepted;
    first.cut();
    await eventually('lost', () => heard.facts[0]);
    await clock.advance(1000);
    await running?.registrations(1);
    await clock.advance(4 * startSpacingMs);
    await running?.registrations(4);
    const indexes = running?.factsOf('connection.registered').map(({ connIndex }) => connIndex);
    assert.sameMembers(indexes ?? [], [0, 1, 2, 3]);
    connector.destroy();
  });

  it('says who it is', async () => {
    const { registrations } = start();
    await registrations.call(running, 1);
    const { registration } = await edge.connection(0);
    assert.deepInclude(registration, {
      accountTag: 'account',
      tunnelSecret: Buffer.alloc(32, 9),
      tunnelId: '11111111-2222-4333-8444-555555555555',
      connIndex: 0,
      originLocalIp: Buffer.from('00000000000000000000ffff7f000001', 'hex'),
      numPreviousAttempts: 0,
    });
    assert.strictEqual(registration?.client.clientId, 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1');
    assert.deepEqual(registration?.client.features, ['serialized_headers']);
    assert.match(registration?.client.version ?? '', /^cloudflare-warp-ingress\/\d/);
    assert.deepEqual(running?.facts, [
      { type: 'connection.registered', run: 'run-1', connIndex: 0, location: 'test01', edge: edge.address },
    ]);
  });

  it('shows its routes to the edge on connection 0 of a locally managed tunnel, only there', async () => {
    const { clock } = start({ connections: [0, 1] });
    await running?.registrations(1);
    await clock.advance(startSpacingMs);
    await running?.registrations(2);
    const [first, second] = edge.connections;
    const config = await eventually('a configuration', () => first?.configuration);
    assert.nestedPropertyVal(config, 'ingress[0].hostname', 'app.example.com');
    assert.isNull(second?.configuration);
  });

  it('does not show them for a remotely managed tunnel', async () => {
    edge.script = { answer: () => ({ ...accepted, remotelyManaged: true }) as EdgeAnswer };
    start();
    await running?.registrations(1);
    const peer = await edge.connection(0);
    assert.strictEqual((await peer.request({ ':path': '/' }).headers())[':status'], 503);
    assert.isNull(peer.configuration);
  });

  it('tries the first connection for ever, with growing waits', async () => {
    edge.script = { answer: () => refused('busy') };
    const { clock } = start();
    for (let attempt = 1; attempt <= 9; attempt++) {
      await running?.losses(attempt);
      if (attempt === 9) edge.script = {};
      await clock.advance(running?.factsOf('connection.lost').at(-1)?.retryInMs ?? 0);
    }
    await running?.registrations(1);
    const waits = running?.factsOf('connection.lost').map(({ retryInMs }) => retryInMs);
    assert.deepEqual(waits, [750, 1500, 3000, 6000, 12_000, 22_500, 22_500, 22_500, 22_500]);
    const attempts = edge.connections.map(({ registration }) => registration?.numPreviousAttempts);
    assert.deepEqual(attempts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('reconnects within a second after a loss, and forgets failures only after lasting health', async () => {
    const { clock } = start();
    await running?.registrations(1);
    (await edge.connection(0)).cut();
    await running?.losses(1);
    await clock.advance(1000);
    await running?.registrations(2);
    (await edge.connection(1)).cut();
    await running?.losses(2);
    await clock.advance(2000);
    await running?.registrations(3);
    await clock.advance(1);
    for (let second = 0; second < 31; second++) {
      await clock.advance(1000);
      await (await edge.connection(2)).request({ ':path': '/' }).headers();
    }
    (await edge.connection(2)).cut();
    await running?.losses(3);
    const lost = running?.factsOf('connection.lost') ?? [];
    assert.deepEqual(
      lost.map(({ fault, retryInMs }) => [fault.code, retryInMs]),
      [
        ['edge-lost', 750],
        ['edge-lost', 1500],
        ['edge-lost', 750],
      ],
    );
    assert.match(
      lost[0]?.fault.message ?? '',
      /^the (edge closed the connection|connection broke: .*ECONNRESET)/,
    );
  });

  it('waits as long as the edge asks, and a while by chance: it asks everybody for the same', async () => {
    edge.script = { answer: () => refused('busy', 27) };
    const { clock } = start();
    await running?.losses(1);
    await clock.advance(27_500);
    assert.strictEqual(edge.connections.length, 1);
    edge.script = {};
    await clock.advance(500);
    await running?.registrations(1);
  });

  it('notices a half-open connection by its own PING and replaces it', async () => {
    const { clock } = start();
    await running?.registrations(1);
    (await edge.connection(0)).freeze();
    assert.isAtMost(pingIntervalMs + pingTimeoutMs, 10_000);
    await clock.advance(pingIntervalMs + pingTimeoutMs);
    await running?.losses(1);
    assert.strictEqual(running?.factsOf('connection.lost')[0]?.fault.code, 'edge-timeout');
    await clock.advance(1000);
    await running?.registrations(2);
  });

  it('gives an edge that opens no control stream ten seconds', async () => {
    edge.script = { controlStream: false };
    const { clock } = start();
    const peer = await edge.connection(0);
    await eventually('session', () => peer.ready);
    await clock.advance(controlStreamTimeoutMs);
    await running?.losses(1);
    assert.match(running?.factsOf('connection.lost')[0]?.fault.message ?? '', /no control stream/);
  });

  it('goes to another address after EDUPCONN and after a failed dial, not after a mere loss', async () => {
    const other = await ScriptedEdge.start();
    const elsewhere = other.address;
    edge.script = { answer: () => refused('EDUPCONN') };
    const settings = { addresses: [edge.address, elsewhere], ca: edge.ca + other.ca, region: '' };
    // With this chance the first address is tried first.
    running = new RunningConnector(specFor(edge, { edge: settings }), () => 0);
    await running.losses(1);
    await running.clock.advance(500);
    await running.registrations(1);
    other.connections[0]?.cut();
    await running.losses(2);
    await running.clock.advance(1000);
    await running.registrations(2);
    edge.script = {};
    await other.close();
    await running.losses(3);
    await running.clock.advance(2000);
    await running.losses(4);
    await running.clock.advance(4000);
    await running.registrations(3);
    assert.deepEqual(
      running.facts.map((fact) =>
        fact.type === 'connection.lost' ? fact.fault.code : Reflect.get(fact, 'edge'),
      ),
      ['edge-duplicate', elsewhere, 'edge-lost', elsewhere, 'edge-lost', 'edge-dial', edge.address],
    );
  });

  const unfit: [title: string, answer: EdgeAnswer | 'cut', code: string][] = [
    ['closes', 'cut', 'edge-lost'],
    ['refuses', refused('no database here'), 'edge-refused'],
    ['speaks nonsense', { kind: 'bytes', bytes: Buffer.alloc(100, 0xff) }, 'edge-protocol'],
  ];
  for (const [title, answer, code] of unfit) {
    it(`is not held up by one address of the edge that ${title} before it registers anybody`, async () => {
      const other = await ScriptedEdge.start();
      edge.script = {
        answer: () => {
          if (answer !== 'cut') return answer;
          for (const peer of edge.connections) peer.cut();
          return { kind: 'silence' };
        },
      };
      const settings = { addresses: [edge.address, other.address], ca: edge.ca + other.ca, region: '' };
      running = new RunningConnector(specFor(edge, { edge: settings }), () => 0);
      await running.losses(1);
      await running.clock.advance(500);
      await eventually('a second attempt', () => edge.connections.length + other.connections.length === 2);
      await running.registrations(1).finally(() => other.close());
      assert.strictEqual(running.factsOf('connection.lost')[0]?.fault.code, code);
    });
  }

  for (const [title, leave] of [
    ['a GOAWAY', (peer: EdgePeer) => peer.goaway()],
    ['a reset of the control stream', (peer: EdgePeer) => peer.resetControl()],
    ['an end of the control stream', (peer: EdgePeer) => peer.endControl()],
  ] as const) {
    it(`replaces a connection after ${title}, and lets its running request finish`, async () => {
      const { clock } = start();
      await running?.registrations(1);
      const old = await edge.connection(0);
      const request = old.request({ ':path': '/hold' });
      await request.headers();
      leave(old);
      await running?.losses(1);
      await clock.advance(1000);
      await running?.registrations(2);
      assert.isFalse(old.closed, 'the old one still serves');
      origin.finish();
      assert.strictEqual(await request.text(), 'part and end');
      await eventually('it is closed, whatever the time', () => old.closed);
      assert.isFalse((await edge.connection(1)).closed);
    });
  }

  it('runs all its connections to a single edge address', async () => {
    const { clock } = start({
      connections: [0, 1, 2, 3],
      edge: { addresses: [edge.address], ca: edge.ca, region: '' },
    });
    await running?.registrations(1);
    await clock.advance(4 * startSpacingMs);
    await running?.registrations(4);
    assert.strictEqual(edge.open.length, 4);
  });

  it('refuses a configuration push: says so to the edge and in the log, and goes on as before', async () => {
    start();
    await running?.registrations(1);
    const peer = await edge.connection(0);
    const config = { ingress: [{ service: 'http_status:418' }] };
    const push = peer.request(
      { ':method': 'PUT', [upgrade]: 'update-configuration' },
      JSON.stringify({ version: 1, config }),
    );
    const headers = await push.headers();
    assert.strictEqual(headers[':status'], 200);
    assert.strictEqual(headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(await push.text()), {
      lastAppliedVersion: -1,
      err: { message: 'the routes of this connector are set where it runs, not by remote configuration' },
    });
    const lines = running?.logged.filter(({ msg }) => msg === 'configuration refused') ?? [];
    assert.lengthOf(lines, 1);
    assert.deepInclude(lines[0], {
      level: 'warn',
      host: 'app.example.com',
      connIndex: 0,
      code: 'config-invalid',
    });
    assert.match(String(lines[0]?.detail), /^Cloudflare pushed a remote configuration/);
    const answer = peer.request({ ':path': '/', ':authority': 'app.example.com' });
    assert.strictEqual((await answer.headers())[':status'], 503);
  });

  it('refuses TCP with 502, and a second control stream', async () => {
    start();
    await running?.registrations(1);
    const peer = await edge.connection(0);
    const tcp = await peer
      .request({ ':method': 'GET', 'cf-cloudflared-proxy-src': '10.0.0.1' }, 'x')
      .headers();
    assert.strictEqual(tcp[':status'], 502);
    assert.strictEqual(tcp['cf-cloudflared-response-meta'], '{"src":"cloudflared"}');
    const second = await peer
      .request({ [upgrade]: 'control-stream' })
      .headers()
      .catch(String);
    assert.match(String(second), /closed with code 7/);
    assert.isFalse(peer.closed);
  });

  it('answers by the newest routes', async () => {
    const { connector } = start();
    await running?.registrations(1);
    const peer = await edge.connection(0);
    connector.updateRoutes({
      host: 'app.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 418 } }],
      access: null,
    });
    const headers = await peer.request({ ':path': '/', ':authority': 'app.example.com' }).headers();
    assert.strictEqual(headers[':status'], 418);
  });

  it('loses the one request that meets a bug, and says so in the log', async () => {
    const { connector, logged } = start();
    await running?.registrations(1);
    const peer = await edge.connection(0);
    const target = {
      kind: 'status',
      get status(): number {
        throw new Error('a bug');
      },
    } as const;
    connector.updateRoutes({
      ...routesTo(null),
      routes: [{ path: '/bug', match: 'exact', target }, ...routesTo(null).routes],
    });
    const lost = await peer.request({ ':path': '/bug' }).headers().catch(String);
    assert.match(String(lost), /closed with code 2/);
    const line = logged.find(({ msg }) => msg === 'request ended by a bug');
    assert.deepInclude(line, { level: 'error', host: 'app.example.com' });
    assert.nestedPropertyVal(line, 'err.message', 'a bug');
    assert.strictEqual((await peer.request({ ':path': '/' }).headers())[':status'], 503);
  });

  it('survives an edge that speaks nonsense', async () => {
    edge.script = { answer: () => ({ kind: 'bytes', bytes: Buffer.alloc(100, 0xff) }) };
    const { clock } = start();
    await running?.losses(1);
    assert.strictEqual(running?.factsOf('connection.lost')[0]?.fault.code, 'edge-protocol');
    edge.script = {};
    await clock.advance(1000);
    await running?.registrations(1);
  });
});
