import { assert } from 'chai';
import { startSpacingMs } from '../../src/tunnel/connector.ts';
import { controlStreamTimeoutMs } from '../../src/tunnel/edge-connection.ts';
import { pingIntervalMs, pingTimeoutMs } from '../../src/tunnel/heartbeat.ts';
import { ConnectorStage } from '../support/connector-stage.ts';
import { eventually } from '../support/eventually.ts';
import { RunningConnector, routesTo, specFor } from '../support/running-connector.ts';
import { accepted, type EdgeAnswer, type EdgePeer, refused, ScriptedEdge } from '../support/scripted-edge.ts';

const upgrade = 'cf-cloudflared-proxy-connection-upgrade';

describe('connector', () => {
  const stage = new ConnectorStage();

  it('registers the first connection, then starts the others', async () => {
    let answer: EdgeAnswer = { kind: 'silence' };
    stage.edge.script = { answer: () => answer };
    const { clock, connector, ...heard } = stage.start({ connections: [0, 1, 2, 3] });
    const first = await stage.edge.connection(0);
    await eventually('asked', () => first.registration);
    await clock.advance(4 * startSpacingMs);
    assert.strictEqual(stage.edge.connections.length, 1, 'nothing else before the first is registered');
    answer = accepted;
    first.cut();
    await eventually('lost', () => heard.facts[0]);
    await clock.advance(1000);
    await stage.running?.registrations(1);
    await clock.advance(4 * startSpacingMs);
    await stage.running?.registrations(4);
    const indexes = stage.running?.factsOf('connection.registered').map(({ connIndex }) => connIndex);
    assert.sameMembers(indexes ?? [], [0, 1, 2, 3]);
    connector.destroy();
  });

  it('says who it is', async () => {
    const { registrations } = stage.start();
    await registrations.call(stage.running, 1);
    const { registration } = await stage.edge.connection(0);
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
    assert.deepEqual(stage.running?.facts, [
      {
        type: 'connection.registered',
        run: 'run-1',
        connIndex: 0,
        location: 'test01',
        edge: stage.edge.address,
      },
    ]);
  });

  it('shows its routes to the edge on connection 0 of a locally managed tunnel, only there', async () => {
    const { clock } = stage.start({ connections: [0, 1] });
    await stage.running?.registrations(1);
    await clock.advance(startSpacingMs);
    await stage.running?.registrations(2);
    const [first, second] = stage.edge.connections;
    const config = await eventually('a configuration', () => first?.configuration);
    assert.nestedPropertyVal(config, 'ingress[0].hostname', 'app.example.com');
    assert.isNull(second?.configuration);
  });

  it('does not show them for a remotely managed tunnel', async () => {
    stage.edge.script = { answer: () => ({ ...accepted, remotelyManaged: true }) as EdgeAnswer };
    stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
    assert.strictEqual((await peer.request({ ':path': '/' }).headers())[':status'], 503);
    assert.isNull(peer.configuration);
  });

  it('tries the first connection for ever, with growing waits', async () => {
    stage.edge.script = { answer: () => refused('busy') };
    const { clock } = stage.start();
    for (let attempt = 1; attempt <= 9; attempt++) {
      await stage.running?.losses(attempt);
      if (attempt === 9) stage.edge.script = {};
      await clock.advance(stage.running?.factsOf('connection.lost').at(-1)?.retryInMs ?? 0);
    }
    await stage.running?.registrations(1);
    const waits = stage.running?.factsOf('connection.lost').map(({ retryInMs }) => retryInMs);
    assert.deepEqual(waits, [750, 1500, 3000, 6000, 12_000, 22_500, 22_500, 22_500, 22_500]);
    const attempts = stage.edge.connections.map(({ registration }) => registration?.numPreviousAttempts);
    assert.deepEqual(attempts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('reconnects within a second after a loss, and forgets failures only after lasting health', async () => {
    const { clock } = stage.start();
    await stage.running?.registrations(1);
    (await stage.edge.connection(0)).cut();
    await stage.running?.losses(1);
    await clock.advance(1000);
    await stage.running?.registrations(2);
    (await stage.edge.connection(1)).cut();
    await stage.running?.losses(2);
    await clock.advance(2000);
    await stage.running?.registrations(3);
    await clock.advance(1);
    for (let second = 0; second < 31; second++) {
      await clock.advance(1000);
      await (await stage.edge.connection(2)).request({ ':path': '/' }).headers();
    }
    (await stage.edge.connection(2)).cut();
    await stage.running?.losses(3);
    const lost = stage.running?.factsOf('connection.lost') ?? [];
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
    stage.edge.script = { answer: () => refused('busy', 27) };
    const { clock } = stage.start();
    await stage.running?.losses(1);
    await clock.advance(27_500);
    assert.strictEqual(stage.edge.connections.length, 1);
    stage.edge.script = {};
    await clock.advance(500);
    await stage.running?.registrations(1);
  });

  it('notices a half-open connection by its own PING and replaces it', async () => {
    const { clock } = stage.start();
    await stage.running?.registrations(1);
    (await stage.edge.connection(0)).freeze();
    assert.isAtMost(pingIntervalMs + pingTimeoutMs, 10_000);
    await clock.advance(pingIntervalMs + pingTimeoutMs);
    await stage.running?.losses(1);
    assert.strictEqual(stage.running?.factsOf('connection.lost')[0]?.fault.code, 'edge-timeout');
    await clock.advance(1000);
    await stage.running?.registrations(2);
  });

  it('gives an edge that opens no control stream ten seconds', async () => {
    stage.edge.script = { controlStream: false };
    const { clock } = stage.start();
    const peer = await stage.edge.connection(0);
    await eventually('session', () => peer.ready);
    await clock.advance(controlStreamTimeoutMs);
    await stage.running?.losses(1);
    assert.match(stage.running?.factsOf('connection.lost')[0]?.fault.message ?? '', /no control stream/);
  });

  it('goes to another address after EDUPCONN and after a failed dial, not after a mere loss', async () => {
    const other = await ScriptedEdge.start();
    const elsewhere = other.address;
    stage.edge.script = { answer: () => refused('EDUPCONN') };
    const settings = { addresses: [stage.edge.address, elsewhere], ca: stage.edge.ca + other.ca, region: '' };
    // With this chance the first address is tried first.
    stage.running = new RunningConnector(specFor(stage.edge, { edge: settings }), () => 0);
    await stage.running.losses(1);
    await stage.running.clock.advance(500);
    await stage.running.registrations(1);
    other.connections[0]?.cut();
    await stage.running.losses(2);
    await stage.running.clock.advance(1000);
    await stage.running.registrations(2);
    stage.edge.script = {};
    await other.close();
    await stage.running.losses(3);
    await stage.running.clock.advance(2000);
    await stage.running.losses(4);
    await stage.running.clock.advance(4000);
    await stage.running.registrations(3);
    assert.deepEqual(
      stage.running.facts.map((fact) =>
        fact.type === 'connection.lost' ? fact.fault.code : Reflect.get(fact, 'edge'),
      ),
      ['edge-duplicate', elsewhere, 'edge-lost', elsewhere, 'edge-lost', 'edge-dial', stage.edge.address],
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
      stage.edge.script = {
        answer: () => {
          if (answer !== 'cut') return answer;
          for (const peer of stage.edge.connections) peer.cut();
          return { kind: 'silence' };
        },
      };
      const settings = {
        addresses: [stage.edge.address, other.address],
        ca: stage.edge.ca + other.ca,
        region: '',
      };
      stage.running = new RunningConnector(specFor(stage.edge, { edge: settings }), () => 0);
      await stage.running.losses(1);
      await stage.running.clock.advance(500);
      await eventually(
        'a second attempt',
        () => stage.edge.connections.length + other.connections.length === 2,
      );
      await stage.running.registrations(1).finally(() => other.close());
      assert.strictEqual(stage.running.factsOf('connection.lost')[0]?.fault.code, code);
    });
  }

  for (const [title, leave] of [
    ['a GOAWAY', (peer: EdgePeer) => peer.goaway()],
    ['a reset of the control stream', (peer: EdgePeer) => peer.resetControl()],
    ['an end of the control stream', (peer: EdgePeer) => peer.endControl()],
  ] as const) {
    it(`replaces a connection after ${title}, and lets its running request finish`, async () => {
      const { clock } = stage.start();
      await stage.running?.registrations(1);
      const old = await stage.edge.connection(0);
      const request = old.request({ ':path': '/hold' });
      await request.headers();
      leave(old);
      await stage.running?.losses(1);
      await clock.advance(1000);
      await stage.running?.registrations(2);
      assert.isFalse(old.closed, 'the old one still serves');
      stage.origin.finish();
      assert.strictEqual(await request.text(), 'part and end');
      await eventually('it is closed, whatever the time', () => old.closed);
      assert.isFalse((await stage.edge.connection(1)).closed);
    });
  }

  it('runs all its connections to a single edge address', async () => {
    const { clock } = stage.start({
      connections: [0, 1, 2, 3],
      edge: { addresses: [stage.edge.address], ca: stage.edge.ca, region: '' },
    });
    await stage.running?.registrations(1);
    await clock.advance(4 * startSpacingMs);
    await stage.running?.registrations(4);
    assert.strictEqual(stage.edge.open.length, 4);
  });

  it('refuses a configuration push: says so to the edge and in the log, and goes on as before', async () => {
    stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
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
    const lines = stage.running?.logged.filter(({ msg }) => msg === 'configuration refused') ?? [];
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
    stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
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
    const { connector } = stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
    connector.updateRoutes({
      host: 'app.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 418 } }],
      access: null,
    });
    const headers = await peer.request({ ':path': '/', ':authority': 'app.example.com' }).headers();
    assert.strictEqual(headers[':status'], 418);
  });

  it('loses the one request that meets a bug, and says so in the log', async () => {
    const { connector, logged } = stage.start();
    await stage.running?.registrations(1);
    const peer = await stage.edge.connection(0);
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
    stage.edge.script = { answer: () => ({ kind: 'bytes', bytes: Buffer.alloc(100, 0xff) }) };
    const { clock } = stage.start();
    await stage.running?.losses(1);
    assert.strictEqual(stage.running?.factsOf('connection.lost')[0]?.fault.code, 'edge-protocol');
    stage.edge.script = {};
    await clock.advance(1000);
    await stage.running?.registrations(1);
  });
});
