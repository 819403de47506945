import { expect } from 'chai';
import { pingTimeoutMs } from '../../src/tunnel/origin/http2-silence.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { Proxied } from '../support/proxied.ts';
import { rawHeaders, rawSettings } from '../support/raw-frames.ts';
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
    const socket = origin.sockets[0]!;
    await pinged(origin);
    socket.write(Buffer.from('0000080601000000000000000000000000', 'hex'));
    // To be read before time goes on.
    socket.write(rawSettings());
    await eventually(
      'both to be read',
      () => origin.framesOf(0).filter(({ type, flags }) => type === 4 && flags === 1).length === 2,
    );
    await clock.advance(4 * 60_000);
    socket.write(rawHeaders(3, okBlock));
    expect((await asked).status).to.equal(200);
  });
});
