import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { defaultOriginSettings, type OriginSettings } from '../../../src/domain/ingress.ts';
import type { OriginConnection } from '../../../src/tunnel/origin/exchange.ts';
import { planRequest, type RequestPlan } from '../../../src/tunnel/origin/http1-request.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { OriginPool } from '../../../src/tunnel/origin/origin-pool.ts';
import { endingLimitMs, type TcpConnection } from '../../../src/tunnel/origin/tcp-connection.ts';
import { postOn } from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { scriptHttp2 } from '../../support/http2-origin.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type ScriptedOrigin, scriptOrigin } from '../../support/scripted-origin.ts';

const caller = { serverName: '', http1: false, sinceMs: 0 };
const over: OriginFailure = { reason: 'other', message: 'it is over' };

describe('the connections to one address', () => {
  const clock = new ManualClock();
  let origin: ScriptedOrigin;
  let pool: OriginPool;
  /** A header line of the origin's answers. */
  let keepAlive: string;
  beforeEach(async () => {
    keepAlive = '';
    origin = await scriptOrigin(({ socket }) =>
      socket.write(`HTTP/1.1 200 OK\r\n${keepAlive}Content-Length: 0\r\n\r\n`),
    );
    pool = poolOf({});
  });
  afterEach(async () => {
    pool.destroy(over);
    await origin.stop();
    expect([pool.outstanding, pool.empty, clock.pendingTimers]).to.deep.equal([0, true, 0]);
  });

  function poolOf(settings: Partial<OriginSettings>): OriginPool {
    const address = { host: '127.0.0.1', port: origin.port };
    const all = { ...defaultOriginSettings, keepAliveTimeoutMs: 10_000, ...settings };
    return new OriginPool({ addresses: [address], settings: all, ca: null }, address, clock);
  }

  const dial = (): Promise<OriginConnection> =>
    new Promise((connected, failed) => pool.dial(caller, false, connected, failed));
  const dialTcp = (): Promise<TcpConnection> =>
    new Promise((connected, failed) => pool.dialTcp(connected, failed));
  /** Fails without a word when it is called: what was cancelled says nothing. */
  const nothing = (): never => expect.fail('nothing was to be told');

  it('count as under way from the dial until they are idle or gone', async () => {
    const connections = await Promise.all([dial(), dial()]);
    const stream = await dialTcp();
    expect(pool.outstanding).to.equal(3);
    await postOn(connections[0]);
    connections[1].destroy();
    connections[1].destroy();
    stream.end();
    await eventually('all to be done', () => pool.outstanding === 0);
    const taken = pool.take('');
    expect([taken === connections[0], pool.outstanding]).to.deep.equal([true, 1]);
    taken?.destroy();
    const cancelled = pool.dial(caller, false, nothing, nothing);
    expect(pool.outstanding).to.equal(1);
    cancelled.cancel();
    cancelled.cancel();
    expect(pool.outstanding).to.equal(0);
    const connected = Promise.withResolvers<OriginConnection>();
    const late = pool.dial(caller, false, connected.resolve, nothing);
    const connection = await connected.promise;
    late.cancel();
    expect(pool.outstanding).to.equal(1);
    expect(await postOn(connection)).to.equal('answered');
    await origin.stop();
    await dial().catch(() => {});
    expect(pool.outstanding).to.equal(0);
  });

  it('count streams of HTTP/2 in the same way', async () => {
    const http2 = await scriptHttp2((stream) => {
      stream.respond({ ':status': 204 }, { endStream: true });
    });
    const address = { host: '127.0.0.1', port: http2.port };
    const settings = { ...defaultOriginSettings, protocol: 'h2c' as const };
    const shared = new OriginPool({ addresses: [address], settings, ca: null }, address, clock);
    const first = await new Promise<OriginConnection>((connected, failed) =>
      shared.dial(caller, false, connected, failed),
    );
    await postOn(first);
    const second = shared.take('')!;
    expect(shared.outstanding).to.be.greaterThan(0);
    await postOn(second);
    await eventually('both to be over', () => shared.outstanding === 0);
    expect(shared.empty, 'its session is kept').to.equal(false);
    shared.destroy(over);
    await http2.stop();
  });

  it('that were upgraded and are not read to their end are closed after a while, whatever idles for longer', async () => {
    pool = poolOf({ keepAliveTimeoutMs: 10 * endingLimitMs });
    const connection = await dial();
    await eventually('the connection', () => origin.connections[0]);
    origin.connections[0]?.socket.pause();
    await postOn(await dial());
    const headers = ['cf-cloudflared-proxy-connection-upgrade', 'websocket'];
    const head = { method: 'GET', path: '/', scheme: 'https', authority: 'a', headers, ended: false };
    const plan = planRequest(head, { connectorId: 'the-id', hostHeader: null }) as RequestPlan;
    const switched = new Promise<void>((resolve) => {
      const exchange = {
        ...{ responseHead: () => resolve(), responseBody() {}, responseEnd() {} },
        ...{ failed() {}, requestDrained() {} },
      };
      connection.start(exchange, plan, 'none', true);
    });
    origin.connections[0]?.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');
    await switched;
    connection.write(Buffer.alloc(16 << 20));
    connection.endSoon();
    await clock.advance(endingLimitMs);
    expect(pool.outstanding).to.equal(0);
  });

  it('are given to one at a time, the newest first, and not closed while they are used', async () => {
    const [older, newer] = await Promise.all([dial(), dial()]);
    await postOn(older);
    await postOn(newer);
    expect([pool.take('') === newer, pool.take('') === older, pool.take('')]).to.deep.equal([
      ...[true, true, null],
    ]);
    await postOn(older);
    await clock.advance(10_000);
    await eventually('the idle one to be closed', () => origin.connections.some(({ closed }) => closed));
    expect(await postOn(newer)).to.equal('answered');
  });

  it('of which there are too many idle lose the one that idles longest', async () => {
    pool = poolOf({ keepAliveConnections: 1 });
    const [older, newer] = await Promise.all([dial(), dial()]);
    await postOn(older);
    await postOn(newer);
    expect([pool.take('') === newer, pool.take('')]).to.deep.equal([true, null]);
    newer.destroy();
  });

  it('are kept as long as ours are where the origin would keep them longer, and not at all where it hardly does', async () => {
    keepAlive = 'Keep-Alive: timeout=60\r\n';
    await postOn(await dial());
    await clock.advance(9_999);
    expect(origin.connections[0]?.closed).to.equal(false);
    await clock.advance(1);
    expect(pool.empty).to.equal(true);
    keepAlive = 'Keep-Alive: timeout=1\r\n';
    await postOn(await dial());
    expect([pool.take(''), pool.empty]).to.deep.equal([null, true]);
  });

  it('are closed in time where the origin keeps one for less long than the one before', async () => {
    const [long, short] = await Promise.all([dial(), dial()]);
    await postOn(long);
    keepAlive = 'Keep-Alive: timeout=4\r\n';
    await postOn(short);
    await clock.advance(3_000);
    expect([pool.take('') === long, pool.take('')]).to.deep.equal([true, null]);
    long.destroy();
  });

  it('are closed each at its time, whatever became of others', async () => {
    const [first, second, busy, short] = await Promise.all([dial(), dial(), dial(), dial()]);
    // The timer is set for this one, which goes before.
    await postOn(short);
    pool.take('')?.destroy();
    await clock.advance(1_000);
    await postOn(first);
    await clock.advance(2_000);
    await postOn(second);
    await clock.advance(8_000);
    expect([pool.take('') === second, pool.take('')], 'only the second is left').to.deep.equal([true, null]);
    await postOn(second);
    await clock.advance(10_000);
    expect(pool.take('')).to.equal(null);
    // While it was used the timer has had its last turn.
    await postOn(busy);
    expect(pool.take('') === busy).to.equal(true);
    await postOn(busy);
    await clock.advance(10_000);
    expect(pool.empty).to.equal(true);
    await postOn(await dial());
    await clock.advance(10_000);
    expect(pool.empty).to.equal(true);
  });

  it('are closed at their time when a neighbour ended before it, and so is one that comes after the last', async () => {
    for (const connection of await Promise.all([dial(), dial()])) await postOn(connection);
    pool.take('')!.destroy();
    await clock.advance(10_000);
    expect(pool.empty).to.equal(true);
    await postOn(await dial());
    pool.take('')!.destroy();
    await postOn(await dial());
    await clock.advance(10_000);
    expect(pool.empty).to.equal(true);
  });

  it('are gone only once no dial, no connection and no stream is left', async () => {
    const dialling = dial();
    expect(pool.empty).to.equal(false);
    (await dialling).destroy();
    expect(pool.empty).to.equal(true);
    const stream = await dialTcp();
    expect(pool.empty).to.equal(false);
    stream.end();
    await eventually('the stream to be over', () => pool.empty);
  });

  it('have rested once they were idle for some milliseconds, each for itself', async () => {
    const [older, newer] = await Promise.all([dial(), dial()]);
    expect(pool.rested('')).to.equal(false);
    await postOn(older);
    await clock.advance(9);
    expect(pool.rested('')).to.equal(false);
    await clock.advance(1);
    expect([pool.rested(''), pool.rested('another')]).to.deep.equal([true, false]);
    await postOn(newer);
    expect(pool.rested('')).to.equal(false);
    pool.take('');
    expect(pool.rested('')).to.equal(true);
  });

  it('are avoided for five seconds after a dial that failed, and not after one that did not', async () => {
    const { port } = origin;
    await origin.stop();
    await dial().catch(() => {});
    expect(pool.avoided).to.equal(true);
    await clock.advance(4_999);
    expect(pool.avoided).to.equal(true);
    await clock.advance(1);
    expect(pool.avoided).to.equal(false);
    await dial().catch(() => {});
    const again = createServer().listen(port, '127.0.0.1');
    await once(again, 'listening');
    await dial();
    expect(pool.avoided).to.equal(false);
    pool.destroy(over);
    again.close();
  });

  it('end with their address: idle ones at once, others when they come back', async () => {
    const [busy, ...idle] = await Promise.all([dial(), dial(), dial()]);
    for (const connection of idle) await postOn(connection);
    pool.close();
    await eventually(
      'the idle ones to be closed',
      () => origin.connections.filter(({ closed }) => closed).length === 2,
    );
    expect(await postOn(busy)).to.equal('answered');
    await eventually('the other one', () => origin.connections.every(({ closed }) => closed));
    expect(pool.empty).to.equal(true);
  });

  it('end at once with the tunnel, and none is opened any more', async () => {
    const stream = await dialTcp();
    const failures: OriginFailure[] = [];
    const hear = (failure: OriginFailure): void => void failures.push(failure);
    stream.start({ received() {}, requestDrained() {}, ended() {}, failed: hear });
    pool.dial(caller, false, nothing, hear);
    pool.destroy(over);
    pool.dial(caller, false, nothing, hear);
    pool.dial(caller, false, nothing, nothing).cancel();
    await eventually('all to hear of it', () => failures.length === 3);
    expect(failures).to.deep.equal([over, over, over]);
    await eventually('all to be closed', () => origin.connections.every(({ closed }) => closed));
  });
});
