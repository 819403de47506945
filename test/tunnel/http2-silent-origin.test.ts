import { expect } from 'chai';
import { pingTimeoutMs } from '../../src/tunnel/origin/http2-silence.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { Proxied } from '../support/proxied.ts';
import { rawBlock, rawData, rawFrame, rawHeaders, rawSettings } from '../support/raw-frames.ts';
import { okBlock, proxiedRawHttp2, type RawHttp2Origin } from '../support/raw-http2-origin.ts';

describe('an origin of HTTP/2 whose host is gone without a word', () => {
  let clock: ManualClock;
  let origins: readonly RawHttp2Origin[];
  let here: Proxied;

  const behind = async (addresses: number): Promise<void> => {
    clock = new ManualClock();
    ({ here, origins } = await proxiedRawHttp2({}, { clock, addresses }));
  };
  afterEach(() => here.stop());

  /** Who has such a number of requests. */
  const having = (requests: number): Promise<RawHttp2Origin> =>
    eventually('the request', () =>
      origins.find(({ sockets }, i) => sockets.length > 0 && origins[i]!.requestsOf(0).length === requests),
    );
  const firstAnswer = async (): Promise<RawHttp2Origin> => {
    const asked = ask(here.edge, '/first');
    const origin = await eventually('a connection', () => origins.find(({ sockets }) => sockets.length > 0));
    const socket = await origin.settled(0);
    socket.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
    return origin;
  };
  const pong = rawFrame(6, 1, 0, Buffer.alloc(8));
  /** It is read before time goes on. */
  const say = async (origin: RawHttp2Origin, frames: Buffer): Promise<void> => {
    const acknowledged = () =>
      origin.framesOf(0).filter(({ type, flags }) => type === 4 && flags === 1).length;
    const before = acknowledged();
    origin.sockets[0]!.write(Buffer.concat([frames, rawSettings()]));
    await eventually('it to be read', () => acknowledged() > before);
  };
  const pinged = async (origin: RawHttp2Origin): Promise<void> => {
    // It was heard in the first five seconds.
    await clock.advance(15_000);
    await origin.frame(0, 6);
  };

  it('costs a POST 504 with the reason, and the next request nothing', async () => {
    await behind(1);
    const origin = await firstAnswer();
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    await having(2);
    await pinged(origin);
    await clock.advance(pingTimeoutMs);
    expect((await asked).status).to.equal(504);
    expect(here.counted()?.originErrors).to.deep.equal({ timeout: 1 });
    expect(here.logged.at(-1)?.message).to.contain(`answered no PING within ${pingTimeoutMs} ms`);
    const next = ask(here.edge, '/next');
    (await origin.settled(1)).write(rawHeaders(1, okBlock));
    expect((await next).status).to.equal(200);
  });

  it('costs a GET nothing where there is another address', async () => {
    await behind(2);
    const first = await firstAnswer();
    const other = origins.find((origin) => origin !== first)!;
    // Turns: the other address is the next one's.
    const meanwhile = ask(here.edge, '/meanwhile');
    (await other.settled(0)).write(rawHeaders(1, okBlock));
    await meanwhile;
    const asked = ask(here.edge, '/');
    const silent = await having(2);
    const alive = origins.find((origin) => origin !== silent)!;
    await pinged(silent);
    await clock.advance(pingTimeoutMs);
    await eventually('the request elsewhere', () => alive.requestsOf(0).length === 2);
    alive.sockets[0]!.write(rawHeaders(3, okBlock));
    expect((await asked).status).to.equal(200);
    expect(here.counted()?.originErrors).to.deep.equal({});
    // The silent one is left alone for a while, though it would have its turn.
    for (const streamId of [5, 7]) {
      const next = ask(here.edge, '/next');
      await eventually('the request', () => alive.requestsOf(0).length === (streamId + 1) / 2);
      alive.sockets[0]!.write(rawHeaders(streamId, okBlock));
      expect((await next).status).to.equal(200);
    }
  });

  it('is no such origin if it answers PING: a request may take as long as it likes', async () => {
    await behind(1);
    const origin = await firstAnswer();
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    await having(2);
    await pinged(origin);
    await say(origin, pong);
    await clock.advance(4 * 60_000);
    await say(origin, rawHeaders(3, okBlock));
    expect((await asked).status).to.equal(200);
  });

  it('is asked anew behind each piece of a message, but by two PINGs at most about what it only reads', async () => {
    // Servers of gRPC end a session at the third PING between two messages of theirs.
    await behind(1);
    const origin = await firstAnswer();
    const pings = () => origin.framesOf(0).filter(({ type }) => type === 6).length;
    const asked: Promise<unknown>[] = [];
    const askAnother = async (): Promise<void> => {
      asked.push(ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' }));
      await having(1 + asked.length);
    };
    /** After it was asked so often, it answers, and nothing is heard for a minute. */
    const askedAbout = async (count: number): Promise<void> => {
      await clock.advance(15_000);
      await eventually('the PING', () => pings() === count);
      await say(origin, pong);
      await clock.advance(60_000);
      expect(pings()).to.equal(count);
    };
    await askAnother();
    await askedAbout(1);
    await askAnother();
    await askedAbout(2);
    await askAnother();
    await clock.advance(30_000);
    expect(pings()).to.equal(2);
    await say(origin, rawHeaders(3, rawBlock(':status', '200'), false));
    await askedAbout(3);
    await say(origin, rawData(3, Buffer.from('a piece')));
    await askedAbout(4);
    await say(
      origin,
      Buffer.concat([rawData(3, Buffer.from('.'), true), rawHeaders(5, okBlock), rawHeaders(7, okBlock)]),
    );
    await Promise.all(asked);
  });
});
