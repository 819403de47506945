import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import { ask, openStream } from '../support/edge-request.ts';
import { eventually } from '../support/eventually.ts';
import type { Proxied } from '../support/proxied.ts';
import {
  rawBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawReset,
  rawSettings,
  rawWindowUpdate,
  uint32,
} from '../support/raw-frames.ts';
import { okBlock, proxiedRawHttp2, type RawHttp2Origin } from '../support/raw-http2-origin.ts';

const { enhanceYourCalm, flowControlError, frameSizeError, protocolError, streamClosed } = http2Error;

/** Floods are longer than what is allowed at once: that fills up again as time goes by. */
function many(count: number, frame: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => frame));
}

describe('an origin that breaks the rules of HTTP/2', () => {
  let here: Proxied;
  let origin: RawHttp2Origin;
  beforeEach(async () => {
    ({ here, origin } = await proxiedRawHttp2());
  });
  afterEach(() => here.stop());

  /** By the next request, that the thread is well and another session serves. */
  const servesOn = async (): Promise<void> => {
    const index = origin.sockets.length;
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(index);
    socket.write(rawHeaders(1, okBlock));
    expect((await asked).status).to.equal(200);
  };

  const ends: [title: string, code: number, frames: readonly Buffer[]][] = [
    ['by too many PING (1,000)', enhanceYourCalm, [many(3000, rawFrame(6, 0, 0, Buffer.alloc(8)))]],
    ['by too many SETTINGS (1,000)', enhanceYourCalm, [many(3000, rawSettings())]],
    [
      'by too many GOAWAY (1,000)',
      enhanceYourCalm,
      [many(3000, rawFrame(7, 0, 0, Buffer.concat([uint32(1), uint32(0)])))],
    ],
    [
      'by too many empty DATA (1,000)',
      enhanceYourCalm,
      [rawHeaders(1, okBlock, false), many(3000, rawData(1, Buffer.alloc(0)))],
    ],
    ['by too many WINDOW_UPDATE (50,000)', enhanceYourCalm, [many(300_000, rawWindowUpdate(0, 1))]],
    [
      'by too many empty CONTINUATION (256)',
      enhanceYourCalm,
      [rawFrame(1, 0, 1, okBlock), many(257, rawFrame(9, 0, 1))],
    ],
    ['by PUSH_PROMISE', protocolError, [rawFrame(5, 4, 1, Buffer.concat([uint32(2), okBlock]))]],
    ['by ENABLE_PUSH', protocolError, [rawSettings({ [setting.enablePush]: 1 })]],
    ['by a response that nobody asked for', protocolError, [rawHeaders(3, okBlock)]],
    ['by a stream of its own', protocolError, [rawHeaders(2, okBlock)]],
    ['by DATA on an idle stream', protocolError, [rawData(5, Buffer.alloc(1))]],
    ['by a frame above 128 KiB', frameSizeError, [rawFrame(0, 0, 1, Buffer.alloc(128 * 1024 + 1))]],
    ['by a connection window beyond 2^31 - 1', flowControlError, [rawWindowUpdate(0, 2 ** 31 - 1)]],
    ['by what is not HPACK', http2Error.compressionError, [rawHeaders(1, Buffer.from('80', 'hex'))]],
  ];
  for (const [title, code, frames] of ends) {
    it(`ends its session ${title}, and the next request gets another one`, async () => {
      const asked = ask(here.edge, '/').catch(() => null);
      const socket = await origin.settled(0);
      socket.write(Buffer.concat(frames));
      expect(await origin.goaway(0)).to.equal(code);
      await asked;
      await servesOn();
    });
  }

  const loses: [title: string, code: number, frames: readonly Buffer[]][] = [
    ['DATA before a head', protocolError, [rawData(1, Buffer.alloc(1))]],
    ['no :status', protocolError, [rawHeaders(1, rawBlock('x-a', 'b'))]],
    [
      'two lengths',
      protocolError,
      [rawHeaders(1, rawBlock(':status', '200', 'content-length', '1', 'content-length', '2'))],
    ],
    ['a pseudo field of requests', protocolError, [rawHeaders(1, rawBlock(':status', '200', ':path', '/'))]],
    ['101', protocolError, [rawHeaders(1, rawBlock(':status', '101'), false)]],
    ['an informational end', protocolError, [rawHeaders(1, rawBlock(':status', '103'))]],
    [
      '33 informational responses',
      enhanceYourCalm,
      [many(33, rawHeaders(1, rawBlock(':status', '103'), false))],
    ],
    ['a head above 512 KiB', enhanceYourCalm, [...largeHead(1)]],
    [
      'a length and no body',
      protocolError,
      [rawHeaders(1, rawBlock(':status', '200', 'content-length', '1'))],
    ],
    ['WINDOW_UPDATE by 0', protocolError, [rawWindowUpdate(1, 0)]],
  ];
  for (const [title, code, frames] of loses) {
    it(`loses the stream alone with ${title}: 502`, async () => {
      const asked = ask(here.edge, '/');
      const other = ask(here.edge, '/other');
      const socket = await origin.settled(0);
      await eventually('both', () => origin.requestsOf(0).length === 2);
      socket.write(Buffer.concat(frames));
      expect((await asked).status).to.equal(502);
      expect(await origin.resetCode(0)).to.equal(code);
      expect(here.counted()?.originErrors).to.deep.equal({ protocol: 1 });
      expect(here.logged.at(-1)?.message).to.contain('the origin sent ');
      socket.write(rawHeaders(3, okBlock));
      expect((await other).status).to.equal(200);
    });
  }

  for (const status of [204, 304]) {
    it(`may announce a length with ${status}, which has no body`, async () => {
      const asked = ask(here.edge, '/');
      const socket = await origin.settled(0);
      socket.write(rawHeaders(1, rawBlock(':status', String(status), 'content-length', '9')));
      expect((await asked).status).to.equal(status);
    });
  }

  it('may send 32 informational responses before the real one', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    const interim = rawHeaders(1, rawBlock(':status', '103'), false);
    socket.write(Buffer.concat([many(32, interim), rawHeaders(1, okBlock)]));
    expect((await asked).status).to.equal(200);
  });

  it('and sends more than it announced, or less, or trailers that do not end: the response is broken off', async () => {
    const announced = rawHeaders(1, rawBlock(':status', '200', 'content-length', '3'), false);
    const broken = [
      [announced, rawData(1, Buffer.from('four'))],
      [announced, rawData(1, Buffer.from('no'), true)],
      [rawHeaders(1, okBlock, false), rawHeaders(1, rawBlock('x-sum', '1'), false)],
    ];
    for (const [index, frames] of broken.entries()) {
      const asked = ask(here.edge, '/').catch((error: unknown) => error);
      const id = uint32(2 * index + 1);
      const socket = index === 0 ? await origin.settled(0) : origin.sockets[0]!;
      await eventually('the request', () => origin.requestsOf(0).length === index + 1);
      for (const frame of frames) {
        id.copy(frame, 5);
        socket.write(frame);
      }
      expect(await asked).to.be.instanceOf(Error);
    }
    expect(here.counted()?.originErrors).to.deep.equal({ protocol: 3 });
  });

  it('and answers a request twice, is told that this was over, and goes on', async () => {
    const asked = ask(here.edge, '/');
    const socket = await origin.settled(0);
    socket.write(rawHeaders(1, okBlock));
    await asked;
    socket.write(rawHeaders(1, rawBlock(':status', '500')));
    expect(await origin.resetCode(0)).to.equal(streamClosed);
    const next = ask(here.edge, '/next');
    await eventually('the request', () => origin.requestsOf(0).length === 2);
    socket.write(rawHeaders(3, okBlock));
    expect((await next).status).to.equal(200);
  });

  it('may send what comes too late for a stream that we have reset', async () => {
    const stream = openStream(here.edge, '/', {}, true);
    stream.on('error', () => {});
    const other = ask(here.edge, '/other');
    const socket = await origin.settled(0);
    await eventually('both', () => origin.requestsOf(0).length === 2);
    stream.close(http2Error.cancel);
    await origin.frame(0, 3);
    socket.write(Buffer.concat([rawHeaders(1, okBlock, false), rawData(1, Buffer.alloc(9), true)]));
    socket.write(rawReset(1, http2Error.noError));
    socket.write(rawHeaders(3, okBlock));
    expect((await other).status).to.equal(200);
    expect(origin.sockets).to.have.length(1);
  });
});

/** A head whose list is above what we announce, in frames that we take. */
function largeHead(streamId: number): Buffer[] {
  const fields = Array.from({ length: 9 }, (_, i) => [`x-${i}`, 'y'.repeat(60_000)]).flat();
  const block = rawBlock(':status', '200', ...fields);
  const pieces = Array.from({ length: Math.ceil(block.length / 100_000) }, (_, i) =>
    block.subarray(i * 100_000, (i + 1) * 100_000),
  );
  return pieces.map((piece, i) =>
    rawFrame(i === 0 ? 1 : 9, (i === 0 ? 1 : 0) | (i === pieces.length - 1 ? 4 : 0), streamId, piece),
  );
}
