import { once } from 'node:events';
import { constants, type Settings } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import type { OriginSettings } from '../../src/domain/ingress.ts';
import type { Clock } from '../../src/time/clock.ts';
import { maxKeptBytes } from '../../src/tunnel/origin/request-body.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { answerOf, ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Http2Origin, type Http2Script, scriptHttp2 } from '../support/http2-origin.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { connectorId, type Proxied, proxied } from '../support/proxied.ts';
import { tableTo } from '../support/route-to.ts';
import { standsStill } from '../support/stands-still.ts';

interface Scene {
  readonly settings?: Partial<OriginSettings>;
  readonly clock?: Clock;
  readonly origin?: Settings;
}

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
const hello: Http2Script = (stream) => {
  stream.respond({ ':status': 200, 'x-a': ['1', '2'] });
  stream.end('hello');
};

/** Without what the library hangs on header objects under symbols. */
function plain(headers: object): object {
  return Object.fromEntries(Object.entries(headers));
}

describe('an origin that speaks HTTP/2', () => {
  let here: Proxied;
  let origin: Http2Origin;

  const serve = async (script: Http2Script, scene: Scene = {}): Promise<Proxied> => {
    origin = await scriptHttp2(script, scene.origin === undefined ? {} : { settings: scene.origin });
    const settings: Partial<OriginSettings> = { protocol: 'h2c', ...scene.settings };
    here = await proxied(() => {}, {
      ...(scene.clock === undefined ? {} : { clock: scene.clock }),
      routes: () => tableTo([origin.port], settings),
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

  describe('with prior knowledge (h2c)', () => {
    it('gets the request as HTTP/2 has it and answers as every origin', async () => {
      const { edge, counted } = await serve(hello);
      const answer = await ask(edge, '/a?b=c', {
        'x-x': ['1', '2'],
        cookie: ['a=1', 'b=2'],
        'cf-trace-id': 'x',
        te: 'trailers',
      });
      expect(answer.status).to.equal(200);
      expect(answer.body.toString()).to.equal('hello');
      expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
      expect(answer.originHeaders?.slice(0, 4)).to.deep.equal(['X-A', '1', 'X-A', '2']);
      expect(plain(origin.heads[0]!)).to.deep.equal({
        ':method': 'GET',
        ':scheme': 'http',
        ':authority': 'app.example.com',
        ':path': '/a?b=c',
        'x-x': '1, 2',
        cookie: 'a=1; b=2',
        te: 'trailers',
        'cf-warp-tag-id': connectorId,
      });
      expect(counted()?.requests).to.deep.equal([0, 0, 1, 0, 0, 0]);
    });

    it('is told the host header that was set, and the original one', async () => {
      const { edge } = await serve(hello, { settings: { hostHeader: 'inner.test' } });
      await ask(edge, '/');
      expect(origin.heads[0]?.[':authority']).to.equal('inner.test');
      expect(origin.heads[0]?.['x-forwarded-host']).to.equal('app.example.com');
    });

    it('carries all requests on one connection, opened once', async () => {
      const { edge } = await serve(hello);
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(edge, '/')));
      expect(answers.every(({ status }) => status === 200)).to.equal(true);
      await ask(edge, '/');
      expect(origin.sessions).to.have.length(1);
    });

    it('gets another connection when it allows no more streams on one', async () => {
      let open = 0;
      let most = 0;
      const script: Http2Script = (stream) => {
        open += 1;
        most = Math.max(most, open);
        stream.on('close', () => {
          open -= 1;
        });
        setImmediate(() => {
          stream.respond({ ':status': 200 });
          stream.end();
        });
      };
      const { edge } = await serve(script, { origin: { maxConcurrentStreams: 2 } });
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(edge, '/')));
      expect(answers.every(({ status }) => status === 200)).to.equal(true);
      expect(origin.sessions.length).to.be.greaterThan(1);
    });

    it('gets a body with its length, and without one a body of any length', async () => {
      const { edge } = await serve(async (stream) => {
        const body = await buffer(stream);
        stream.respond({ ':status': 200 });
        stream.end(String(body.length));
      });
      const body = Buffer.alloc(300_000, 1);
      const sized = await ask(edge, '/', { ':method': 'POST', 'content-length': '300000' }, body);
      const unsized = await ask(edge, '/', { ':method': 'POST' }, body);
      expect([sized.body.toString(), unsized.body.toString()]).to.deep.equal(['300000', '300000']);
      expect(origin.heads.map((head) => head['content-length'])).to.deep.equal(['300000', undefined]);
    });

    it('gets a body that comes slowly and is longer than any window, piece by piece', async () => {
      let gotBytes = 0;
      const { edge } = await serve((stream, head, count) => {
        stream.on('data', (chunk: Buffer) => {
          gotBytes += chunk.length;
        });
        stream.on('end', () => hello(stream, head, count));
      });
      const stream = openStream(edge, '/', grpc);
      for (let sentBytes = 0; sentBytes < 3_000_000; sentBytes += 50_000) {
        stream.write(Buffer.alloc(50_000));
        await eventually('the piece', () => gotBytes === sentBytes + 50_000);
      }
      stream.end();
      expect((await answerOf(stream)).status).to.equal(200);
    });

    it('that pushes where it may is told that it may not', async () => {
      const { edge } = await serve((stream) => {
        if (stream.pushAllowed)
          stream.pushStream({ ':path': '/style.css' }, (_error, pushed) => pushed.end());
        stream.respond({ ':status': 200 });
        stream.end('hello');
      });
      expect((await ask(edge, '/')).body.toString()).to.equal('hello');
      expect(origin.streams[0]?.pushAllowed).to.equal(false);
    });

    it('has its informational responses swallowed', async () => {
      const { edge } = await serve((stream) => {
        stream.additionalHeaders({ ':status': 103, link: 'x' });
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
      const answer = await ask(edge, '/');
      expect(answer.status).to.equal(200);
      expect(answer.originHeaders).not.to.include('Link');
    });

    it('keeps the length that it announces, also to HEAD', async () => {
      const { edge } = await serve((stream, head) => {
        stream.respond({ ':status': 200, 'content-length': '5' });
        stream.end(head[':method'] === 'HEAD' ? undefined : 'hello');
      });
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(edge, '/', { ':method': method });
        expect(answer.headers['content-length'], method).to.equal('5');
      }
    });
  });

  describe('serves gRPC', () => {
    it('unary: status in trailers of HTTP/2', async () => {
      const { edge } = await serve(async (stream) => {
        const body = await buffer(stream);
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': '' }));
        stream.end(body);
      });
      const message = Buffer.from('\0\0\0\0\x05hello', 'latin1');
      const answer = await ask(edge, '/pkg.Service/Method', grpc, message);
      expect(answer.body).to.deep.equal(message);
      expect(plain(answer.trailers)).to.deep.equal({ 'grpc-status': '0', 'grpc-message': '' });
      expect(origin.heads[0]?.te).to.equal('trailers');
    });

    it('trailers-only: the status among the headers, no body', async () => {
      const { edge } = await serve((stream) => {
        stream.respond(
          { ':status': 200, 'grpc-status': '12', 'grpc-message': 'no such method' },
          { endStream: true },
        );
      });
      const answer = await ask(edge, '/pkg.Service/Nothing', grpc, 'x');
      expect(answer.body.length).to.equal(0);
      expect(answer.originHeaders).to.include.members([
        'Grpc-Status',
        '12',
        'Grpc-Message',
        'no such method',
      ]);
    });

    it('streaming both ways at the same time, message by message', async () => {
      const { edge } = await serve(
        (stream) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.on('data', (chunk) => stream.write(`echo ${chunk}`));
          stream.on('end', () => stream.end());
        },
        // HTTP/2 has no chunks, so nothing is collected.
        { settings: { chunkedEncoding: false } },
      );
      const stream = openStream(edge, '/pkg.Service/Chat', grpc);
      await once(stream, 'response');
      for (const message of ['one', 'two', 'three']) {
        stream.write(message);
        expect(String((await once(stream, 'data'))[0])).to.equal(`echo ${message}`);
      }
      stream.end();
      const [trailers] = await once(stream, 'trailers');
      expect(trailers['grpc-status']).to.equal('0');
      await openIsOver();
    });

    it('with the status before the client is through', async () => {
      const { edge } = await serve((stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '8' }));
        stream.end();
      });
      const stream = openStream(edge, '/pkg.Service/Upload', grpc);
      stream.write('first');
      const answer = await answerOf(stream);
      expect(plain(answer.trailers)).to.deep.equal({ 'grpc-status': '8' });
      await openIsOver();
      await eventually('the origin to be rid of it', () => origin.streams[0]?.destroyed);
    });

    it('with trailers of the request', async () => {
      let trailers: object = {};
      const { edge } = await serve((stream) => {
        stream.on('trailers', (got) => {
          trailers = plain(got);
        });
        stream.resume();
        stream.on('end', () => hello(stream, {}, 0));
      });
      const stream = edge.request(
        { ':path': '/', ':scheme': 'https', ':authority': 'app.example.com', ...grpc },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1', 'cf-int-x': 'y' }));
      stream.end('body');
      expect((await answerOf(stream)).status).to.equal(200);
      expect(trailers).to.deep.equal({ 'x-sum': '1' });
    });
  });

  describe('holds back', () => {
    it('what its reader does not read, and goes on when it does', async () => {
      const totalBytes = 40 * 1024 * 1024;
      let sentBytes = 0;
      const { edge } = await serve((stream) => {
        stream.respond({ ':status': 200 });
        const piece = Buffer.alloc(64 * 1024);
        const send = (): void => {
          while (sentBytes < totalBytes) {
            sentBytes += piece.length;
            if (!stream.write(piece)) return void stream.once('drain', send);
          }
          stream.end();
        };
        send();
      });
      const stream = openStream(edge, '/', {}, true);
      await once(stream, 'response');
      await standsStill('what the origin has sent', () => sentBytes);
      expect(sentBytes).to.be.lessThan(totalBytes);
      expect((await buffer(stream)).length).to.equal(totalBytes);
    });

    it('the upload that it does not read, without holding up others, and goes on when it does', async () => {
      const totalBytes = 40 * 1024 * 1024;
      let release = (): void => {};
      const { edge } = await serve((stream, head) => {
        if (head[':path'] === '/other') return hello(stream, head, 0);
        release = () => {
          let bytes = 0;
          stream.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          stream.on('end', () => {
            stream.respond({ ':status': 200 });
            stream.end(String(bytes));
          });
        };
      });
      const stream = openStream(edge, '/', { ':method': 'POST' });
      const answered = answerOf(stream);
      let sentBytes = 0;
      const piece = Buffer.alloc(64 * 1024);
      const send = (): void => {
        while (sentBytes < totalBytes) {
          sentBytes += piece.length;
          if (!stream.write(piece)) return void stream.once('drain', send);
        }
        stream.end();
      };
      send();
      await standsStill('what the edge has sent', () => sentBytes);
      expect(sentBytes).to.be.lessThan(totalBytes);
      expect((await ask(edge, '/other')).status).to.equal(200);
      release();
      expect((await answered).body.toString()).to.equal(String(totalBytes));
    });
  });

  describe('is reset', () => {
    it('with CANCEL as soon as the eyeball goes away', async () => {
      const { edge } = await serve((stream) => {
        stream.respond({ ':status': 200 });
        stream.write('x');
      });
      const stream = openStream(edge, '/', grpc);
      stream.on('error', () => {});
      await once(stream, 'response');
      stream.close(http2Error.cancel);
      await eventually('the origin to be told', () => origin.streams[0]?.destroyed);
      expect(origin.streams[0]?.rstCode).to.equal(http2Error.cancel);
      expect(origin.sessions[0]?.destroyed).to.equal(false);
      await openIsOver();
    });

    it('and so resets: before its head 502, and no second request', async () => {
      const { edge } = await serve((stream, head, count) => {
        if (count === 2) hello(stream, head, count);
        else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      });
      expect((await ask(edge, '/')).status).to.equal(502);
      expect((await ask(edge, '/')).status).to.equal(200);
      // Nor is one on a session that has carried others: it does not look like one that the origin has just closed.
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(origin.streams).to.have.length(3);
    });

    it('and a response cut short is no whole response', async () => {
      const { edge } = await serve((stream) => {
        stream.respond({ ':status': 200, 'content-length': '10' });
        stream.write('half', () => stream.close(constants.NGHTTP2_CANCEL));
      });
      expect(await ask(edge, '/').catch(() => 'reset')).to.equal('reset');
    });
  });

  describe('may refuse', () => {
    it('a stream, which is sent again once, whatever its method', async () => {
      const { edge } = await serve((stream, head, count) => {
        if (count === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
        else hello(stream, head, count);
      });
      const answer = await ask(edge, '/', { ':method': 'POST', 'content-length': '0' });
      expect(answer.status).to.equal(200);
      expect(origin.streams).to.have.length(2);
    });

    it('a stream with a body, which is sent again with what of it had gone out, and with what comes', async () => {
      const { edge } = await serve((stream, _head, count) => {
        if (count === 1) stream.once('data', () => stream.close(constants.NGHTTP2_REFUSED_STREAM));
        else stream.respond({ ':status': 200 }, { endStream: false });
        if (count > 1) stream.pipe(stream);
      });
      const request = openStream(edge, '/', { ':method': 'POST' });
      const answer = answerOf(request);
      request.write('first, ');
      await eventually('the second stream', () => origin.streams[1]);
      request.end('last');
      const { status, body } = await answer;
      expect([status, body.toString()]).to.deep.equal([200, 'first, last']);
      expect(origin.streams).to.have.length(2);
    });

    it('a stream of which more has gone out than is kept, which is not sent again', async () => {
      const { edge } = await serve((stream) => {
        let bytes = 0;
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxKeptBytes) stream.close(constants.NGHTTP2_REFUSED_STREAM);
        });
      });
      const body = Buffer.alloc(maxKeptBytes + 1);
      expect((await ask(edge, '/', { ':method': 'POST' }, body)).status).to.equal(502);
      expect(origin.streams).to.have.length(1);
    });

    it('every stream, which is tried twice and no more', async () => {
      const { edge } = await serve((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(origin.streams).to.have.length(2);
    });

    it('further streams (GOAWAY): running ones finish, new ones get a new session', async () => {
      const { edge } = await serve((stream, head, count) => {
        if (count > 1) return hello(stream, head, count);
        stream.respond({ ':status': 200 });
        stream.write('begun ');
      });
      const first = openStream(edge, '/', {}, true);
      const answered = answerOf(first);
      await once(first, 'response');
      origin.sessions[0]?.close();
      await eventually('a new session', async () => {
        await ask(edge, '/');
        return origin.sessions.length === 2;
      });
      origin.streams[0]?.end('ended');
      expect((await answered).body.toString()).to.equal('begun ended');
      await eventually('the old session to be gone', () => origin.sessions[0]?.destroyed);
    });
  });

  it('whose session breaks under a request ends it with 502, and a POST is not sent again', async () => {
    const { edge } = await serve((stream, head, count) => {
      if (count === 1) return hello(stream, head, count);
      stream.session?.socket.destroy();
    });
    await ask(edge, '/');
    expect((await ask(edge, '/', { ':method': 'POST' }, 'x')).status).to.equal(502);
    expect(origin.streams).to.have.length(2);
  });

  it('that stays silent is 504 after the connect timeout', async () => {
    const clock = new ManualClock();
    here = await proxied(() => {}, { clock, settings: { protocol: 'h2c', connectTimeoutMs: 3_000 } });
    origin = await scriptHttp2(hello);
    const asked = ask(here.edge, '/');
    await eventually('the connection', () => here.origin.connections.length === 1);
    await eventually('the wait', () => clock.pendingTimers > 0);
    await clock.advance(3_000);
    expect((await asked).status).to.equal(504);
    expect(here.logged.at(-1)?.message).to.contain('does the origin speak HTTP/2?');
  });

  it('and does not, is 502 with the reason', async () => {
    here = await proxied(({ socket }) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), {
      settings: { protocol: 'h2c' },
    });
    origin = await scriptHttp2(hello);
    here.origin.connections;
    const asked = ask(here.edge, '/');
    const connection = await eventually('the connection', () => here.origin.connections[0]);
    connection.socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect((await asked).status).to.equal(502);
    expect(here.logged.at(-1)?.message).to.contain('does not speak HTTP/2');
    expect(here.counted()?.originErrors).to.deep.equal({ protocol: 1 });
  });

  it('is reached over HTTP/1.1 for a WebSocket', async () => {
    here = await proxied(
      ({ socket }) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'),
      { settings: { protocol: 'h2c' } },
    );
    origin = await scriptHttp2(hello);
    const stream = openStream(here.edge, '/', { 'cf-cloudflared-proxy-connection-upgrade': 'websocket' });
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).to.equal(200);
    expect(here.origin.connections[0]?.received).to.contain('Upgrade: websocket\r\n');
    stream.close();
    await once(stream, 'close');
  });

  it('ends its streams with the tunnel', async () => {
    const { edge, proxy } = await serve((stream) => stream.respond({ ':status': 200 }));
    const stream = openStream(edge, '/', {}, true);
    stream.on('error', () => {});
    await once(stream, 'response');
    proxy.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    // Half a response must not look like a whole one.
    expect(stream.rstCode).to.equal(http2Error.internalError);
    await eventually('the session to be gone', () => origin.sessions[0]?.destroyed);
  });
});
