import { expect } from 'chai';
import type { OriginSettings } from '../../src/domain/ingress.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Http2Origin, type Http2Script, scriptHttp2 } from '../support/http2-origin.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import { rawHeaders } from '../support/raw-frames.ts';
import { okBlock, proxiedRawHttp2 } from '../support/raw-http2-origin.ts';
import { tableTo } from '../support/route-to.ts';

const hello: Http2Script = (stream) => {
  stream.respond({ ':status': 200 });
  stream.end('hello');
};

describe('an origin that speaks HTTP/2, between requests,', () => {
  let here: Proxied;
  let origin: Http2Origin;
  let clock: ManualClock;

  const serve = async (script: Http2Script, settings: Partial<OriginSettings> = {}): Promise<Proxied> => {
    origin = await scriptHttp2(script);
    clock = new ManualClock();
    here = await proxied(() => {}, {
      clock,
      routes: () => tableTo([origin.port], { protocol: 'h2c', ...settings }),
    });
    return here;
  };
  afterEach(async () => {
    await here.stop();
    await origin.stop();
  });

  const openIs = (count: number) =>
    eventually(`${count} requests to be open`, () => here.proxy.openRequests === count);
  const openIsOver = () => openIs(0);

  it('keeps an idle session as long as the setting says, by one timer', async () => {
    const { edge } = await serve(hello, { keepAliveTimeoutMs: 5_000 });
    await ask(edge, '/');
    await openIsOver();
    await clock.advance(3_000);
    await ask(edge, '/');
    await openIsOver();
    await clock.advance(4_999);
    expect(origin.sessions[0]?.destroyed).to.equal(false);
    await clock.advance(1);
    await eventually('the session to be closed', () => origin.sessions[0]?.destroyed);
    await eventually('no timer to be left', () => clock.pendingTimers === 0);
  });

  it('keeps a session as long behind a request that takes longer than that', async () => {
    let finish = (): void => {};
    const script: Http2Script = (stream, head, count) => {
      if (head[':path'] === '/long') finish = () => hello(stream, head, count);
      else hello(stream, head, count);
    };
    const { edge } = await serve(script, { keepAliveTimeoutMs: 5_000 });
    await ask(edge, '/');
    await openIsOver();
    const long = ask(edge, '/long');
    await eventually('it to have come', () => origin.streams.length === 2);
    await clock.advance(20_000);
    await ask(edge, '/meanwhile');
    expect(origin.sessions).to.have.length(1);
    finish();
    await long;
    await openIsOver();
    await clock.advance(4_999);
    expect(origin.sessions[0]?.closed).to.equal(false);
    await clock.advance(1);
    await eventually('the session to be closed', () => origin.sessions[0]?.destroyed);
  });

  it('whose session ended while it was idle costs no request', async () => {
    const { edge } = await serve(hello);
    await ask(edge, '/');
    origin.sessions[0]?.destroy();
    expect((await ask(edge, '/')).status).to.equal(200);
  });

  it('whose address goes loses its idle session at once, and one with a stream after that', async () => {
    const { edge, proxy } = await serve((stream, head, count) => {
      if (count > 1) hello(stream, head, count);
    });
    const answered = ask(edge, '/');
    await eventually('a stream', () => origin.streams.length === 1);
    proxy.updateRoutes(tableTo([here.origin.port]));
    proxy.updateRoutes(tableTo([origin.port], { protocol: 'h2c' }));
    await ask(edge, '/');
    await openIs(1);
    expect(origin.sessions.map(({ destroyed }) => destroyed)).to.deep.equal([false, false]);
    proxy.updateRoutes(tableTo([here.origin.port]));
    await eventually('the idle session to be gone', () => origin.sessions[1]?.destroyed);
    expect(origin.sessions[0]?.destroyed).to.equal(false);
    hello(origin.streams[0]!, origin.heads[0]!, 1);
    expect((await answered).body.toString()).to.equal('hello');
    await eventually('the other one to be gone', () => origin.sessions[0]?.destroyed);
  });
});

describe('origins that speak HTTP/2, of one route,', () => {
  it('get the next request where the least are under way, whatever they have carried', async () => {
    const { here, origins } = await proxiedRawHttp2({}, { addresses: 2 });
    const long = ask(here.edge, '/long');
    const busy = await eventually('the request', () => origins.find(({ sockets }) => sockets.length > 0));
    await busy.settled(0);
    const free = origins.find((origin) => origin !== busy)!;
    for (let count = 1; count <= 5; count += 1) {
      const asked = ask(here.edge, '/');
      if (count === 1) await free.settled(0);
      await eventually('the request', () => free.requestsOf(0).length === count);
      free.sockets[0]!.write(rawHeaders(2 * count - 1, okBlock));
      expect((await asked).status).to.equal(200);
    }
    busy.sockets[0]!.write(rawHeaders(1, okBlock));
    await long;
    await here.stop();
  });
});
