import { once } from 'node:events';
import { expect } from 'chai';
import type { RouteTable } from '../../src/domain/routes.ts';
import type { EdgeStream, RequestHead } from '../../src/tunnel/edge-session.ts';
import { maxOpenRequests } from '../../src/tunnel/proxy.ts';
import { answerOf, ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import { routeTo, tableTo } from '../support/route-to.ts';
import { type ScriptedOrigin, scriptOrigin } from '../support/scripted-origin.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('the proxy routes', () => {
  let here: Proxied;
  let other: ScriptedOrigin;
  const serve = async (routes: (port: number, otherPort: number) => RouteTable): Promise<Proxied> => {
    other = await scriptOrigin(({ socket }) =>
      socket.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'),
    );
    here = await proxied(({ socket }) => socket.write(ok), { routes: (port) => routes(port, other.port) });
    return here;
  };
  afterEach(async () => {
    await here.stop();
    await other.stop();
  });

  /** 201 for the paths that the route takes, 200 for the others, which the root has. */
  async function expectRouting(route: string, statuses: Readonly<Record<string, number>>): Promise<void> {
    const { edge } = await serve((port, otherPort) => ({
      host: 'app.example.com',
      routes: [routeTo([otherPort], {}, route), routeTo([port], {}, '/')],
      access: null,
    }));
    for (const [path, status] of Object.entries(statuses))
      expect((await ask(edge, path)).status, path).to.equal(status);
  }

  it('by the path as it was sent, without its query', async () => {
    await expectRouting('/foo', {
      '/foo': 201,
      '/foo?x': 201,
      '/foo/bar': 201,
      '/foobar': 200,
      '/FOO': 200,
      '/a/../foo': 200,
      '/%66oo': 200,
    });
  });

  it('a question about the whole server (OPTIONS *) to the origin of the root', async () => {
    const { edge, origin } = await serve((port, otherPort) => ({
      host: 'app.example.com',
      routes: [routeTo([otherPort], {}, '/foo'), routeTo([port], {}, '/')],
      access: null,
    }));
    expect((await ask(edge, '*', { ':method': 'OPTIONS' })).status).to.equal(200);
    expect(origin.connections[0]!.received).to.match(/^OPTIONS \* HTTP\/1.1\r\n/);
    expect((await ask(edge, '*')).status).to.equal(404);
  });

  it('by escapes in upper and lower case, and by bytes that were sent without', async () => {
    await expectRouting('/caf%C3%A9', {
      '/caf%C3%A9': 201,
      '/caf%c3%a9/x?%c3': 201,
      '/caf\u00c3\u00a9': 201,
      '/caf%25C3%25A9': 200,
      '/caf%C3%A8': 200,
    });
  });

  it('nothing where no path matches: 404 by rule', async () => {
    const { edge, counted, origin } = await serve((port) => ({
      host: 'app.example.com',
      routes: [routeTo([port], {}, '/foo')],
      access: null,
    }));
    const answer = await ask(edge, '/bar');
    expect(answer.status).to.equal(404);
    expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
    expect(answer.originHeaders).to.deep.equal([]);
    expect(answer.body.length).to.equal(0);
    expect(counted()?.requests).to.deep.equal([0, 0, 0, 0, 1, 0]);
    expect(origin.connections).to.have.length(0);
  });

  it('to a fixed status where there is no backend', async () => {
    const { edge, counted } = await serve(() => ({
      host: 'app.example.com',
      routes: [{ path: '/', match: 'prefix', target: { kind: 'status', status: 503 } }],
      access: null,
    }));
    const answer = await ask(edge, '/', { ':method': 'POST' }, 'a body that nobody reads');
    expect(answer.status).to.equal(503);
    expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
    expect(answer.originHeaders).to.deep.equal([]);
    const counts = counted();
    expect(counts?.requests).to.deep.equal([0, 0, 0, 0, 0, 1]);
    expect(counts?.originErrors).to.deep.equal({});
  });

  it('by the host without port or the dot of the root and in any case, and no other host', async () => {
    const { edge } = await serve((port) => tableTo([port]));
    for (const [host, status] of [
      ['app.example.com', 200],
      ['APP.Example.com', 200],
      ['app.example.com:8443', 200],
      ['app.example.com.', 200],
      ['app.example.com.:8443', 200],
      ['app.example.com..', 404],
      ['example.com', 404],
      ['x.app.example.com', 404],
    ] as const) {
      expect((await ask(edge, '/', { ':authority': host })).status, host).to.equal(status);
    }
  });

  it('no request that names no host, the first one neither', async () => {
    const { edge, origin } = await serve((port) => tableTo([port]));
    const unnamed = edge.request({ ':method': 'GET', ':path': '/', ':scheme': 'https', ':authority': '' });
    expect((await answerOf(unnamed.end())).status).to.equal(404);
    expect(origin.connections).to.have.length(0);
  });

  it('a wildcard one label deep', async () => {
    const { edge } = await serve((port) => ({ ...tableTo([port]), host: '*.example.com' }));
    for (const [host, status] of [
      ['a.example.com', 200],
      ['b.example.com', 200],
      ['example.com', 404],
      ['a.b.example.com', 404],
    ] as const) {
      expect((await ask(edge, '/', { ':authority': host })).status, host).to.equal(status);
    }
  });

  it('by a new table from the next request on, while running ones finish on the old', async () => {
    const { edge, proxy, origin } = await serve((port) => tableTo([port]));
    expect((await ask(edge, '/')).status).to.equal(200);
    origin.connections[0]?.socket.removeAllListeners('data');
    const running = openStream(edge, '/running', {}, true);
    await eventually('the running request', () => proxy.openRequests === 1);
    proxy.updateRoutes(tableTo([other.port]));
    expect((await ask(edge, '/')).status).to.equal(201);
    const asked = answerOf(running);
    origin.connections[0]?.socket.write(ok);
    expect((await asked).status).to.equal(200);
    await eventually('the old pool to be drained', () => origin.connections.every(({ closed }) => closed));
  });

  it('by a new table without cutting the connections of an address that stays', async () => {
    const { edge, proxy, origin } = await serve((port) => tableTo([port]));
    await ask(edge, '/');
    proxy.updateRoutes({
      host: 'app.example.com',
      routes: [routeTo([other.port], {}, '/new'), routeTo([origin.port])],
      access: null,
    });
    expect((await ask(edge, '/')).status).to.equal(200);
    expect(origin.connections).to.have.length(1);
  });

  it('closes the idle connections of an address that goes at once', async () => {
    const { edge, proxy, origin } = await serve((port) => tableTo([port]));
    await ask(edge, '/');
    proxy.updateRoutes(tableTo([other.port]));
    await eventually('the idle connection to be closed', () => origin.connections[0]?.closed);
  });

  it('private-network TCP nowhere', async () => {
    const { edge, origin } = await serve((port) => tableTo([port]));
    const answer = await ask(edge, '/', { 'cf-cloudflared-proxy-src': '10.0.0.1' }, '');
    expect(answer.status).to.equal(502);
    expect(origin.connections).to.have.length(0);
  });

  it('no more requests at the same time than its limit, and then again', async () => {
    const { proxy, counted } = await serve(() => tableTo([other.port]));
    const answers: number[] = [];
    const stream: EdgeStream = {
      id: 1,
      takes: () => true,
      respond: (status) => void answers.push(status),
      write: () => true,
      end: () => {},
      reset: () => {},
      pause: () => {},
      resume: () => {},
    };
    // An open GET waits for its first byte: it is open and costs no connection.
    const head: RequestHead = {
      ...{
        method: 'GET',
        path: '/',
        scheme: 'https',
        authority: 'app.example.com',
        headers: [],
        ended: false,
      },
    };
    const open = Array.from({ length: maxOpenRequests }, () => proxy.open(stream, head));
    expect(proxy.openRequests).to.equal(maxOpenRequests);
    proxy.open(stream, head);
    expect(answers).to.deep.equal([503]);
    expect(counted()?.originErrors).to.deep.equal({ limit: 1 });
    for (const handler of open) handler.reset(8);
    expect(proxy.openRequests).to.equal(0);
    expect((await ask(here.edge, '/')).status).to.equal(201);
  });

  it('fails what runs when it is destroyed, and answers 503 from then on', async () => {
    const { edge, proxy, origin } = await serve((port) => tableTo([port]));
    await ask(edge, '/');
    origin.connections[0]?.socket.removeAllListeners('data');
    const running = openStream(edge, '/', {}, true);
    const asked = answerOf(running);
    await eventually('the running request', () => proxy.openRequests === 1);
    proxy.destroy();
    expect((await asked).status).to.equal(502);
    expect((await ask(edge, '/')).status).to.equal(503);
    if (!origin.connections[0]!.closed) await once(origin.connections[0]!.socket, 'close');
  });
});
