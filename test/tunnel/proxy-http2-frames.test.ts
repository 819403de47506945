import type { Socket } from 'node:net';
import { expect } from 'chai';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import { ask, ResetError } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import { type Proxied, proxied } from '../support/proxied.ts';
import {
  rawBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawPreface,
  rawReset,
  rawSettings,
  uint32,
} from '../support/raw-frames.ts';
import { tableTo } from '../support/route-to.ts';
import { scriptTcp, type TcpOrigin } from '../support/tcp-origin.ts';

const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/** An origin whose frames are the test's, and ours as it saw them. */
describe('an origin that speaks HTTP/2, frame by frame,', () => {
  let here: Proxied;
  let origin: TcpOrigin;
  beforeEach(async () => {
    origin = await scriptTcp();
    here = await proxied(() => {}, { routes: () => tableTo([origin.port], { protocol: 'h2c' }) });
  });
  afterEach(async () => {
    await here.stop();
    await origin.stop();
  });

  const framesOf = (index: number): { type: number; flags: number; streamId: number; payload: Buffer }[] => {
    const bytes = Buffer.from(origin.received(index) ?? '', 'latin1');
    const frames = [];
    for (let at = rawPreface.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      const payload = bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3));
      frames.push({
        type: bytes[at + 3]!,
        flags: bytes[at + 4]!,
        streamId: bytes.readUInt32BE(at + 5),
        payload,
      });
    }
    return frames;
  };
  /** The paths of its requests, in the order in which they came. */
  const requestsOf = (index: number): (string | undefined)[] => {
    const decoder = new HpackDecoder(4096, { maxListBytes: 65_536, maxFields: 100 });
    return framesOf(index)
      .filter(({ type }) => type === 1)
      .map(
        ({ payload }) =>
          decoder.decode(payload, 0, payload.length)?.find(({ name }) => name === ':path')?.value,
      );
  };
  const settled = async (index: number, settings = rawSettings()): Promise<Socket> => {
    const socket = await eventually('the connection', () => origin.sockets[index]);
    socket.write(settings);
    await eventually('the request', () => framesOf(index).some(({ type }) => type === 1));
    return socket;
  };
  const okBlock = rawBlock(':status', '200');

  it('is told CANCEL, and not that the upload is complete, when the eyeball goes away', async () => {
    // Node's client would send END_STREAM before its RST_STREAM if it did not wait for trailers.
    const stream = here.edge.request(
      { ':path': '/', ':scheme': 'https', ':authority': 'app.example.com', ...grpc },
      { waitForTrailers: true },
    );
    stream.on('error', () => {});
    stream.write('half');
    await settled(0);
    await eventually('the first half', () => framesOf(0).some(({ type }) => type === 0));
    stream.close(http2Error.cancel);
    await eventually('the reset', () => framesOf(0).some(({ type }) => type === 3));
    const ofStream = framesOf(0).filter(({ streamId }) => streamId === 1);
    expect(ofStream.some(({ type, flags }) => type < 2 && (flags & 1) !== 0)).to.equal(false);
    expect(ofStream.at(-1)?.type).to.equal(3);
    expect(ofStream.at(-1)?.payload).to.deep.equal(uint32(http2Error.cancel));
  });

  it('and resets after its head: INTERNAL_ERROR reaches the edge', async () => {
    const asked = ask(here.edge, '/').catch((error: unknown) => error);
    const socket = await settled(0);
    socket.write(Buffer.concat([rawHeaders(1, okBlock, false), rawData(1, Buffer.from('x'))]));
    socket.write(rawReset(1, http2Error.internalError));
    const failure = await asked;
    expect(failure instanceof ResetError ? failure.code : String(failure)).to.match(/^2$|INTERNAL_ERROR/);
    expect(here.counted()?.originErrors).to.deep.equal({ reset: 1 });
  });

  it('and breaks off after its head: the same', async () => {
    const asked = ask(here.edge, '/').catch((error: unknown) => error);
    const socket = await settled(0);
    socket.end(rawHeaders(1, okBlock, false));
    const failure = await asked;
    expect(failure instanceof ResetError ? failure.code : String(failure)).to.match(/^2$|INTERNAL_ERROR/);
  });

  it('and says in GOAWAY that it has not acted on a request, gets it again on a new connection', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    const first = await settled(0);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.enhanceYourCalm)])));
    const second = await settled(1);
    second.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
  });

  it('and ends one session after the other before it comes to the request, gets it seven times and no more', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    for (let session = 0; session < 7; session += 1) {
      const socket = await settled(session);
      socket.write(rawFrame(7, 0, 0, Buffer.concat([uint32(0), uint32(http2Error.noError)])));
    }
    expect((await asked).status).to.equal(502);
    expect(origin.sockets).to.have.length(7);
  });

  it('and ends a session, gets what that cut off before what came meanwhile', async () => {
    // Otherwise an origin that ends each session after some streams starves some requests under load.
    const first = ask(here.edge, '/first');
    const socket = await settled(0, rawSettings({ [setting.maxConcurrentStreams]: 2 }));
    const cutOff = ask(here.edge, '/cut-off');
    await eventually('two streams', () => requestsOf(0).length === 2);
    const meanwhile = ask(here.edge, '/meanwhile');
    const next = await eventually('another connection', () => origin.sockets[1]);
    socket.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.noError)])));
    socket.write(rawHeaders(1, okBlock));
    await first;
    next.write(rawSettings());
    await eventually('both', () => requestsOf(1).length === 2);
    expect(requestsOf(1)).to.deep.equal(['/cut-off', '/meanwhile']);
    next.write(Buffer.concat([rawHeaders(1, okBlock), rawHeaders(3, okBlock)]));
    expect([(await cutOff).status, (await meanwhile).status]).to.deep.equal([200, 200]);
  });

  it('and says in GOAWAY that it has acted on it, does not', async () => {
    const asked = ask(here.edge, '/', { ':method': 'POST', 'content-length': '0' });
    const first = await settled(0);
    first.write(rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(http2Error.enhanceYourCalm)])));
    expect((await asked).status).to.equal(502);
    expect(origin.sockets).to.have.length(1);
  });

  it('and sends a line break in a header, has that header left out', async () => {
    const asked = ask(here.edge, '/');
    const socket = await settled(0);
    socket.write(rawHeaders(1, rawBlock(':status', '200', 'x-bad', 'a\r\nb: c', 'x-good', 'd')));
    expect((await asked).originHeaders).to.deep.equal(['X-Good', 'd']);
  });
});
