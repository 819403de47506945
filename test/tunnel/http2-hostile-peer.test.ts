import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { defaultHttp2Limits } from '../../src/tunnel/wire/http2-limits.ts';
import { eventually } from '../support/eventually.ts';
import {
  getBlock,
  postBlock,
  rawBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawPreface,
  rawReset,
  rawSettings,
  rawWindowUpdate,
  uint32,
} from '../support/raw-frames.ts';
import { SessionStage } from '../support/session-stage.ts';

const {
  enhanceYourCalm,
  flowControlError,
  frameSizeError,
  protocolError,
  refusedStream,
  settingsTimeout,
  streamClosed,
} = http2Error;
const mebi = 1024 * 1024;

/** `count` frames made by `make`, as one buffer. */
function many(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

describe('HTTP/2 session, with a peer that breaks the rules', () => {
  let stage: SessionStage;

  afterEach(() => stage.close());

  describe('is ended', () => {
    afterEach(async () => {
      // Whatever it was: the end is told once, with a reason, and nothing is left open.
      const end = await stage.end();
      expect(end.by).to.equal('error');
      expect(stage.tested.session.openStreams).to.equal(0);
      expect(stage.tested.thrown).to.deep.equal([]);
    });

    it('without a preface within 10 s', async () => {
      stage = await SessionStage.open();
      stage.edge.send(rawPreface.subarray(0, 10));
      await stage.clock.advance(10_000);
      expect(await stage.edge.goaway()).to.equal(protocolError);
    });

    it('without SETTINGS within 2 s of the preface', async () => {
      stage = await SessionStage.open();
      stage.edge.send(rawPreface);
      await eventually('the preface was read', () => stage.clock.nextTimerMs === 2000);
      await stage.clock.advance(2000);
      expect(await stage.edge.goaway()).to.equal(settingsTimeout);
    });

    it('when its SETTINGS are not acknowledged within 10 s', async () => {
      stage = await SessionStage.open();
      stage.edge.send(rawPreface, rawSettings(), rawHeaders(1));
      await stage.edge.frame(1, 1);
      await stage.clock.advance(10_000);
      expect(await stage.edge.goaway()).to.equal(settingsTimeout);
    });

    it('when a header block is not completed in time', async () => {
      stage = await SessionStage.open({ limits: { headerBlockMs: 5000 } });
      stage.edge.shakeHands();
      stage.edge.send(rawFrame(1, 1, 1, getBlock));
      await eventually('the block was begun', () => stage.clock.nextTimerMs === 5000);
      stage.edge.send(rawFrame(9, 0, 1));
      await stage.clock.advance(5000);
      expect(await stage.edge.goaway()).to.equal(enhanceYourCalm);
    });

    const floods: [title: string, code: number, make: () => Buffer][] = [
      [
        'streams opened and reset at once (4,000)',
        enhanceYourCalm,
        () =>
          many(4001, (i) => Buffer.concat([rawHeaders(i * 2 + 1, postBlock, false), rawReset(i * 2 + 1, 8)])),
      ],
      [
        'streams that we must reset (4,000)',
        enhanceYourCalm,
        () => many(4001, (i) => rawHeaders(i * 2 + 1, rawBlock(':method', 'GET'))),
      ],
      [
        'streams that are made to break by a WINDOW_UPDATE of 0 (4,000)',
        enhanceYourCalm,
        () =>
          many(4001, (i) =>
            Buffer.concat([rawHeaders(i * 2 + 1, postBlock, false), rawWindowUpdate(i * 2 + 1, 0)]),
          ),
      ],
      ['PING (1,000)', enhanceYourCalm, () => many(1001, () => rawFrame(6, 0, 0, Buffer.alloc(8)))],
      ['SETTINGS (1,000)', enhanceYourCalm, () => many(1001, () => rawSettings())],
      [
        'empty DATA (1,000)',
        enhanceYourCalm,
        () => Buffer.concat([rawHeaders(1, postBlock, false), many(1001, () => rawData(1, Buffer.alloc(0)))]),
      ],
      ['WINDOW_UPDATE (50,000)', enhanceYourCalm, () => many(50_001, () => rawWindowUpdate(0, 1))],
      ['PRIORITY (50,000)', enhanceYourCalm, () => many(50_001, () => rawFrame(2, 0, 1, Buffer.alloc(5)))],
      ['frames of unknown types (50,000)', enhanceYourCalm, () => many(50_001, () => rawFrame(0xfa, 0, 0))],
      [
        'resets of closed streams (50,000)',
        enhanceYourCalm,
        () => Buffer.concat([rawHeaders(1), many(50_001, () => rawReset(1, 8))]),
      ],
      [
        'empty CONTINUATION (256)',
        enhanceYourCalm,
        () => Buffer.concat([rawFrame(1, 1, 1, getBlock), many(257, () => rawFrame(9, 0, 1))]),
      ],
      [
        'bytes of one header block (2 MiB)',
        enhanceYourCalm,
        () =>
          Buffer.concat([
            rawFrame(1, 1, 1, Buffer.alloc(mebi)),
            rawFrame(9, 0, 1, Buffer.alloc(mebi)),
            rawFrame(9, 0, 1, Buffer.alloc(1)),
          ]),
      ],
      ['settings in one frame (128)', enhanceYourCalm, () => rawFrame(4, 0, 0, Buffer.alloc(129 * 6, 0xff))],
    ];
    for (const [title, code, make] of floods) {
      it(`by too many ${title}`, async () => {
        stage = await SessionStage.open();
        stage.edge.shakeHands();
        stage.edge.send(make());
        expect(await stage.edge.goaway()).to.equal(code);
      });
    }

    const breaches: [title: string, code: number, frames: Buffer[]][] = [
      ['a frame above 1 MiB', frameSizeError, [rawData(1, Buffer.alloc(mebi + 1))]],
      ['a connection window beyond 2^31 - 1', flowControlError, [rawWindowUpdate(0, 2 ** 31 - 1)]],
      ['an initial window beyond 2^31 - 1', flowControlError, [rawSettings({ 4: 2 ** 31 })]],
      [
        'an initial window that makes a stream too large',
        flowControlError,
        [rawHeaders(1, postBlock, false), rawWindowUpdate(1, 2 ** 30), rawSettings({ 4: 2 ** 30 + 65_535 })],
      ],
      ['WINDOW_UPDATE of the connection by 0', protocolError, [rawWindowUpdate(0, 0)]],
      ['ENABLE_PUSH 2', protocolError, [rawSettings({ 2: 2 })]],
      ['MAX_FRAME_SIZE 16,383', protocolError, [rawSettings({ 5: 16_383 })]],
      ['MAX_FRAME_SIZE 2^24', protocolError, [rawSettings({ 5: 2 ** 24 })]],
      ['an even stream', protocolError, [rawHeaders(2)]],
      ['HEADERS on a stream that is over', streamClosed, [rawHeaders(3), rawHeaders(3)]],
      ['HEADERS below the highest stream', streamClosed, [rawHeaders(3), rawHeaders(1)]],
      ['DATA on an idle stream', protocolError, [rawData(1, Buffer.alloc(1))]],
      ['WINDOW_UPDATE on an idle stream', protocolError, [rawWindowUpdate(1, 1)]],
      ['RST_STREAM on an idle stream', protocolError, [rawReset(1, 8)]],
      [
        'a frame on a stream that we would have to open',
        protocolError,
        [rawHeaders(3), rawWindowUpdate(2, 1)],
      ],
      ['a faulty PRIORITY on an idle stream', frameSizeError, [rawFrame(2, 0, 1, Buffer.alloc(4))]],
      [
        'a header block that is not HPACK',
        http2Error.compressionError,
        [rawHeaders(1, Buffer.from('80', 'hex'))],
      ],
    ];
    for (const [title, code, frames] of breaches) {
      it(`by ${title}`, async () => {
        stage = await SessionStage.open();
        stage.edge.shakeHands();
        stage.edge.send(...frames);
        expect(await stage.edge.goaway()).to.equal(code);
      });
    }

    it('by DATA beyond the connection window', async () => {
      stage = await SessionStage.open({ limits: { connectionWindowBytes: 70_000, maxHeldBytes: 0 } });
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1, postBlock, false));
      const { stream } = await eventually('the stream', () => stage.seen[0]);
      stream.pause();
      stage.edge.send(rawData(1, Buffer.alloc(40_000)));
      await eventually('the first DATA', () => stage.seen[0]!.bodyBytes === 40_000);
      stage.edge.send(rawData(1, Buffer.alloc(30_001)));
      expect(await stage.edge.goaway()).to.equal(flowControlError);
      expect(stage.seen[0]!.reset).to.equal(flowControlError);
    });

    it('when it does not read its answers', async () => {
      const header = 'x'.repeat(30_000);
      stage = await SessionStage.open({ limits: { maxUnsentBytes: 500_000 } }, ({ stream }) =>
        stream.respond(200, ['x-big', header], true),
      );
      stage.edge.shakeHands();
      await eventually('the handshake is done', () => stage.clock.pendingTimers === 0);
      stage.edge.socket.pause();
      // The session lingers as soon as it has given up.
      for (let id = 1; id < 4000 && stage.clock.pendingTimers === 0; id += 2) {
        stage.edge.send(rawHeaders(id));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await stage.clock.advance(defaultHttp2Limits.lingerMs);
      expect(await stage.end()).to.deep.equal({ by: 'error', message: 'what is sent is not read' });
    });
  });

  describe('goes on, and the stream alone is refused,', () => {
    afterEach(async () => {
      // The proof that the connection lives: one more request, whose head builds on what came before.
      stage.edge.send(rawHeaders(20_001));
      expect((await stage.edge.frame(1, 20_001)).flags & 1).to.equal(1);
      expect(stage.edge.on(0, 7)).to.deep.equal([]);
    });

    it('by more streams than announced', async () => {
      const waiting: (() => void)[] = [];
      stage = await SessionStage.open({ limits: { maxConcurrentStreams: 2 } }, ({ stream }) => {
        if (stream.id > 5) stream.respond(200, [], true);
        else waiting.push(() => stream.respond(200, [], true));
      });
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1), rawHeaders(3), rawHeaders(5));
      expect(await stage.edge.resetOf(5)).to.equal(refusedStream);
      expect(stage.seen.length).to.equal(2);
      waiting[0]!();
    });

    it('by more header bytes in open streams than one session may hold', async () => {
      stage = await SessionStage.open({ limits: { maxOpenHeaderBytes: 1000 } }, ({ head, stream }) => {
        if (head.path === '/') stream.respond(200, [], true);
      });
      stage.edge.shakeHands();
      const held = rawBlock(':method', 'GET', ':scheme', 'https', ':path', '/hold', 'x', 'y'.repeat(500));
      stage.edge.send(rawHeaders(1, held), rawHeaders(3, held));
      expect(await stage.edge.resetOf(3)).to.equal(refusedStream);
      // Room for as much as the first had, and not for more.
      stage.edge.send(rawReset(1, 8), rawHeaders(5, held), rawHeaders(7, held));
      expect(await stage.edge.resetOf(7)).to.equal(refusedStream);
      expect(stage.seen).to.have.length(2);
      stage.edge.send(rawReset(5, 8));
    });

    it('by a header list above 1 MiB, with 431', async () => {
      stage = await SessionStage.open();
      stage.edge.shakeHands();
      const block = rawBlock(
        ':method',
        'GET',
        ':scheme',
        'https',
        ':path',
        '/',
        'x',
        'y z~'.repeat(mebi / 4 + 100),
      );
      const half = block.length >> 1;
      stage.edge.send(rawFrame(1, 1, 1, block.subarray(0, half)), rawFrame(9, 4, 1, block.subarray(half)));
      expect(await stage.edge.status(1)).to.equal('431');
      expect(stage.seen).to.deep.equal([]);
    });

    it('by more than 4,096 header fields, with 431', async () => {
      stage = await SessionStage.open();
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1, Buffer.concat([getBlock, Buffer.alloc(4096, 0x90)])));
      expect(await stage.edge.status(1)).to.equal('431');
    });

    it('by a connection-specific field, with 400 as text', async () => {
      stage = await SessionStage.open();
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1, Buffer.concat([postBlock, rawBlock('upgrade', 'h2c')]), false));
      expect(await stage.edge.status(1)).to.equal('400');
      // The body is not waited for.
      expect(await stage.edge.resetOf(1)).to.equal(http2Error.noError);
      expect(stage.edge.on(1, 0)[0]!.payload.toString()).to.contain('"upgrade"');
      stage.edge.send(rawData(1, Buffer.alloc(1000), true));
    });

    it('by the same in a request that wants no body, with the head of that', async () => {
      stage = await SessionStage.open();
      stage.edge.shakeHands();
      const head = rawBlock(':method', 'HEAD', ':scheme', 'https', ':path', '/', 'upgrade', 'h2c');
      stage.edge.send(rawHeaders(1, head));
      expect(await stage.edge.status(1)).to.equal('400');
      expect(stage.edge.on(1, 1).map(({ flags }) => flags)).to.deep.equal([5]);
      expect(stage.edge.on(1, 0)).to.deep.equal([]);
    });

    const onItself = rawFrame(2, 0, 1, Buffer.concat([uint32(1), Buffer.alloc(1)]));
    const breaches: [title: string, code: number, frames: Buffer[]][] = [
      ['a malformed head', protocolError, [rawHeaders(1, rawBlock(':method', 'GET'))]],
      [
        'a window beyond 2^31 - 1',
        flowControlError,
        [rawHeaders(1, postBlock, false), rawWindowUpdate(1, 2 ** 31 - 1)],
      ],
      ['a window that grows by 0', protocolError, [rawHeaders(1, postBlock, false), rawWindowUpdate(1, 0)]],
      [
        'trailers without END_STREAM',
        protocolError,
        [rawHeaders(1, postBlock, false), rawHeaders(1, rawBlock('x', '1'), false)],
      ],
      [
        'malformed trailers',
        protocolError,
        [rawHeaders(1, postBlock, false), rawHeaders(1, rawBlock(':path', '/'))],
      ],
      [
        'more body than announced',
        protocolError,
        [
          rawHeaders(1, Buffer.concat([postBlock, rawBlock('content-length', '3')]), false),
          rawData(1, Buffer.alloc(4)),
        ],
      ],
      [
        'less body than announced',
        protocolError,
        [
          rawHeaders(1, Buffer.concat([postBlock, rawBlock('content-length', '3')]), false),
          rawData(1, Buffer.alloc(2), true),
        ],
      ],
      [
        'less body than announced, then trailers',
        protocolError,
        [
          rawHeaders(1, Buffer.concat([postBlock, rawBlock('content-length', '3')]), false),
          rawData(1, Buffer.alloc(2)),
          rawHeaders(1, rawBlock('x', '1')),
        ],
      ],
      ['a priority on itself', protocolError, [rawHeaders(1, postBlock, false), onItself]],
      ['a priority on itself when it is over', protocolError, [rawHeaders(1), onItself]],
      ['DATA behind its end', streamClosed, [rawHeaders(1, getBlock), rawData(1, Buffer.alloc(1))]],
      [
        'DATA behind the end of a body',
        streamClosed,
        [
          rawHeaders(1, postBlock, false),
          rawData(1, Buffer.alloc(1), true),
          rawData(1, Buffer.alloc(1), true),
        ],
      ],
    ];
    for (const [title, code, frames] of breaches) {
      it(`by ${title}`, async () => {
        stage = await SessionStage.open();
        stage.edge.shakeHands();
        stage.edge.send(...frames);
        expect(await stage.edge.resetOf(1)).to.equal(code);
        await stage.settled();
        expect(stage.edge.on(1, 3)).to.have.length(1);
        expect(stage.tested.session.openStreams).to.equal(0);
        if (stage.seen.length > 0 && stage.seen[0]!.ended === null && !stage.seen[0]!.head.ended) {
          expect(stage.seen[0]!.reset).to.equal(code);
        }
      });
    }

    for (const [frame, late] of [
      ['DATA', rawData(1, Buffer.alloc(1))],
      ['HEADERS', rawHeaders(1, rawBlock('x', '1'))],
    ] as const) {
      it(`by ${frame} behind the end of a request that is not answered yet`, async () => {
        stage = await SessionStage.open({}, ({ stream }) => {
          if (stream.id > 1) stream.respond(200, [], true);
        });
        stage.edge.shakeHands();
        stage.edge.send(rawHeaders(1, postBlock, false), rawData(1, Buffer.alloc(1), true), late);
        expect(await stage.edge.resetOf(1)).to.equal(streamClosed);
        expect(stage.seen[0]).to.include({ bodyBytes: 1, reset: streamClosed });
      });
    }

    it('by DATA beyond the window of its stream', async () => {
      stage = await SessionStage.open({ limits: { streamWindowBytes: 1000 } });
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1, postBlock, false), rawData(1, Buffer.alloc(1001)));
      expect(await stage.edge.resetOf(1)).to.equal(flowControlError);
      expect(stage.seen[0]!.bodyBytes).to.equal(0);
    });
  });

  it('takes resets of answered streams as what they are: readers that have seen enough', async () => {
    const limits = { wastedStreams: { burst: 100, perSecond: 0 } };
    stage = await SessionStage.open({ limits }, ({ stream }) => {
      stream.respond(200, [], false);
    });
    stage.edge.shakeHands();
    for (let i = 0; i < 3; i++) {
      const first = i * 100;
      stage.edge.send(many(100, (index) => rawHeaders((first + index) * 2 + 1)));
      await stage.edge.frame(1, (first + 99) * 2 + 1);
      stage.edge.send(many(100, (index) => rawReset((first + index) * 2 + 1, 8)));
    }
    stage.edge.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
    await stage.edge.frame(6, 0);
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    expect(stage.tested.session.openStreams).to.equal(0);
  });

  it('lets frames pass that were under way when it reset their stream', async () => {
    stage = await SessionStage.open();
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1, postBlock, false));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    stream.reset(http2Error.internalError);
    expect(await stage.edge.resetOf(1)).to.equal(http2Error.internalError);
    stage.edge.send(
      rawData(1, Buffer.alloc(10)),
      rawWindowUpdate(1, 5),
      rawHeaders(1, rawBlock('x', '1')),
      rawReset(1, 8),
    );
    stage.edge.send(rawHeaders(3));
    await stage.edge.frame(1, 3);
    expect(stage.edge.on(1, 3)).to.have.length(1);
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    expect(stage.seen[0]).to.include({ bodyBytes: 0, ended: null, reset: null });
  });

  it('keeps no more than it said of bodies that nobody takes', async () => {
    const limits = { maxHeldBytes: 200_000, connectionWindowBytes: 100_000, streamWindowBytes: 90_000 };
    stage = await SessionStage.open({ limits });
    stage.edge.shakeHands();
    // An honest peer with a lot to send on streams that are all paused: it sends what its windows allow.
    let window = 100_000;
    let sent = 0;
    for (let id = 1; id < 60; id += 2) {
      stage.edge.send(rawHeaders(id, postBlock, false));
      (await eventually('the stream', () => stage.seen[(id - 1) / 2])).stream.pause();
      const bytes = Math.min(90_000, window - sent);
      stage.edge.send(rawData(id, Buffer.alloc(bytes)));
      sent += bytes;
      await eventually('the body', () => stage.seen[(id - 1) / 2]!.bodyBytes === bytes);
      stage.edge.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
      await eventually('the pong', () => stage.edge.on(0, 6).length === (id + 1) / 2);
      window =
        100_000 +
        stage.edge
          .on(0, 8)
          .slice(1)
          .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    }
    expect(sent).to.be.within(200_000, 300_000);
    for (const { stream } of stage.seen) stream.resume();
    await eventually('the window is given back', () => {
      const given = stage.edge
        .on(0, 8)
        .slice(1)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
      return 100_000 + given - sent >= 50_000;
    });
  });
});
