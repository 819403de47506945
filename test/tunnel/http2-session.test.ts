import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, constants } from 'node:http2';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import type { EdgeSessionEvents, EdgeStream, RequestHead } from '../../src/tunnel/edge-session.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import {
  answerOf,
  nodeEdge,
  sessionOn,
  socketPair,
  type TestedSession,
  tlsSocketPair,
} from '../support/edge-peer.ts';
import { eventually } from '../support/eventually.ts';

/** Answers with what it was sent, with back-pressure in both directions. */
const echo: EdgeSessionEvents['stream'] = (stream, head) => {
  stream.respond(200, ['x-method', head.method, 'x-path', head.path], head.ended);
  return {
    data: (chunk) => {
      if (!stream.write(chunk)) stream.pause();
    },
    end: (trailers) => stream.end(trailers),
    reset: () => {},
    drain: () => stream.resume(),
  };
};

const silent = { data: () => {}, end: () => {}, reset: () => {}, drain: () => {} };

for (const [transport, pair] of [
  ['TCP', socketPair],
  ['TLS', tlsSocketPair],
] as const) {
  describe(`HTTP/2 session, with the HTTP/2 client of Node.js as the edge, over ${transport}`, () => {
    let client: ClientHttp2Session;
    let tested: TestedSession;
    let near: Socket;
    let far: Socket;

    async function start(stream: EdgeSessionEvents['stream'], settings = {}): Promise<void> {
      ({ near, far } = await pair());
      tested = sessionOn(near, stream);
      client = nodeEdge(far, settings);
    }

    afterEach(async () => {
      client.destroy();
      tested.session.destroy();
      await tested.ended;
      far.destroy();
      expect(tested.session.openStreams).to.equal(0);
    });

    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND']) {
      it(`serves ${method} without a body`, async () => {
        await start(echo);
        const answer = await answerOf(
          client.request({ ':method': method, ':path': '/a?b=c' }, { endStream: true }),
        );
        expect(answer.headers).to.include({ ':status': 200, 'x-method': method, 'x-path': '/a?b=c' });
        expect(answer.body.length).to.equal(0);
      });
    }

    it('gives the head as it was sent, cookie crumbs apart', async () => {
      const heads: RequestHead[] = [];
      await start((stream, head) => {
        heads.push(head);
        return echo(stream, head);
      });
      const fields = { ':authority': 'app.example.com', 'x-a': ['1', 'caf\u00e9'], cookie: ['a=1', 'b=2'] };
      await answerOf(client.request(fields));
      expect(heads).to.have.length(1);
      expect(heads[0]).to.include({
        authority: 'app.example.com',
        scheme: 'http',
        method: 'GET',
        ended: true,
      });
      expect(heads[0]!.headers).to.deep.equal([
        'x-a',
        '1',
        'x-a',
        'caf\u00e9',
        'cookie',
        'a=1',
        'cookie',
        'b=2',
      ]);
    });

    it('carries bodies and trailers both ways', async () => {
      await start(echo);
      const body = randomBytes(3 * 1024 * 1024 + 17);
      const request = client.request({ ':method': 'POST' }, { waitForTrailers: true });
      request.on('wantTrailers', () => request.sendTrailers({ 'x-sum': '42' }));
      request.end(body);
      const answer = await answerOf(request);
      expect(answer.body.equals(body)).to.equal(true);
      expect(answer.trailers).to.include({ 'x-sum': '42' });
    });

    it('carries heads of 40 KiB both ways', async () => {
      const large = randomBytes(15_000).toString('base64');
      await start((stream, head) => {
        stream.respond(200, [...head.headers], true);
        return silent;
      });
      const answer = await answerOf(client.request({ 'x-a': large, 'x-b': large }));
      expect(answer.headers).to.include({ 'x-a': large, 'x-b': large });
    });

    it('serves 1,000 requests at once', async () => {
      await start(echo);
      const answers = Array.from({ length: 1000 }, (_, index) => {
        const request = client.request({ ':method': 'POST', ':path': `/${index}` });
        request.end(`body ${index}`);
        return answerOf(request);
      });
      for (const [index, answer] of (await Promise.all(answers)).entries()) {
        expect(answer.headers).to.include({ 'x-path': `/${index}` });
        expect(answer.body.toString()).to.equal(`body ${index}`);
      }
    });

    it('sends 100 MB to a slow reader without keeping them', async () => {
      const total = 100_000_000;
      const piece = Buffer.alloc(64_000, 'x');
      let written = 0;
      await start((stream) => {
        const more = (): void => {
          while (written < total) {
            const bytes = Math.min(piece.length, total - written);
            written += bytes;
            if (!stream.write(piece.subarray(0, bytes))) return;
          }
          stream.end();
        };
        stream.respond(200, [], false);
        more();
        return { ...silent, drain: more };
      });
      const request = client.request();
      let read = 0;
      let mostAhead = 0;
      for await (const chunk of request) {
        read += (chunk as Buffer).length;
        mostAhead = Math.max(mostAhead, written - read);
        // Slow: the reader lets the loop turn after each piece.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(read).to.equal(total);
      // What is on its way: windows and queues here, kernel and client there.
      expect(mostAhead).to.be.lessThan(8_000_000);
    });

    it('takes 100 MB from a fast writer no faster than the handler lets it', async () => {
      const total = 100_000_000;
      let received = 0;
      let mostWhilePaused = 0;
      await start((stream) => {
        stream.respond(200, [], false);
        let since = 0;
        let paused = false;
        return {
          ...silent,
          data: (chunk) => {
            received += chunk.length;
            since += chunk.length;
            mostWhilePaused = Math.max(mostWhilePaused, paused ? since : 0);
            if (paused || since < 500_000) return;
            paused = true;
            since = 0;
            stream.pause();
            setImmediate(() => {
              paused = false;
              stream.resume();
            });
          },
          end: () => stream.end(),
        };
      });
      const request = client.request({ ':method': 'PUT' });
      const piece = Buffer.alloc(100_000);
      for (let sent = 0; sent < total; sent += piece.length) {
        if (!request.write(piece)) await once(request, 'drain');
      }
      request.end();
      await answerOf(request);
      expect(received).to.equal(total);
      expect(mostWhilePaused).to.be.lessThan(1024 * 1024 + 1);
    });

    it('lets others go on while one stream is paused', async () => {
      await start((stream, head) => {
        if (head.path !== '/paused') return echo(stream, head);
        stream.pause();
        return silent;
      });
      const paused = client.request({ ':method': 'POST', ':path': '/paused' });
      paused.on('error', () => {});
      paused.write(Buffer.alloc(1024 * 1024));
      for (let i = 0; i < 8; i++) {
        const request = client.request({ ':method': 'POST' });
        request.end(Buffer.alloc(1024 * 1024));
        expect((await answerOf(request)).body.length).to.equal(1024 * 1024);
      }
      paused.close(constants.NGHTTP2_CANCEL);
    });

    it('tells the handler that the edge cancelled, and frees the stream at once', async () => {
      const resets: number[] = [];
      await start((stream) => {
        stream.respond(200, [], false);
        stream.write(Buffer.from('a'));
        return { ...silent, reset: (code) => resets.push(code) };
      });
      const request = client.request();
      request.on('error', () => {});
      await once(request, 'data');
      request.close(constants.NGHTTP2_CANCEL);
      await eventually('the handler heard it', () => resets.length === 1);
      expect(resets).to.deep.equal([http2Error.cancel]);
      expect(tested.session.openStreams).to.equal(0);
    });

    it('lets the handler reset a stream', async () => {
      await start((stream) => {
        stream.reset(http2Error.internalError);
        return silent;
      });
      const failure = await answerOf(client.request()).catch((error: Error) => error);
      expect((failure as Error).message).to.contain('INTERNAL_ERROR');
    });

    it('counts its PINGs until they are answered, and answers those of the edge', async () => {
      await start(echo);
      const heard = tested.session.chunksHeard;
      tested.session.ping();
      tested.session.ping();
      expect(tested.session.unansweredPings).to.equal(2);
      await eventually('both answers', () => tested.session.unansweredPings === 0);
      expect(tested.session.chunksHeard).to.be.above(heard);
      const payload = randomBytes(8);
      const echoed = await new Promise<Buffer>((resolve) => {
        client.ping(payload, (_error, _ms, got) => resolve(got));
      });
      expect(echoed.equals(payload)).to.equal(true);
    });

    it('hears GOAWAY and goes on with what runs', async () => {
      let running: EdgeStream | undefined;
      await start((stream) => {
        running = stream;
        return silent;
      });
      const request = client.request();
      const answer = answerOf(request);
      const stream = await eventually('the stream', () => running);
      client.goaway(0);
      await eventually('GOAWAY was heard', () => tested.goaways.length === 1);
      stream.respond(200, [], true);
      expect((await answer).headers[':status']).to.equal(200);
    });

    it('closes when the running streams are done, and refuses new ones', async () => {
      let running: EdgeStream | undefined;
      await start((stream) => {
        running = stream;
        return silent;
      });
      const answer = answerOf(client.request());
      const stream = await eventually('the stream', () => running);
      tested.session.close();
      tested.session.close();
      await once(client, 'goaway');
      expect(tested.session.openStreams).to.equal(1);
      stream.respond(200, [], false);
      stream.write(Buffer.alloc(50_000));
      stream.end();
      expect((await answer).body.length).to.equal(50_000);
      expect(await tested.ended).to.deep.equal({ by: 'own' });
    });

    const losses: [how: string, lose: () => void][] = [
      ['the peer did', () => far.end()],
      ['somebody else destroyed its socket', () => near.destroy()],
    ];
    for (const [how, lose] of losses) {
      it(`says that the peer ended it when ${how}`, async () => {
        const resets: number[] = [];
        await start((stream) => {
          stream.respond(200, [], false);
          return { ...silent, reset: (code) => resets.push(code) };
        });
        const request = client.request();
        request.on('error', () => {});
        await once(request, 'response');
        lose();
        expect(await tested.ended).to.deep.equal({ by: 'peer' });
        expect(resets).to.deep.equal([http2Error.cancel]);
      });
    }

    it('ends now when it is destroyed, and tells every handler', async () => {
      const resets: number[] = [];
      await start((stream) => {
        stream.respond(200, [], false);
        return { ...silent, reset: (code) => resets.push(code) };
      });
      const requests = [client.request(), client.request()];
      for (const request of requests) request.on('error', () => {});
      await Promise.all(requests.map((request) => once(request, 'response')));
      tested.session.destroy();
      tested.session.destroy();
      expect(resets).to.deep.equal([http2Error.cancel, http2Error.cancel]);
      expect(await tested.ended).to.deep.equal({ by: 'own' });
    });

    it('tells no handler of the end whose stream another one has reset as it was told', async () => {
      const streams: EdgeStream[] = [];
      let told = 0;
      await start((stream) => {
        streams.push(stream);
        stream.respond(200, [], false);
        const reset = (): void => {
          told += 1;
          for (const other of streams) other.reset(http2Error.cancel);
        };
        return { ...silent, reset };
      });
      const requests = [client.request(), client.request()];
      for (const request of requests) request.on('error', () => {});
      await Promise.all(requests.map((request) => once(request, 'response')));
      tested.session.destroy();
      expect([told, tested.session.openStreams]).to.deep.equal([1, 0]);
    });

    describe('when a handler throws', () => {
      const bug = new Error('a bug');
      const throwing: [where: string, stream: EdgeSessionEvents['stream']][] = [
        [
          'at the beginning',
          () => {
            throw bug;
          },
        ],
        [
          'on data',
          () => ({
            ...silent,
            data: () => {
              throw bug;
            },
          }),
        ],
        [
          'at the end',
          () => ({
            ...silent,
            end: () => {
              throw bug;
            },
          }),
        ],
        [
          'on drain',
          (stream) => {
            stream.respond(200, [], false);
            while (stream.write(Buffer.alloc(100_000)));
            return {
              ...silent,
              drain: () => {
                throw bug;
              },
            };
          },
        ],
      ];
      for (const [where, handler] of throwing) {
        it(`${where}, resets its stream alone and reports it`, async () => {
          await start((stream, head) => (head.path === '/bug' ? handler(stream, head) : echo(stream, head)));
          const request = client.request({ ':method': 'POST', ':path': '/bug' });
          request.end('body');
          const failure = await answerOf(request).catch((error: Error) => error);
          expect((failure as Error).message).to.contain('INTERNAL_ERROR');
          expect(tested.thrown).to.deep.equal([bug]);
          expect((await answerOf(client.request())).headers[':status']).to.equal(200);
        });
      }

      it('on reset, reports it', async () => {
        await start(() => ({
          ...silent,
          reset: () => {
            throw bug;
          },
        }));
        const request = client.request({ ':method': 'POST' });
        request.on('error', () => {});
        await eventually('the stream', () => tested.session.openStreams === 1);
        request.close(constants.NGHTTP2_CANCEL);
        await eventually('the report', () => tested.thrown.length === 1);
      });

      it('for a header that would break the line, sends nothing of it', async () => {
        const values = ['b', 'b\r\nset-cookie: c'];
        await start((stream) => {
          stream.respond(200, ['x-a', values.shift()!], true);
          return silent;
        });
        expect((await answerOf(client.request())).headers['x-a']).to.equal('b');
        const failure = await answerOf(client.request()).catch((error: Error) => error);
        expect((failure as Error).message).to.contain('INTERNAL_ERROR');
        expect(tested.thrown).to.have.length(1);
      });
    });

    it('ignores what a handler does with a stream that is over', async () => {
      let kept: EdgeStream | undefined;
      await start((stream, head) => {
        kept ??= stream;
        return echo(stream, head);
      });
      await answerOf(client.request());
      kept!.respond(200, [], false);
      kept!.write(Buffer.from('late'));
      kept!.end(['x', '1']);
      kept!.reset(2);
      kept!.pause();
      kept!.resume();
      expect((await answerOf(client.request())).headers[':status']).to.equal(200);
      expect(tested.thrown).to.deep.equal([]);
    });
  });
}
