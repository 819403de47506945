import { once } from 'node:events';
import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { answerOf, ask, openStream, ResetError } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { connectorId, type Proxied, type ProxiedOptions, proxied } from '../support/proxied.ts';
import type { OriginScript } from '../support/scripted-origin.ts';
import { standsStill } from '../support/stands-still.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

async function resetCodeOf(asked: Promise<unknown>): Promise<number> {
  const thrown = await asked.then(
    () => null,
    (error: unknown) => error,
  );
  if (thrown instanceof ResetError) return thrown.code;
  const code = /NGHTTP2_(\w+)/.exec(String((thrown as Error | null)?.message))?.[1];
  const codes: Record<string, number> = { INTERNAL_ERROR: 2, PROTOCOL_ERROR: 1, REFUSED_STREAM: 7 };
  if (code === undefined) throw new Error(`not reset: ${thrown}`);
  return codes[code] ?? -1;
}

describe('a request through the proxy', () => {
  let here: Proxied;
  const serve = async (script: OriginScript, options?: ProxiedOptions): Promise<Proxied> => {
    here = await proxied(script, options);
    return here;
  };
  afterEach(() => here.stop());

  describe('comes back', () => {
    it('with the headers serialized, the length copied and the source named', async () => {
      const { edge, origin, counted } = await serve(({ socket }) => {
        socket.write(
          'HTTP/1.1 200 OK\r\nx-cache: hit\r\nContent-Length: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Empty:\r\n\r\nhello',
        );
      });
      const answer = await ask(edge, '/x?y', { 'user-agent': 'test' });
      expect(answer.status).to.equal(200);
      expect(answer.body.toString()).to.equal('hello');
      expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"origin"}');
      expect(answer.headers['content-length']).to.equal('5');
      expect(answer.originHeaders).to.deep.equal([
        ...['X-Cache', 'hit', 'Content-Length', '5', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-Empty', ''],
      ]);
      expect(origin.connections[0]?.received).to.equal(
        'GET /x?y HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: test\r\nConnection: keep-alive\r\n' +
          `Cf-Warp-Tag-Id: ${connectorId}\r\n\r\n`,
      );
      expect(counted()?.requests).to.deep.equal([0, 0, 1, 0, 0, 0]);
    });

    it('as 502 when its head is larger than the edge takes, and no other request is hurt', async () => {
      const large = `X-Large: ${'x'.repeat(1_000)}\r\n`;
      const { edge, origin, counted } = await serve(({ socket }, head) => {
        const lines = head.startsWith('GET /large') ? 300 : 40;
        socket.write(`HTTP/1.1 200 OK\r\n${large.repeat(lines)}Content-Length: 2\r\n\r\nok`);
      });
      const whole = ask(edge, '/');
      const answer = await ask(edge, '/large');
      expect(answer.status).to.equal(502);
      expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"cloudflared"}');
      expect((await whole).originHeaders).to.have.length(82);
      expect((await ask(edge, '/')).body.toString()).to.equal('ok');
      expect(counted()).to.deep.include({ requests: [0, 0, 2, 0, 0, 1], originErrors: { limit: 1 } });
      await eventually('its connection to be gone', () => origin.connections.some(({ closed }) => closed));
    });

    it('cut off when its trailers are larger than the edge takes, and no other request is hurt', async () => {
      const { edge, counted } = await serve(({ socket }, head) => {
        const trailer = head.startsWith('GET /large') ? `X-Large: ${'\xff'.repeat(100_000)}\r\n` : '';
        socket.write(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailer}\r\n`,
          'latin1',
        );
      });
      expect(await resetCodeOf(ask(edge, '/large'))).to.equal(http2Error.internalError);
      expect((await ask(edge, '/')).body.toString()).to.equal('ok');
      expect(counted()?.originErrors).to.deep.equal({ limit: 1 });
    });

    it('without what no origin may say and what frames HTTP/1.1', async () => {
      const { edge } = await serve(({ socket }) => {
        socket.write(
          'HTTP/1.1 200 OK\r\nCf-Int-A: 1\r\nCF-Cloudflared-B: 2\r\ncf-proxy-c: 3\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n',
        );
      });
      expect((await ask(edge, '/')).originHeaders).to.deep.equal(['Connection', 'keep-alive']);
    });

    it('with an empty list when the origin sent no header', async () => {
      const { edge } = await serve(({ socket }) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'));
      const answer = await ask(edge, '/');
      expect(answer.originHeaders).to.deep.equal([]);
      expect(answer.body.toString()).to.equal('until the end');
    });

    for (const [title, method, response] of [
      ['HEAD with its length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n'],
      ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['304 with its length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 123\r\n\r\n'],
    ] as const) {
      it(`without a body: ${title}`, async () => {
        const { edge, origin } = await serve(({ socket }) => socket.write(response));
        for (let i = 0; i < 2; i += 1) {
          const answer = await ask(edge, '/', { ':method': method });
          expect(answer.body.length).to.equal(0);
          expect(answer.headers['content-length']).to.equal(response.includes('123') ? '123' : undefined);
        }
        expect(origin.connections).to.have.length(1);
      });
    }

    it('with trailers under their plain names, but those that are internal or of a head only', async () => {
      const { edge } = await serve(({ socket }) => {
        socket.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\ncf-int-x: y\r\nContent-Length: 9\r\nTE: gzip\r\nIf-Match: x\r\nCache-Control: public\r\n\r\n',
        );
      });
      const answer = await ask(edge, '/');
      expect(answer.body.toString()).to.equal('ok');
      expect(Object.entries(answer.trailers)).to.deep.equal([['grpc-status', '0']]);
    });

    it('without the informational responses before it', async () => {
      const { edge } = await serve(({ socket }) =>
        socket.write(`HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${ok}`),
      );
      expect((await ask(edge, '/')).originHeaders).to.deep.equal(['Content-Length', '2']);
    });

    it('piece by piece, as the origin sends it', async () => {
      const { edge, origin } = await serve(({ socket }) => {
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
        );
      });
      const stream = openStream(edge, '/sse', {}, true);
      await once(stream, 'response');
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        origin.connections[0]?.socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
        expect(String((await once(stream, 'data'))[0])).to.equal(event);
      }
      stream.close();
      await once(stream, 'close');
    });
  });

  describe('holds back', () => {
    it('the origin while the edge does not read', async () => {
      let wanted = 64 << 20;
      let written = 0;
      const piece = Buffer.alloc(64 << 10);
      const { edge } = await serve(({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${wanted}\r\n\r\n`);
        const more = (): void => {
          while (wanted > 0) {
            wanted -= piece.length;
            written += piece.length;
            if (!socket.write(piece)) return void socket.once('drain', more);
          }
        };
        more();
      });
      const stream = openStream(edge, '/', {}, true);
      await once(stream, 'response');
      stream.pause();
      await standsStill('the origin', () => written);
      expect(written).to.be.lessThan(32 << 20);
      let got = 0;
      stream.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      stream.resume();
      await once(stream, 'end');
      expect(got).to.equal(64 << 20);
    });

    it('the edge while the origin does not read', async () => {
      const { edge, origin } = await serve(({ socket }) => void socket.pause());
      const stream = openStream(edge, '/', { ':method': 'POST', 'content-length': String(64 << 20) });
      let sent = 0;
      const piece = Buffer.alloc(64 << 10);
      const more = (): void => {
        while (sent < 64 << 20) {
          sent += piece.length;
          if (!stream.write(piece)) return void stream.once('drain', more);
        }
        stream.end();
      };
      more();
      await standsStill('the edge', () => sent);
      expect(sent).to.be.lessThan(32 << 20);
      const asked = answerOf(stream);
      origin.connections[0]?.socket.resume();
      await eventually('the body', () => (origin.connections[0]?.receivedBytes ?? 0) > 64 << 20);
      origin.connections[0]?.socket.write(ok);
      expect((await asked).status).to.equal(200);
    });
  });

  describe('when the origin', () => {
    it('answers before it has read the body, gets its whole answer', async () => {
      const large = 'x'.repeat(3 << 20);
      const { edge, origin } = await serve(({ socket }) => {
        socket.write(`HTTP/1.1 413 Too Large\r\nContent-Length: ${large.length}\r\n\r\n${large}`);
      });
      const stream = openStream(edge, '/', { ':method': 'POST', 'content-length': String(1 << 30) });
      stream.write(Buffer.alloc(100_000));
      const answer = await answerOf(stream);
      expect(answer.status).to.equal(413);
      expect(answer.body.length).to.equal(large.length);
      expect(stream.rstCode).to.equal(http2Error.noError);
      await eventually('the origin connection to be gone', () => origin.connections[0]?.closed);
    });

    it('answers before it has read the body, gets the rest of one that comes soon, and is asked anew', async () => {
      const clock = new ManualClock();
      const { edge, origin } = await serve(({ socket }) => socket.write(ok), { clock });
      const stream = openStream(edge, '/', { ':method': 'POST', 'content-length': '8' });
      const answer = answerOf(stream);
      stream.write('half');
      const [piece] = await once(stream, 'data');
      expect(String(piece)).to.equal('ok');
      stream.end('full');
      expect((await answer).status).to.equal(200);
      expect(stream.rstCode).to.equal(http2Error.noError);
      await eventually('all of it', () => origin.connections[0]?.received.endsWith('halffull'));
      expect((await ask(edge, '/')).status).to.equal(200);
      expect(origin.connections.length).to.equal(2);
    });

    it('refuses the connection, is answered 502 that names us', async () => {
      const { edge, origin, counted, logged } = await serve(() => {});
      await origin.stop();
      const answer = await ask(edge, '/');
      expect(answer.status).to.equal(502);
      expect(answer.headers['cf-cloudflared-response-meta']).to.equal('{"src":"cloudflared"}');
      expect(answer.headers['content-length']).to.equal('0');
      expect(answer.originHeaders).to.equal(null);
      const unfinished = openStream(edge, '/', { ':method': 'POST' });
      expect((await answerOf(unfinished)).status).to.equal(502);
      const counts = counted();
      expect(counts?.requests).to.deep.equal([0, 0, 0, 0, 0, 2]);
      expect(counts?.originErrors).to.deep.equal({ refused: 2 });
      expect(logged.at(-1)).to.include({ msg: 'origin failed', reason: 'refused', host: 'app.example.com' });
    });

    it('closes before an answer, is answered 502, and not asked again', async () => {
      const { edge, origin, counted } = await serve(({ socket }) => socket.destroy());
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(origin.connections).to.have.length(1);
      expect(counted()?.originErrors).to.deep.equal({ reset: 1 });
    });

    it('speaks nonsense, is answered 502', async () => {
      const { edge, counted } = await serve(({ socket }) =>
        socket.write('HTTP/1.1 200 OK\r\nA b: c\r\n\r\n'),
      );
      expect((await ask(edge, '/')).status).to.equal(502);
      expect(counted()?.originErrors).to.deep.equal({ protocol: 1 });
    });

    for (const [title, response] of [
      ['a sized body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
      ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf'],
    ] as const) {
      it(`dies inside ${title}, resets the stream with INTERNAL_ERROR`, async () => {
        const { edge, counted } = await serve(({ socket }) => socket.end(response));
        expect(await resetCodeOf(ask(edge, '/'))).to.equal(http2Error.internalError);
        const counts = counted();
        expect(counts?.requests).to.deep.equal([0, 0, 1, 0, 0, 0]);
        expect(counts?.originErrors).to.deep.equal({ reset: 1 });
      });
    }
  });

  describe('when the eyeball goes away', () => {
    it('before the origin is reached, lets go of it at once', async () => {
      const { edge, origin } = await serve(() => {}, { settings: { protocol: 'https' } });
      const stream = openStream(edge, '/', {}, true);
      await eventually('the dial', () => origin.connections.length === 1);
      stream.close(http2Error.cancel);
      await eventually('the origin connection to be gone', () => origin.connections[0]?.closed);
    });

    it('before an answer, frees the origin at once', async () => {
      const { edge, origin, proxy, counted } = await serve(() => {});
      const stream = openStream(edge, '/', {}, true);
      await eventually('the request', () => origin.connections[0]?.requests === 1);
      stream.close(http2Error.cancel);
      await eventually('the origin connection to be gone', () => origin.connections[0]?.closed);
      expect(proxy.openRequests).to.equal(0);
      expect(counted()?.requests).to.deep.equal([1, 0, 0, 0, 0, 0]);
    });

    it('inside an answer, frees the origin at once', async () => {
      const { edge, origin, counted } = await serve(({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      });
      const stream = openStream(edge, '/', {}, true);
      await once(stream, 'data');
      stream.close(http2Error.cancel);
      await eventually('the origin connection to be gone', () => origin.connections[0]?.closed);
      expect(counted()?.requests).to.deep.equal([0, 0, 1, 0, 0, 0]);
    });

    it('with its whole edge connection, frees every origin connection', async () => {
      const { edge, origin, proxy } = await serve(() => {});
      for (let i = 0; i < 3; i += 1) openStream(edge, '/', {}, true).on('error', () => {});
      await eventually('three requests', () => origin.connections.length === 3 && proxy.openRequests === 3);
      edge.destroy();
      await eventually('all to be gone', () => origin.connections.every(({ closed }) => closed));
      expect(proxy.openRequests).to.equal(0);
    });
  });

  it('is refused with PROTOCOL_ERROR when its path has a broken escape', async () => {
    const { edge, origin } = await serve(({ socket }) => socket.write(ok));
    expect(await resetCodeOf(ask(edge, '/%zz'))).to.equal(http2Error.protocolError);
    expect(origin.connections).to.have.length(0);
  });
});
