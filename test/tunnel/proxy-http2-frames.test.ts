import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import { answerOf, ask, ResetError } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import type { Proxied } from '../support/proxied.ts';
import {
  rawBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawReset,
  rawSettings,
  uint32,
} from '../support/raw-frames.ts';
import { okBlock, proxiedRawHttp2, type RawHttp2Origin } from '../support/raw-http2-origin.ts';

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/** An origin whose frames are the test's, and ours as it saw them. */
describe('an origin that speaks HTTP/2, frame by frame,', () => {
  let here: Proxied;
  let origin: RawHttp2Origin;
  beforeEach(async () => {
    ({ here, origin } = await proxiedRawHttp2());
  });
  afterEach(() => here.stop());

  const framesOf = (index: number) => origin.framesOf(index);

  it('is told CANCEL, and not that the upload is complete, when the eyeball goes away', async () => {
    // Node's client would send END_STREAM before its RST_STREAM if it did not wait for trailers.
    const stream = here.edge.request(
      { ':path': '/', ':scheme': 'https', ':authority': 'app.example.com', ...grpc },
      { waitForTrailers: true },
    );
    stream.on('error', () => {});
    stream.write('half');
    await origin.settled(0);
    await eventually('the first half', () => framesOf(0).some(({ type }) => type === 0));
    stream.close(http2Error.cancel);
    await eventually('the reset', () => framesOf(0).some(({ type }) => type === 3));
    const ofStream = framesOf(0).filter(({ streamId }) => streamId === 1);
    expect(ofStream.some(({ type, flags }) => type < 2 && (flags & 1) !== 0)).to.equal(false);
    expect(ofStream.at(-1)?.type).to.equal(3);
    expect(ofStream.at(-1)?.payload).to.deep.equal(uint32(http2Error.cancel));
  });

  for (const [how, code, reason] of [
    ['by an error', http2Error.internalError, 'reset'],
    ['by a breach of ours', http2Error.protocolError, 'protocol'],
    ['as if that were all, of no announced length', http2Error.noError, 'reset'],
  ] as const) {
    it(`and resets after its head, ${how}: INTERNAL_ERROR reaches the edge`, async () => {
      const asked = ask(here.edge, '/').catch((error: unknown) => error);
      const socket = await origin.settled(0);
      socket.write(Buffer.concat([rawHeaders(1, okBlock, false), rawData(1, Buffer.from('x'))]));
      socket.write(rawReset(1, code));
      const failure = await asked;
      expect(failure instanceof ResetError ? failure.code : String(failure)).to.match(/^2$|INTERNAL_ERROR/);
      expect(here.counted()?.originErrors).to.deep.equal({ [reason]: 1 });
    });
  }

  for (const [what, frames] of [
    ['a body', [rawData(1, Buffer.from('x'), true)]],
    ['a reset', [rawReset(1, http2Error.internalError)]],
    ['nothing, as its session ends', []],
  ] as const) {
    it(`and has ${what} follow the head that answers HEAD: that is the answer, as it is behind cloudflared`, async () => {
      const asked = ask(here.edge, '/', { ':method': 'HEAD' });
      const socket = await origin.settled(0);
      socket.end(Buffer.concat([rawHeaders(1, okBlock, false), ...frames]));
      const answer = await asked;
      expect([answer.status, answer.body.length]).to.deep.equal([200, 0]);
      expect(here.counted()).to.deep.include({ requests: [0, 0, 1, 0, 0, 0], originErrors: {} });
    });
  }

  it('and breaks off after its head: the same', async () => {
    const asked = ask(here.edge, '/').catch((error: unknown) => error);
    const socket = await origin.settled(0);
    socket.end(rawHeaders(1, okBlock, false));
    const failure = await asked;
    expect(failure instanceof ResetError ? failure.code : String(failure)).to.match(/^2$|INTERNAL_ERROR/);
  });

  it('and says in GOAWAY that it has not acted on a request, gets it again on a new connection', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    const first = await origin.settled(0);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.enhanceYourCalm)])));
    const second = await origin.settled(1);
    second.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
  });

  it('and ends one session after the other before it comes to the request, gets it seven times and no more', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    for (let session = 0; session < 7; session += 1) {
      const socket = await origin.settled(session);
      socket.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.noError)])));
    }
    expect((await asked).status).to.equal(502);
    expect(origin.sockets).to.have.length(7);
  });

  it('and ends a session, gets what that cut off before what came meanwhile', async () => {
    // Otherwise an origin that ends each session after some streams starves some requests under load.
    const first = ask(here.edge, '/first');
    const socket = await origin.settled(0, rawSettings({ [setting.maxConcurrentStreams]: 2 }));
    const cutOff = ask(here.edge, '/cut-off');
    await eventually('two streams', () => origin.requestsOf(0).length === 2);
    const meanwhile = ask(here.edge, '/meanwhile');
    const next = await eventually('another connection', () => origin.sockets[1]);
    socket.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.noError)])));
    socket.write(rawHeaders(1, okBlock));
    await first;
    next.write(rawSettings());
    await eventually('both', () => origin.requestsOf(1).length === 2);
    expect(origin.requestsOf(1)).to.deep.equal(['/cut-off', '/meanwhile']);
    next.write(Buffer.concat([rawHeaders(1, okBlock), rawHeaders(3, okBlock)]));
    expect([(await cutOff).status, (await meanwhile).status]).to.deep.equal([200, 200]);
  });

  it('and says in GOAWAY that it has acted on it, does not', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    const first = await origin.settled(0);
    first.end(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.enhanceYourCalm)])));
    expect((await asked).status).to.equal(502);
    expect(origin.sockets).to.have.length(1);
    expect(here.logged.at(-1)?.message).to.contain('ended the HTTP/2 session with code 11');
  });

  it('and sends a line break in a header, has that header left out', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    socket.write(rawHeaders(1, rawBlock(':status', '200', 'x-bad', 'a\r\nb: c', 'x-good', 'd')));
    expect((await asked).originHeaders).to.deep.equal(['X-Good', 'd']);
  });

  it('and names an error in GOAWAY, has what it had begun to look at finished, and no new requests', async () => {
    const asked = ask(here.edge, '/');
    const first = await origin.settled(0);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.enhanceYourCalm)])));
    first.write(rawHeaders(1, okBlock, false));
    const next = ask(here.edge, '/next');
    const second = await origin.settled(1);
    second.write(rawHeaders(1, okBlock));
    expect((await next).status).to.equal(200);
    first.write(rawData(1, Buffer.from('all of it'), true));
    expect((await asked).body.toString()).to.equal('all of it');
    expect(origin.requestsOf(0)).to.deep.equal(['/']);
  });

  it('and says in GOAWAY that it has looked at nothing, behind the head of an answer, may finish that one', async () => {
    const asked = ask(here.edge, '/');
    const first = await origin.settled(0);
    first.write(rawHeaders(1, okBlock, false));
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.noError)])));
    first.write(rawData(1, Buffer.from('all of it'), true));
    expect((await asked).body.toString()).to.equal('all of it');
    expect(await origin.goaway(0)).to.equal(http2Error.noError);
  });

  it('and names an error in GOAWAY and refuses a stream that it had begun, gets that one again', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST' }, 'body');
    const first = await origin.settled(0);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.enhanceYourCalm)])));
    first.write(rawReset(1, http2Error.refusedStream));
    const second = await origin.settled(1);
    second.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
  });

  it('and says in GOAWAY first that it will, then which streams it has looked at, is believed both times', async () => {
    const asked = ask(here.edge, '/');
    const cutOff = ask(here.edge, '/cut-off', { ':method': 'POST' }, 'body');
    const first = await origin.settled(0);
    await eventually('both', () => origin.requestsOf(0).length === 2);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(2 ** 31 - 1), uint32(http2Error.noError)])));
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.noError)])));
    first.write(rawHeaders(1, okBlock));
    const second = await origin.settled(1);
    second.write(rawHeaders(1, okBlock));
    expect([(await asked).status, (await cutOff).status]).to.deep.equal([200, 200]);
  });

  it('and ends a response with RST_STREAM NO_ERROR, has told all of it if that is as long as announced', async () => {
    const block = rawBlock(':status', '200', 'content-length', '4');
    const whole = ask(here.edge, '/');
    const socket = await origin.settled(0);
    socket.write(Buffer.concat([rawHeaders(1, block, false), rawData(1, Buffer.from('body'))]));
    socket.write(rawReset(1, http2Error.noError));
    expect((await whole).body.toString()).to.equal('body');
    const half = ask(here.edge, '/').catch((error: unknown) => error);
    await eventually('the request', () => origin.requestsOf(0).length === 2);
    socket.write(Buffer.concat([rawHeaders(3, block, false), rawData(3, Buffer.from('bod'))]));
    socket.write(rawReset(3, http2Error.noError));
    expect(await half).to.be.instanceOf(Error);
    expect(here.logged.at(-1)?.message).to.contain('before it was complete');
  });

  it('and wants HTTP/1.1, is 502 with the reason: prior knowledge leaves no choice', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    socket.write(rawReset(1, http2Error.http11Required));
    expect((await asked).status).to.equal(502);
    expect(here.logged.at(-1)?.message).to.contain('wants HTTP/1.1');
    expect(origin.sockets).to.have.length(1);
  });

  it('gets no more streams than it allows, also when it allows fewer or more; who came first is first', async () => {
    const allowed = (count: number) => rawSettings({ [setting.maxConcurrentStreams]: count });
    const first = ask(here.edge, '/1');
    const socket = await origin.settled(0, allowed(1));
    const others = ['/2', '/3', '/4'].map((path) => ask(here.edge, path));
    const second = await eventually('another connection', () => origin.sockets[1]);
    second.write(allowed(0));
    // Room on the first only: the second session is open and full.
    await origin.frame(1, 4);
    socket.write(rawHeaders(1, okBlock));
    await first;
    await eventually('the next request', () => origin.requestsOf(0).length === 2);
    socket.write(allowed(2));
    await eventually('one more', () => origin.requestsOf(0).length === 3);
    socket.write(Buffer.concat([rawHeaders(3, okBlock), rawHeaders(5, okBlock)]));
    await eventually('the last', () => origin.requestsOf(0).length === 4);
    socket.write(rawHeaders(7, okBlock));
    await Promise.all(others);
    expect(origin.requestsOf(0)).to.deep.equal(['/1', '/2', '/3', '/4']);
  });

  it('has its PING answered and its new SETTINGS acknowledged, in the middle of a response', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    socket.write(rawHeaders(1, okBlock, false));
    socket.write(rawFrame(6, 0, 0, Buffer.from('12345678')));
    const pong = await origin.frame(0, 6);
    expect([pong.flags, pong.payload.toString()]).to.deep.equal([1, '12345678']);
    const acks = () => origin.framesOf(0).filter(({ type, flags }) => type === 4 && flags === 1).length;
    const before = acks();
    socket.write(rawSettings({ [setting.headerTableSize]: 0, [setting.initialWindowSize]: 10 }));
    await eventually('the acknowledgement', () => acks() === before + 1);
    socket.write(rawData(1, Buffer.from('x'), true));
    expect((await asked).status).to.equal(200);
    // The table was emptied: the next request begins with that, and says everything anew.
    await Promise.all([
      ask(here.edge, '/again', { ':method': 'POST' }, 'longer than ten bytes').catch(() => {}),
      eventually('ten bytes and no more', () => {
        const data = origin.framesOf(0).filter(({ type, streamId }) => type === 0 && streamId === 3);
        return data.reduce((sum, { payload }) => sum + payload.length, 0) === 10;
      }).then(() => socket.write(rawHeaders(3, okBlock))),
    ]);
    expect(origin.requestsOf(0)).to.deep.equal(['/', '/again']);
  });

  it('may send its head and its trailers in many pieces', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    const head = rawBlock(':status', '200', 'x-a', 'b'.repeat(300));
    const pieces = [head.subarray(0, 1), head.subarray(1, 200), head.subarray(200)] as const;
    socket.write(rawFrame(1, 0, 1, pieces[0]));
    socket.write(rawFrame(9, 0, 1, pieces[1]));
    socket.write(rawFrame(9, 4, 1, pieces[2]));
    socket.write(rawFrame(1, 1, 1, rawBlock('grpc-status', '0')));
    socket.write(rawFrame(9, 4, 1));
    const answer = await asked;
    expect(answer.originHeaders).to.deep.equal(['X-A', 'b'.repeat(300)]);
    expect(answer.trailers['grpc-status']).to.equal('0');
  });

  it('and takes no head as long as that of a request, is not sent it, and is asked for the next one as ever', async () => {
    const first = ask(here.edge, '/');
    const socket = await origin.settled(0, rawSettings({ 3: 1, [setting.maxHeaderListSize]: 16_384 }));
    socket.write(rawHeaders(1, okBlock));
    await first;
    expect((await ask(here.edge, '/long', { 'x-long': '1'.repeat(20_000) })).status).to.equal(502);
    expect(here.logged.at(-1)?.message).to.contain('head is larger than the origin takes');
    // Its place is free again, and there is one only.
    const next = ask(here.edge, '/next');
    await eventually('the request', () => origin.requestsOf(0).length === 2);
    expect(origin.requestsOf(0)).to.deep.equal(['/', '/next']);
    socket.write(rawHeaders(3, okBlock));
    expect((await next).status).to.equal(200);
  });

  it('and takes no trailers as long as those of a request, is sent none, and keeps its session with all else on it', async () => {
    // Hyper, and so tonic, announces so little, and ends a session whose header block is longer than it takes.
    const other = ask(here.edge, '/other');
    const socket = await origin.settled(0, rawSettings({ [setting.maxHeaderListSize]: 16_384 }));
    const stream = here.edge.request(
      { ':path': '/long', ':scheme': 'https', ':authority': 'app.example.com', ...grpc },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1'.repeat(20_000) }));
    stream.end('body');
    expect((await answerOf(stream)).status).to.equal(502);
    expect(await origin.resetCode(0)).to.equal(http2Error.cancel);
    expect(framesOf(0).filter(({ type, streamId }) => type === 1 && streamId === 3)).to.have.length(1);
    expect(here.logged.at(-1)?.message).to.contain('trailers are larger than the origin takes');
    socket.write(rawHeaders(1, okBlock));
    expect((await other).status).to.equal(200);
  });

  for (const [each, requests] of [
    [10, 300],
    [1, 20],
  ] as const) {
    it(`and ends each session after ${each} of its requests, answers ${requests} that come at once`, async () => {
      const carried = new Map<number, number>();
      const serveSome = (index: number): void => {
        const socket = origin.sockets[index]!;
        const ids = origin
          .framesOf(index)
          .filter(({ type }) => type === 1)
          .map(({ streamId }) => streamId);
        const seen = carried.get(index) ?? 0;
        const now = Math.min(ids.length, each);
        if (now === seen) return;
        carried.set(index, now);
        socket.write(Buffer.concat(ids.slice(seen, now).map((id) => rawHeaders(id, okBlock))));
        if (now === each) socket.end(rawFrame(7, 0, 0, Buffer.concat([uint32(ids[each - 1]!), uint32(0)])));
      };
      const asked = Promise.all(
        Array.from({ length: requests }, (_, i) => ask(here.edge, `/${i}`, { ':method': 'POST' }, 'x')),
      );
      let done = false;
      void asked.finally(() => {
        done = true;
      });
      const greeted = new Set<number>();
      await eventually('all to be answered', () => {
        for (const [index, socket] of origin.sockets.entries()) {
          if (!greeted.has(index)) socket.write(rawSettings());
          greeted.add(index);
          serveSome(index);
        }
        return done;
      });
      const statuses = new Set((await asked).map(({ status }) => status));
      expect([...statuses]).to.deep.equal([200]);
    });
  }
});
