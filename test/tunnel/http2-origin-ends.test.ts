import type { Socket } from 'node:net';
import { expect } from 'chai';
import { defaultOriginSettings, type OriginSettings } from '../../src/domain/ingress.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import { ask } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { Proxied } from '../support/proxied.ts';
import { rawFrame, rawHeaders, rawReset, rawSettings, uint32 } from '../support/raw-frames.ts';
import { okBlock, proxiedRawHttp2, type RawHttp2Origin } from '../support/raw-http2-origin.ts';

const allowed = (count: number): Buffer => rawSettings({ [setting.maxConcurrentStreams]: count });

describe('what an origin of HTTP/2 leaves undone', () => {
  let here: Proxied;
  let origin: RawHttp2Origin;

  const behind = async (settings: Partial<OriginSettings> = {}): Promise<void> => {
    ({ here, origin } = await proxiedRawHttp2(settings));
  };
  afterEach(() => here.stop());

  it('is asked for again when its last stream is refused, also where that ends the session', async () => {
    await behind({ keepAliveConnections: 0 });
    const asked = ask(here.edge, '/', { ':method': 'POST' }, 'body');
    const first = await origin.settled(0);
    first.write(rawReset(1, http2Error.refusedStream));
    const second = await origin.settled(1);
    second.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
  });

  it('is 504 where no stream is ever allowed, on one connection', async () => {
    await behind({ connectTimeoutMs: 200 });
    const asked = ask(here.edge, '/');
    const socket = await eventually('the connection', () => origin.sockets[0]);
    socket.write(allowed(0));
    expect((await asked).status).to.equal(504);
    expect(origin.sockets).to.have.length(1);
    expect(here.logged.at(-1)?.message).to.contain('allowed no HTTP/2 stream within 200 ms');
  });

  it('is done on the same connection once a stream is allowed', async () => {
    await behind();
    const asked = ask(here.edge, '/');
    const socket = await eventually('the connection', () => origin.sockets[0]);
    socket.write(allowed(0));
    await origin.frame(0, 4);
    await origin.settled(0, allowed(1));
    socket.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
    expect(origin.sockets).to.have.length(1);
  });

  it('is 502 where the session ends before a stream is allowed, on one connection', async () => {
    await behind();
    const asked = ask(here.edge, '/');
    const socket = await eventually('the connection', () => origin.sockets[0]);
    socket.write(Buffer.concat([allowed(0), rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(0)]))]));
    expect((await asked).status).to.equal(502);
    expect(origin.sockets).to.have.length(1);
    expect(here.logged.at(-1)?.message).to.contain('before it allowed a stream');
  });

  it('is not sent when the answer is there: a body that waits for window leaves no stream behind', async () => {
    await behind();
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '100000' }, 'x'.repeat(100_000));
    const socket = await origin.settled(0);
    await eventually('the window to be used up', () => {
      const data = origin.framesOf(0).filter(({ type }) => type === 0);
      return data.reduce((sum, { payload }) => sum + payload.length, 0) === 65_535;
    });
    socket.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
    expect(await origin.resetCode(0)).to.equal(http2Error.cancel);
  });

  describe('because it allows no more streams, and no more connections,', () => {
    let clock: ManualClock;
    let running: Promise<unknown>;
    let socket: Socket;
    let other: RawHttp2Origin | undefined;
    /** One stream runs, which is all that it allows. */
    const full = async (addresses = 1): Promise<void> => {
      clock = new ManualClock();
      const all = await proxiedRawHttp2({}, { clock, addresses });
      here = all.here;
      running = ask(here.edge, '/running');
      origin = await eventually('a connection', () => all.origins.find(({ sockets }) => sockets.length > 0));
      other = all.origins.find((one) => one !== origin);
      socket = await origin.settled(0, allowed(1));
      origin.tcp.refuse();
    };
    const refused = () => eventually('the refusal', () => clock.nextTimerMs === 1_000);

    it('waits for its turn on the one that there is', async () => {
      await full();
      const asked = ask(here.edge, '/', { ':method': 'POST' }, 'body');
      await refused();
      socket.write(rawHeaders(1, okBlock));
      await running;
      await eventually('the request', () => origin.requestsOf(0).length === 2);
      socket.write(rawHeaders(3, okBlock));
      expect((await asked).status).to.equal(200);
      expect(here.counted()?.originErrors).to.deep.equal({});
    });

    it('waits no longer than for a connection', async () => {
      await full();
      const asked = ask(here.edge, '/');
      const { connectTimeoutMs } = defaultOriginSettings;
      let waitedMs = 0;
      let over = false;
      void asked.then(() => {
        over = true;
      });
      while (!over && waitedMs < 2 * connectTimeoutMs) {
        await refused();
        // Its session is well.
        socket.write(rawSettings());
        await clock.advance(1_000);
        waitedMs += 1_000;
        await eventually('another refusal, or the answer', () => over || clock.nextTimerMs === 1_000);
      }
      expect((await asked).status).to.equal(502);
      expect(waitedMs).to.equal(connectTimeoutMs);
      expect(here.logged.at(-1)?.message).to.contain('ECONNREFUSED');
      socket.write(rawHeaders(1, okBlock));
      await running;
    });

    it('goes elsewhere at once where there is another address', async () => {
      await full(2);
      const asked = [ask(here.edge, '/1'), ask(here.edge, '/2'), ask(here.edge, '/3')];
      const elsewhere = await other!.settled(0);
      await eventually('all', () => other!.requestsOf(0).length === 3);
      elsewhere.write(Buffer.concat([1, 3, 5].map((id) => rawHeaders(id, okBlock))));
      expect((await Promise.all(asked)).map(({ status }) => status)).to.deep.equal([200, 200, 200]);
      socket.write(rawHeaders(1, okBlock));
      await running;
    });
  });
});
