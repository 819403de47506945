import { stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect } from 'chai';
import type { RouteTable } from '../../src/domain/routes.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { maxKeptBytes } from '../../src/tunnel/origin/request-body.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Proxied, type ProxiedOptions, proxied } from '../support/proxied.ts';
import { RecordedStream } from '../support/recorded-stream.ts';
import { routeTo, tableTo } from '../support/route-to.ts';
import { type OriginScript, type ScriptedOrigin, scriptOrigin } from '../support/scripted-origin.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const answers: OriginScript = ({ socket }) => socket.write(ok);

describe('connections to origins', () => {
  const stops: (() => unknown)[] = [];
  const serve = async (script: OriginScript, options?: ProxiedOptions): Promise<Proxied> => {
    const here = await proxied(script, options);
    stops.push(() => here.stop());
    return here;
  };
  const another = async (script: OriginScript): Promise<ScriptedOrigin> => {
    const origin = await scriptOrigin(script);
    stops.push(() => origin.stop());
    return origin;
  };
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  describe('are kept', () => {
    it('and used again', async () => {
      const { edge, origin } = await serve(answers);
      for (let i = 0; i < 5; i += 1) await ask(edge, '/');
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([5]);
    });

    it('not after Connection: close, HTTP/1.0 or bytes nobody asked for', async () => {
      for (const response of [
        'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
        'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!',
      ]) {
        const { edge, origin } = await serve(({ socket }) => socket.write(response));
        for (let i = 0; i < 2; i += 1) expect((await ask(edge, '/')).body.toString()).to.equal('ok');
        expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([1, 1]);
      }
    });

    it('no more of them than the setting says', async () => {
      const { edge, origin } = await serve(() => {}, { settings: { keepAliveConnections: 2 } });
      const asked = Array.from({ length: 4 }, () => ask(edge, '/'));
      await eventually(
        'four requests',
        () => origin.connections.length === 4 && origin.connections.every((c) => c.requests === 1),
      );
      for (const { socket } of origin.connections) socket.write(ok);
      await Promise.all(asked);
      await eventually(
        'two to be closed',
        () => origin.connections.filter(({ closed }) => closed).length === 2,
      );
    });

    it('as long as the setting says, by one timer', async () => {
      const clock = new ManualClock();
      const { edge, origin } = await serve(answers, { clock, settings: { keepAliveTimeoutMs: 10_000 } });
      await Promise.all([ask(edge, '/'), ask(edge, '/')]);
      expect(clock.pendingTimers).to.equal(1);
      await clock.advance(9_000);
      await ask(edge, '/');
      await clock.advance(1_000);
      await eventually(
        'the older to be closed',
        () => origin.connections.filter(({ closed }) => closed).length === 1,
      );
      await clock.advance(9_000);
      await eventually('both to be closed', () => origin.connections.every(({ closed }) => closed));
      expect(clock.pendingTimers).to.equal(0);
    });

    it('shorter where the origin says so', async () => {
      const clock = new ManualClock();
      const { edge, origin } = await serve(
        ({ socket }) =>
          socket.write(`HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok`),
        { clock },
      );
      await ask(edge, '/');
      await clock.advance(4_000);
      await eventually('it to be closed', () => origin.connections[0]?.closed);
    });

    it('where the table around their address changes, not where their settings do, nor where they go', async () => {
      const { edge, origin, proxy } = await serve(answers);
      await ask(edge, '/');
      proxy.updateRoutes({ ...tableTo([origin.port]), routes: [routeTo([origin.port], {}, '/new')] });
      await ask(edge, '/new');
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([2]);
      proxy.updateRoutes(tableTo([origin.port], { connectTimeoutMs: 1_000 }));
      await eventually('the first to be closed', () => origin.connections[0]?.closed);
      await ask(edge, '/');
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([2, 1]);
      proxy.updateRoutes({ ...tableTo([]), routes: [] });
      await eventually('the second to be closed', () => origin.connections[1]?.closed);
    });

    it('until the origin closes them', async () => {
      const { edge, origin } = await serve(answers);
      await ask(edge, '/');
      origin.connections[0]?.socket.end();
      await eventually('it to be closed', () => origin.connections[0]?.closed);
      expect((await ask(edge, '/')).status).to.equal(200);
    });
  });

  describe('that turn out to be dead', () => {
    /** Answers the first request of each connection and hangs up on the second without a byte. */
    const hangsUp: OriginScript = ({ socket, requests }) =>
      requests === 1 ? socket.write(ok) : socket.destroy();

    it('cost an idempotent request without a body one retry', async () => {
      const { edge, origin } = await serve(hangsUp);
      await ask(edge, '/');
      expect((await ask(edge, '/')).status).to.equal(200);
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([2, 1]);
    });

    it('and no second one', async () => {
      const { edge, origin } = await serve(({ socket }) => {
        if (origin.connections.length === 1 && origin.connections[0]?.requests === 1) socket.write(ok);
        else socket.destroy();
      });
      await ask(edge, '/');
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([2, 1]);
    });

    for (const [title, method, body] of [
      ['a POST', 'POST', null],
      ['a body', 'PUT', 'a body'],
    ] as const) {
      it(`are not tried again for ${title}`, async () => {
        const { edge, origin } = await serve(hangsUp);
        await ask(edge, '/');
        const length = { 'content-length': String(body?.length ?? 0) };
        expect((await ask(edge, '/', { ':method': method, ...length }, body)).status).to.equal(502);
        expect(origin.connections).to.have.length(1);
      });
    }

    it('are not tried again for a body in chunks, which was sent once', async () => {
      const bodies: string[] = [];
      const { edge, origin } = await serve((connection) => {
        if (connection.requests === 1) return void connection.socket.write(ok);
        const look = (): void => {
          if (!connection.received.endsWith('0\r\n\r\n')) return;
          bodies.push(connection.received);
          connection.socket.destroy();
        };
        connection.socket.on('data', look);
        look();
      });
      await ask(edge, '/');
      expect((await ask(edge, '/', { ':method': 'PUT' }, 'hello')).status).to.equal(502);
      expect(bodies).to.have.length(1);
      expect(origin.connections).to.have.length(1);
    });

    it('after a byte of an answer are not tried again', async () => {
      const { edge, origin } = await serve(({ socket, requests }) =>
        requests === 1 ? socket.write(ok) : socket.end('H'),
      );
      await ask(edge, '/');
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(origin.connections).to.have.length(1);
    });
  });

  describe('that have rested', () => {
    const head = { path: '/', scheme: 'https', authority: 'app.example.com', ended: false };
    const rested = async (): Promise<Proxied> => {
      const clock = new ManualClock();
      const here = await serve(answers, { clock });
      await ask(here.edge, '/');
      await clock.advance(1_000);
      // What follows is amid the reads of one turn, as whatever a request begins.
      await stat('.');
      return here;
    };

    for (const [method, bytes] of [
      ['POST', 0],
      ['POST', 100],
      ['PUT', 2 * maxKeptBytes],
    ] as const) {
      it(`and were ended just before ${method} with ${bytes} bytes, are not used for it`, async () => {
        const { proxy, origin } = await rested();
        origin.connections[0]?.socket.destroy();
        const stream = new RecordedStream();
        const headers = ['content-length', String(bytes)];
        const request = proxy.open(stream, { ...head, method, headers });
        request.data(Buffer.alloc(bytes, 'x'));
        request.end([]);
        await eventually('the answer', () => stream.responses.length > 0);
        expect(stream.responses).to.deep.equal([{ status: 200, ended: false }]);
        expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([1, 1]);
        expect(origin.connections[1]?.received.endsWith(`\r\n\r\n${'x'.repeat(bytes)}`)).to.equal(true);
      });
    }

    it('are left to the next request by one that is given up at once', async () => {
      const { proxy, origin, edge } = await rested();
      const request = proxy.open(new RecordedStream(), { ...head, method: 'POST', headers: [] });
      request.reset(http2Error.cancel);
      await ask(edge, '/next');
      expect(origin.connections.map(({ requests }) => requests)).to.deep.equal([2]);
      expect(origin.connections[0]?.received).to.contain('GET /next').and.not.contain('POST');
    });
  });

  describe('to several addresses', () => {
    it('go where the least requests are under way', async () => {
      const busy = await another(() => {});
      const { edge, origin } = await serve(answers, { routes: (port) => tableTo([port, busy.port]) });
      const asked = [ask(edge, '/'), ask(edge, '/')];
      await eventually('one to be stuck', () => busy.connections.length === 1);
      for (let i = 0; i < 10; i += 1) await ask(edge, '/');
      expect(busy.connections).to.have.length(1);
      expect(origin.connections.reduce((sum, { requests }) => sum + requests, 0)).to.equal(11);
      busy.connections[0]?.socket.write(ok);
      await Promise.all(asked);
    });

    it('take turns when none is busy', async () => {
      const second = await another(answers);
      const { edge, origin } = await serve(answers, { routes: (port) => tableTo([port, second.port]) });
      for (let i = 0; i < 10; i += 1) await ask(edge, '/');
      expect(origin.connections[0]?.requests).to.equal(5);
      expect(second.connections[0]?.requests).to.equal(5);
    });

    it('try another one when one refuses, and leave that alone for a while', async () => {
      const clock = new ManualClock();
      const gone = await another(answers);
      await gone.stop();
      const { edge, counted } = await serve(answers, { clock, routes: (port) => tableTo([gone.port, port]) });
      for (let i = 0; i < 6; i += 1) {
        expect((await ask(edge, '/', { ':method': 'POST' }, 'a body')).status).to.equal(200);
      }
      expect(counted()?.originErrors).to.deep.equal({});
    });

    it('try three of them, and no more', async () => {
      let dialled = 0;
      const ports: number[] = [];
      for (let i = 0; i < 4; i += 1) {
        // It hangs up in the handshake.
        const server = createServer((socket) => {
          dialled += 1;
          socket.destroy();
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        stops.push(() => new Promise((resolve) => server.close(resolve)));
        ports.push((server.address() as AddressInfo).port);
      }
      const { edge } = await serve(answers, { routes: () => tableTo(ports, { protocol: 'https' }) });
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(dialled).to.equal(3);
    });
  });

  describe('that do not come about', () => {
    it('end in 504 after the connect timeout, TLS included', async () => {
      const clock = new ManualClock();
      const silent = createServer((socket) => void socket.on('error', () => {}).resume());
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as AddressInfo;
      const { edge, counted, proxy } = await serve(answers, {
        clock,
        routes: () => tableTo([port], { protocol: 'https', connectTimeoutMs: 1_000 }),
      });
      const asked = ask(edge, '/');
      await eventually('the dial', () => proxy.openRequests === 1);
      await clock.advance(1_000);
      expect((await asked).status).to.equal(504);
      expect(counted()?.originErrors).to.deep.equal({ timeout: 1 });
      await new Promise((resolve) => silent.close(resolve));
    });

    it('end in 502 when the name is not found', async () => {
      const { edge, counted, origin, logged } = await serve(answers, {
        routes: (port) => {
          const route = routeTo([port]);
          if (route.target.kind !== 'origin') throw new Error('no origin');
          const origin = { ...route.target.origin, addresses: [{ host: 'nowhere.invalid', port }] };
          return { ...tableTo([port]), routes: [{ ...route, target: { kind: 'origin', origin } }] };
        },
      });
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(counted()?.originErrors).to.deep.equal({ dns: 1 });
      // A resolver that cannot be reached says so otherwise.
      expect(logged.at(-1)?.message).to.match(
        new RegExp(`^nowhere\\.invalid port ${origin.port}: E[A-Z_]+$`),
      );
    });
  });

  describe('over TLS', () => {
    const authority = createAuthority('test origins');
    const certificate = authority.issue({ dnsNames: ['app.example.com'], ipAddresses: [] });
    const secure = async (): Promise<{ port: number; asked: string[] }> => {
      const asked: string[] = [];
      const server = createTlsServer({ key: certificate.key, cert: certificate.cert }, (socket) => {
        asked.push(String(socket.servername));
        socket.on('error', () => {});
        socket.on('data', () => socket.write(ok));
      });
      server.on('tlsClientError', () => {});
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      stops.push(() => new Promise((resolve) => server.close(resolve)));
      return { port: (server.address() as AddressInfo).port, asked };
    };
    const serveSecure = async (
      settings: object,
      ca: string | null,
      host = 'app.example.com',
    ): Promise<Proxied & { asked: string[]; trusting(ca: string): RouteTable }> => {
      const { port, asked } = await secure();
      const trusting = (trusted: string | null): RouteTable => ({
        ...tableTo([port], { protocol: 'https', ...settings }, trusted),
        host,
      });
      const here = await serve(answers, { routes: () => trusting(ca) });
      return { ...here, asked, trusting };
    };

    it('trust the CA that was given, for the host of the request', async () => {
      const { edge, asked } = await serveSecure({}, authority.cert);
      for (let i = 0; i < 2; i += 1) expect((await ask(edge, '/')).status).to.equal(200);
      expect(asked).to.deep.equal(['app.example.com']);
    });

    it('are made anew when another CA is given, also where some are kept', async () => {
      const { edge, counted, proxy, asked, trusting } = await serveSecure({}, authority.cert);
      expect((await ask(edge, '/')).status).to.equal(200);
      proxy.updateRoutes(trusting(createAuthority('another').cert));
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(counted()?.originErrors).to.deep.equal({ tls: 1 });
      proxy.updateRoutes(trusting(authority.cert));
      expect((await ask(edge, '/')).status).to.equal(200);
      expect(asked).to.have.length(2);
    });

    it('verify by default', async () => {
      const { edge, counted, logged } = await serveSecure({}, null);
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(counted()?.originErrors).to.deep.equal({ tls: 1 });
      expect(logged.at(-1)?.message).to.match(/^127\.0\.0\.1 port \d+: [A-Z_]+$/);
    });

    it('verify the name, too', async () => {
      const { edge, counted } = await serveSecure({}, authority.cert, '*.example.com');
      expect((await ask(edge, '/', { ':authority': 'other.example.com' })).status).to.equal(502);
      expect(counted()?.originErrors).to.deep.equal({ tls: 1 });
      expect((await ask(edge, '/', { ':authority': 'app.example.com' })).status).to.equal(200);
      // A connection that is good for one name is not used for another.
      expect((await ask(edge, '/', { ':authority': 'other.example.com' })).status).to.equal(502);
    });

    it('use the server name that was set', async () => {
      const { edge } = await serveSecure(
        { serverName: 'app.example.com', hostHeader: 'inner' },
        authority.cert,
      );
      expect((await ask(edge, '/')).status).to.equal(200);
    });

    it('do not verify when told so', async () => {
      const { edge } = await serveSecure({ verifyTls: false }, null);
      expect((await ask(edge, '/')).status).to.equal(200);
    });
  });
});
