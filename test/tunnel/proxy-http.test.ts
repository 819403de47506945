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

  describe('carries its body', () => {
    it('with the length that was announced', async () => {
      const { edge, origin } = await serve(({ socket }) => void socket);
      const asked = ask(edge, '/', { ':method': 'POST', 'content-length': '5' }, 'hello');
      await eventually('the body', () => origin.connections[0]?.received.endsWith('\r\n\r\nhello'));
      expect(origin.connections[0]?.received)
        .to.contain('\r\nContent-Length: 5\r\n')
        .and.not.contain('chunked');
      origin.connections[0]?.socket.write(ok);
      expect((await asked).status).to.equal(200);
    });

    it('whose end comes before the origin is connected, and with no byte, whole', async () => {
      const { edge, origin } = await serve(({ socket }) => void socket);
      const asked = ask(edge, '/', { ':method': 'POST' }, '');
      await eventually('the end of the body', () =>
        origin.connections[0]?.received.endsWith('\r\n\r\n0\r\n\r\n'),
      );
      origin.connections[0]?.socket.write(ok);
      expect((await asked).status).to.equal(200);
    });

    it('in chunks without one, with the trailers that were announced', async () => {
      const { edge, origin } = await serve(({ socket }) => void socket);
      const stream = edge.request(
        {
          ':method': 'POST',
          ':path': '/',
          ':authority': 'app.example.com',
          ':scheme': 'https',
          trailer: 'x-sum',
        },
        { endStream: false, waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '5', 'x-other': '6' }));
      stream.end('hello');
      const asked = answerOf(stream);
      await eventually('the trailers', () =>
        origin.connections[0]?.received.endsWith('\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n'),
      );
      expect(origin.connections[0]?.received).to.contain('Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n');
      origin.connections[0]?.socket.write(ok);
      await asked;
    });

    it('without body headers when a GET left the stream open and then sent nothing', async () => {
      const { edge, origin } = await serve(({ socket }) => socket.write(ok));
      await ask(edge, '/', {}, '');
      expect(origin.connections[0]?.received).not.to.match(/content-length|transfer-encoding/i);
    });

    it('of a GET in chunks, when it has one', async () => {
      const { edge, origin } = await serve(({ socket }) => socket.write(ok));
      await ask(edge, '/', {}, 'a body');
      await eventually('the body', () =>
        origin.connections[0]?.received.endsWith('6\r\na body\r\n0\r\n\r\n'),
      );
    });

    it('of a GET that leaves the first byte open too long in chunks', async () => {
      const { edge, origin } = await serve(({ socket }) => socket.write(ok));
      const stream = openStream(edge, '/');
      const asked = answerOf(stream);
      await eventually('the head', () =>
        origin.connections[0]?.received.includes('Transfer-Encoding: chunked'),
      );
      stream.end();
      expect((await asked).status).to.equal(200);
    });

    it('of a GET whose first byte comes in time once, and nothing of one that is given up before', async () => {
      const clock = new ManualClock();
      const { edge, origin, proxy } = await serve(() => {}, { clock });
      const stream = openStream(edge, '/');
      stream.write('a');
      await eventually('the head', () => origin.connections[0]?.requests === 1);
      const givenUp = openStream(edge, '/');
      await eventually('both', () => proxy.openRequests === 2);
      // Reset without an end before it.
      givenUp.on('error', () => {}).destroy(new Error('given up'));
      await eventually('one', () => proxy.openRequests === 1);
      expect(clock.pendingTimers).to.equal(0);
      stream.close(http2Error.cancel);
    });

    it('as empty for a POST that ended at once', async () => {
      const { edge, origin } = await serve(({ socket }) => socket.write(ok));
      await ask(edge, '/', { ':method': 'POST' });
      expect(origin.connections[0]?.received).to.contain('\r\nContent-Length: 0\r\n');
    });

    it('collected and with its length, for an origin that takes no chunks', async () => {
      const clock = new ManualClock();
      const { edge, origin, proxy } = await serve(({ socket }) => socket.write(ok), {
        clock,
        settings: { chunkedEncoding: false },
      });
      const stream = openStream(edge, '/', { ':method': 'POST' });
      await eventually('the request', () => proxy.openRequests === 1);
      await clock.advance(1_000);
      stream.write('one ');
      stream.end('two');
      expect((await answerOf(stream)).status).to.equal(200);
      await eventually('the body', () => origin.connections[0]?.received.endsWith('\r\n\r\none two'));
      expect(origin.connections[0]?.received)
        .to.contain('\r\nContent-Length: 7\r\n')
        .and.not.contain('chunked');
    });

    it('as none for a GET that leaves its stream open and sends nothing, to an origin that takes no chunks', async () => {
      const clock = new ManualClock();
      const { edge, origin, proxy, session } = await serve(({ socket }) => socket.write(ok), {
        clock,
        settings: { chunkedEncoding: false },
      });
      const stream = openStream(edge, '/');
      const answer = answerOf(stream);
      await eventually('the request', () => proxy.openRequests === 1);
      await clock.advance(200);
      expect((await answer).status).to.equal(200);
      expect(origin.connections[0]?.received).not.to.match(/content-length|transfer-encoding/i);
      expect([session.openStreams, clock.pendingTimers]).to.deep.equal([0, 1]);
    });

    it('whole, and is asked for no more where its stream is left open behind all of its length', async () => {
      const { edge, session } = await serve(({ socket }) => socket.write(ok));
      const stream = openStream(edge, '/', { ':method': 'POST', 'content-length': '4' });
      stream.write('body');
      expect((await answerOf(stream)).status).to.equal(200);
      expect(session.openStreams).to.equal(0);
    });

    for (const chunkedEncoding of [true, false]) {
      const how = chunkedEncoding ? 'in chunks' : 'collected';
      it(`${how} after the 100 that it waits for, and the origin is not asked for one`, async () => {
        const { edge, origin } = await serve(({ socket }) => void socket, { settings: { chunkedEncoding } });
        const stream = openStream(edge, '/', { ':method': 'POST', expect: '100-continue' });
        const answer = answerOf(stream);
        await once(stream, 'continue');
        stream.end('hello');
        await eventually('the body', () => origin.connections[0]?.received.includes('hello'));
        expect(origin.connections[0]?.received).not.to.match(/expect/i);
        origin.connections[0]?.socket.write(ok);
        expect((await answer).status).to.equal(200);
      });
    }

    it('whole and unchanged, 5 MiB to an origin that reads slowly', async () => {
      const sent = Buffer.alloc(5 << 20, 'abcdefghijklmnopqrstuvwxyz');
      const { edge, origin } = await serve(({ socket }) => {
        socket.pause();
        setImmediate(() => socket.resume());
      });
      const asked = ask(edge, '/', { ':method': 'PUT', 'content-length': String(sent.length) }, sent);
      await eventually('the body', () => (origin.connections[0]?.receivedBytes ?? 0) > sent.length);
      origin.connections[0]?.socket.write(ok);
      const answer = await asked;
      expect(origin.connections[0]?.receivedBytes).to.equal(
        sent.length + (origin.connections[0]?.received.indexOf('\r\n\r\n') ?? 0) + 4,
      );
      expect(answer.status).to.equal(200);
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
