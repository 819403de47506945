import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { eventually } from '../support/eventually.ts';
import { postBlock, rawData, rawFrame, rawHeaders } from '../support/raw-frames.ts';
import { type SeenStream, SessionStage } from '../support/session-stage.ts';

describe('HTTP/2 session, given DATA,', () => {
  let stage: SessionStage;
  afterEach(() => stage.close());

  it('takes an empty DATA frame behind a body for its end, however many bodies end so', async () => {
    // So does Go's client, among others.
    const limits = { idleFrames: { burst: 10, perSecond: 0 } };
    stage = await SessionStage.open({ limits });
    stage.edge.shakeHands();
    for (let id = 1; id < 100; id += 2) {
      stage.edge.send(rawHeaders(id, postBlock, false), rawData(id, Buffer.from('a')));
      stage.edge.send(rawData(id, Buffer.alloc(0), true));
    }
    await stage.edge.frame(1, 99);
    expect(stage.seen.map(({ ended }) => ended)).to.deep.equal(Array(50).fill([]));
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
  });

  it('tells nothing more to who resets the stream for it, not even the end that came with it', async () => {
    stage = await SessionStage.open({}, () => {}, {
      data: () => stage.seen[0]!.stream.reset(http2Error.cancel),
    });
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1, postBlock, false), rawData(1, Buffer.from('enough'), true));
    expect(await stage.edge.resetOf(1)).to.equal(http2Error.cancel);
    await stage.settled();
    expect(stage.seen[0]).to.include({ ended: null, reset: null });
  });

  it('takes it for under way on thousands of streams that it has reset together', async () => {
    // As when an origin dies under them: each has a window of DATA on its way.
    const count = 5_000;
    stage = await SessionStage.open({ limits: { connectionWindowBytes: 2 ** 24 } });
    stage.edge.shakeHands();
    const ids = Array.from({ length: count }, (_, index) => 2 * index + 1);
    stage.edge.send(...ids.map((id) => rawHeaders(id, postBlock, false)));
    await eventually('all', () => stage.seen.length === count);
    for (const { stream } of stage.seen) stream.reset(http2Error.noError);
    for (let piece = 0; piece < 2; piece += 1) {
      stage.edge.send(...ids.map((id) => rawData(id, Buffer.alloc(10))));
    }
    await stage.settled();
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    // Each was told once.
    expect(stage.edge.frames.filter(({ type }) => type === 3)).to.have.length(count);
  });

  describe('gives the window of the connection back for what came', () => {
    const limits = { connectionWindowBytes: 100_000, streamWindowBytes: 9_999 };
    /** Since the opening, which gives the connection its window. */
    const givenTo = (id: number) =>
      stage.edge
        .on(id, 8)
        .slice(id === 0 ? 1 : 0)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    const lost: [title: string, handle: (seen: SeenStream) => void, frames: (id: number) => Buffer][] = [
      [
        'under way to a stream that it had reset',
        ({ stream }) => stream.reset(http2Error.cancel),
        (id) => rawData(id, Buffer.alloc(10_000)),
      ],
      [
        'behind the end of its body',
        () => {},
        (id) => Buffer.concat([rawData(id, Buffer.alloc(0), true), rawData(id, Buffer.alloc(10_000))]),
      ],
      ['beyond the window of its stream', () => {}, (id) => rawData(id, Buffer.alloc(10_000))],
    ];
    for (const [title, handle, frames] of lost) {
      it(title, async () => {
        stage = await SessionStage.open({ limits }, () => {});
        stage.edge.shakeHands();
        for (let count = 0; count < 20; count += 1) {
          const id = 2 * count + 1;
          stage.edge.send(rawHeaders(id, postBlock, false));
          handle(await eventually('the stream', () => stage.seen[count]));
          stage.edge.send(frames(id));
          await stage.settled();
        }
        expect(stage.edge.on(0, 7)).to.deep.equal([]);
        expect(givenTo(0)).to.be.within(100_000, 200_000);
      });
    }

    it('as padding, and that of its stream', async () => {
      stage = await SessionStage.open({ limits });
      stage.edge.shakeHands();
      stage.edge.send(rawHeaders(1, postBlock, false));
      const seen = await eventually('the stream', () => stage.seen[0]);
      const padded = rawFrame(0, 8, 1, Buffer.concat([Buffer.from([200]), Buffer.alloc(50 + 200)]));
      for (let count = 0; count < 30; count += 1) {
        stage.edge.send(...Array(20).fill(padded));
        await stage.settled();
      }
      expect(seen.bodyBytes).to.equal(30 * 20 * 50);
      const sentBytes = 30 * 20 * (1 + 50 + 200);
      expect(givenTo(0)).to.be.within(sentBytes - 50_000, sentBytes);
      expect(givenTo(1)).to.be.within(sentBytes - 5_000, sentBytes);
    });
  });
});
