import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { maxCollectedBytes, maxCollectedInAllBytes } from '../../src/tunnel/origin/collected-bytes.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { answerOf, ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Proxied, type ProxiedOptions, proxied } from '../support/proxied.ts';
import { RecordedStream } from '../support/recorded-stream.ts';
import { tableTo } from '../support/route-to.ts';
import type { OriginScript } from '../support/scripted-origin.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('a request through the proxy carries its body', () => {
  let here: Proxied;
  const serve = async (script: OriginScript, options?: ProxiedOptions): Promise<Proxied> => {
    here = await proxied(script, options);
    return here;
  };
  afterEach(() => here.stop());

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
    await eventually('the body', () => origin.connections[0]?.received.endsWith('6\r\na body\r\n0\r\n\r\n'));
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

  it('collected only while there is room, and says why it was not', async () => {
    const { proxy, counted, logged } = await serve(() => {}, { settings: { chunkedEncoding: false } });
    const most = Buffer.alloc(maxCollectedBytes);
    const upload = (...pieces: Buffer[]) => {
      const stream = new RecordedStream();
      const head = { method: 'POST', path: '/', scheme: 'https', authority: 'app.example.com' };
      const handler = proxy.open(stream, { ...head, headers: [], ended: false });
      for (const piece of pieces) handler.data(piece);
      return stream.responses[0]?.status ?? null;
    };
    expect(upload(most, Buffer.alloc(1))).to.equal(413);
    const others = Array.from({ length: maxCollectedInAllBytes / maxCollectedBytes }, () => upload(most));
    expect([...new Set(others), upload(most)]).to.deep.equal([null, 503]);
    expect(counted()).to.deep.include({ requests: [0, 0, 0, 0, 1, 1], originErrors: { limit: 2 } });
    expect(logged[0]).to.include({ reason: 'limit' });
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

  for (const chunkedEncoding of [true, false]) {
    const how = chunkedEncoding ? 'in chunks' : 'collected';
    it(`whole and unchanged, ${how}, to an origin that reads slowly`, async () => {
      const slow = createServer((request, response) => {
        const hash = createHash('sha256');
        request.on('data', (chunk) => {
          hash.update(chunk);
          request.pause();
          setImmediate(() => request.resume());
        });
        request.on('end', () => response.end(hash.digest('hex')));
      }).listen(0, '127.0.0.1');
      await once(slow, 'listening');
      const { port } = slow.address() as AddressInfo;
      const { edge } = await serve(() => {}, { routes: () => tableTo([port], { chunkedEncoding }) });
      const sent = randomBytes(maxCollectedBytes);
      const answer = await ask(edge, '/', { ':method': 'PUT' }, sent);
      expect(answer.body.toString()).to.equal(createHash('sha256').update(sent).digest('hex'));
      slow.close();
      slow.closeAllConnections();
    });
  }
});
