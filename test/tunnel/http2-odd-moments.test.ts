import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { defaultHttp2Limits } from '../../src/tunnel/wire/http2-limits.ts';
import { eventually } from '../support/eventually.ts';
import {
  getBlock,
  postBlock,
  rawData,
  rawFrame,
  rawHeaders,
  rawPreface,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from '../support/raw-frames.ts';
import { type SeenStream, SessionStage } from '../support/session-stage.ts';

const maxWindow = 2 ** 31 - 1;
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('HTTP/2 session, at odd moments', () => {
  let stage: SessionStage;

  afterEach(async () => {
    expect(stage.tested.thrown).to.deep.equal([]);
    await stage.close();
  });

  const unsentLimits = { maxUnsentBytes: 2 ** 30 };
  const answerBig = ({ stream }: SeenStream): void =>
    stream.respond(200, ['x-big', 'x'.repeat(30_000)], true);

  /** Shakes hands, asks for more than the buffers of two sockets hold and reads nothing of it. */
  async function stopReading(): Promise<void> {
    stage.edge.shakeHands();
    await eventually('the handshake is done', () => stage.clock.pendingTimers === 0);
    stage.edge.socket.pause();
    for (let id = 1; id < 2000; id += 2) stage.edge.send(rawHeaders(id));
    await eventually('the last request', () => stage.seen.length === 1000);
  }

  it('gives each header block its time, also where one read ends the last and begins the next', async () => {
    const limits = { headerBlockMs: 5000 };
    stage = await SessionStage.open({ limits });
    stage.edge.shakeHands();
    await stage.settled();
    const half = getBlock.length >> 1;
    const begin = (id: number): Buffer => rawFrame(1, 1, id, getBlock.subarray(0, half));
    const complete = (id: number): Buffer => rawFrame(9, 4, id, getBlock.subarray(half));
    stage.edge.send(begin(1));
    await eventually('the first was begun', () => stage.clock.nextTimerMs === 5000);
    for (const id of [1, 3, 5]) {
      await stage.clock.advance(3000);
      stage.edge.send(complete(id), begin(id + 2));
      await stage.edge.frame(1, id);
    }
    // The last one goes on and is never completed.
    await stage.clock.advance(3000);
    const heard = stage.tested.session.chunksHeard;
    stage.edge.send(rawFrame(9, 0, 7));
    await eventually('more of it', () => stage.tested.session.chunksHeard > heard);
    await stage.clock.advance(1999);
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    await stage.clock.advance(1);
    expect(await stage.edge.goaway()).to.equal(http2Error.enhanceYourCalm);
  });

  it('waits for the acknowledgement of its SETTINGS no longer because others come', async () => {
    stage = await SessionStage.open();
    stage.edge.send(rawPreface, rawSettings());
    await stage.settled();
    expect(stage.clock.nextTimerMs).to.equal(10_000);
    await stage.clock.advance(6000);
    stage.edge.send(rawSettings());
    await stage.settled();
    await stage.clock.advance(4000);
    expect(await stage.edge.goaway()).to.equal(http2Error.settingsTimeout);
  });

  it('tells nobody anything of a stream that was answered and left before its handler was known', async () => {
    stage = await SessionStage.open({}, ({ stream }) => {
      stream.respond(200, [], false);
      stream.write(Buffer.alloc(100));
      stream.end();
      stream.reset(http2Error.noError);
    });
    stage.edge.shakeHands({ 4: 10 });
    stage.edge.send(rawHeaders(1), rawReset(1, http2Error.cancel));
    await stage.settled();
    expect(stage.tested.session.openStreams).to.equal(0);
    expect(stage.seen[0]!.reset).to.equal(null);
  });

  it('keeps no stream that is gone for a peer that opens no window', async () => {
    const serve = ({ stream }: SeenStream): void => {
      stream.respond(200, [], false);
      stream.write(Buffer.alloc(70_000));
    };
    stage = await SessionStage.open({}, serve);
    stage.edge.shakeHands({ 4: maxWindow });
    for (let id = 1; id < 201; id += 2) stage.edge.send(rawHeaders(id));
    await stage.settled();
    const streams = stage.seen.map(({ stream }) => new WeakRef(stream));
    expect(streams).to.have.length(100);
    for (let id = 3; id < 201; id += 2) stage.edge.send(rawReset(id, http2Error.cancel));
    await stage.settled();
    stage.seen.length = 0;
    await eventually('the streams are gone', () => {
      collectGarbage();
      return streams.filter((stream) => stream.deref() !== undefined).length < 10;
    });
  });

  it('takes no notice of what comes for streams that it refused as it closed, however many those are', async () => {
    stage = await SessionStage.open({}, () => {});
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1));
    await eventually('the stream', () => stage.seen[0]);
    stage.tested.session.close();
    const refused = Array.from({ length: 1002 }, (_, index) => 2 * index + 3);
    stage.edge.send(...refused.map((id) => rawHeaders(id, postBlock, false)));
    expect(await stage.edge.resetOf(refused.at(-1)!)).to.equal(http2Error.refusedStream);
    stage.edge.send(rawData(3, Buffer.alloc(10), true), rawReset(5, http2Error.cancel));
    await stage.settled();
    stage.seen[0]!.stream.respond(200, [], true);
    expect(await stage.edge.status(1)).to.equal('200');
    expect(stage.edge.on(0, 7).map(({ payload }) => payload.readUInt32BE(4))).to.deep.equal([0]);
    expect(await stage.end()).to.deep.equal({ by: 'own' });
  });

  it('reads nothing more of what has come with the request at which it was destroyed', async () => {
    stage = await SessionStage.open({}, () => stage.tested.session.destroy());
    stage.edge.shakeHands();
    await stage.settled();
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    expect(await stage.end()).to.deep.equal({ by: 'own' });
    expect(stage.seen).to.have.length(1);
  });

  it('gives nobody the rest of a piece of a body whose stream was reset in its middle', async () => {
    stage = await SessionStage.open();
    stage.edge.shakeHands();
    const data = rawData(1, Buffer.alloc(1000));
    stage.edge.send(rawHeaders(1, postBlock, false), data.subarray(0, 500));
    await eventually('the first half', () => (stage.seen[0]?.bodyBytes ?? 0) > 0);
    const { bodyBytes, stream } = stage.seen[0]!;
    stream.reset(http2Error.cancel);
    stage.edge.send(data.subarray(500));
    await stage.settled();
    expect(stage.seen[0]!.bodyBytes).to.equal(bodyBytes);
    expect(bodyBytes).to.be.below(1000);
  });

  it('takes as much as it has said, at once, also where nobody reads it', async () => {
    const limits = { connectionWindowBytes: 200_000, maxHeldBytes: 0 };
    stage = await SessionStage.open({ limits }, undefined, { data: () => stage.seen[0]!.stream.pause() });
    stage.edge.shakeHands();
    const said = 65_535 + (await stage.edge.frame(8, 0)).payload.readUInt32BE(0);
    stage.edge.send(rawHeaders(1, postBlock, false), rawData(1, Buffer.alloc(said)));
    await stage.settled();
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    stage.edge.send(rawData(1, Buffer.alloc(1)));
    expect(await stage.edge.goaway()).to.equal(http2Error.flowControlError);
  });

  it('holds nothing for streams that were paused and left with the same piece of a body', async () => {
    const limits = { connectionWindowBytes: 100_000, maxHeldBytes: 50_000 };
    const leave = (): void => {
      const { stream } = stage.seen.at(-1)!;
      stream.pause();
      stream.reset(http2Error.cancel);
    };
    stage = await SessionStage.open({ limits }, undefined, { data: leave });
    stage.edge.shakeHands();
    for (let id = 1; id < 41; id += 2) {
      stage.edge.send(rawHeaders(id, postBlock, false), rawData(id, Buffer.alloc(20_000)));
      await stage.edge.resetOf(id);
      await stage.settled();
    }
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
  });

  it('gives back no more of a window than came, however often its reader pauses', async () => {
    const limits = { streamWindowBytes: 4000 };
    stage = await SessionStage.open({ limits }, undefined, { data: () => stage.seen[0]!.stream.pause() });
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1, postBlock, false));
    for (let sent = 0; sent < 20; sent++) {
      stage.edge.send(rawData(1, Buffer.alloc(1000)));
      await stage.settled();
      stage.seen[0]!.stream.resume();
    }
    await stage.settled();
    const given = stage.edge.on(1, 8).map(({ payload }) => payload.readUInt32BE(0));
    expect(given.reduce((sum, increment) => sum + increment, 0)).to.equal(20_000);
  });

  it('knows of as many resets as streams may be open, and not for ever, that frames may still come', async () => {
    stage = await SessionStage.open({ limits: { maxConcurrentStreams: 100 } });
    stage.edge.shakeHands();
    for (let count = 0; count < 200; count += 1) {
      stage.edge.send(rawHeaders(2 * count + 1, postBlock, false));
      (await eventually('the stream', () => stage.seen[count])).stream.reset(http2Error.cancel);
    }
    await stage.edge.resetOf(399);
    stage.edge.send(rawData(201, Buffer.alloc(1)), rawData(1, Buffer.alloc(1)));
    await stage.settled();
    const codes = [1, 201].map((id) => stage.edge.on(id, 3).map(({ payload }) => payload.readUInt32BE(0)));
    expect(codes).to.deep.equal([[http2Error.cancel, http2Error.streamClosed], [http2Error.cancel]]);
  });

  it('forgets a reset once the peer has answered a PING that was sent behind it, and no sooner', async () => {
    stage = await SessionStage.open();
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1, postBlock, false));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    /** What it says to DATA behind the answer to a PING, where `meanwhile` comes between the two. */
    const codesBehindPing = async (meanwhile: () => void): Promise<number[]> => {
      const frames = stage.edge.on(0, 6).length;
      stage.tested.session.ping();
      await eventually('the PING', () => stage.edge.on(0, 6).length > frames);
      meanwhile();
      stage.edge.send(rawFrame(6, 1, 0, Buffer.alloc(8)), rawData(1, Buffer.alloc(1)));
      await stage.settled();
      return stage.edge.on(1, 3).map(({ payload }) => payload.readUInt32BE(0));
    };
    expect(await codesBehindPing(() => stream.reset(http2Error.cancel))).to.deep.equal([http2Error.cancel]);
    const codes = [http2Error.cancel, http2Error.streamClosed];
    expect(await codesBehindPing(() => {})).to.deep.equal(codes);
  });

  it('counts each PING of its own that is not answered', async () => {
    stage = await SessionStage.open();
    stage.edge.shakeHands();
    for (let sent = 0; sent < 3; sent++) stage.tested.session.ping();
    stage.edge.send(rawFrame(6, 1, 0, Buffer.alloc(8)));
    await eventually('the answer', () => stage.tested.session.unansweredPings < 3);
    expect(stage.tested.session.unansweredPings).to.equal(2);
  });

  it('allows PINGs and updates of windows by what it sends', async () => {
    const none = { burst: 1, perSecond: 0 };
    const limits = { idleFrames: none, idleFramesPerData: 1, cheapFrames: none, windowUpdatesPerData: 1 };
    stage = await SessionStage.open({ limits }, () => {});
    // No acknowledgement, which is a frame of its own.
    stage.edge.send(rawPreface, rawSettings(), rawHeaders(1));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    stream.respond(200, [], false);
    for (let count = 1; count <= 20; count++) {
      stream.write(Buffer.from('a'));
      await eventually('DATA', () => stage.edge.on(1, 0).length === count);
      stage.edge.send(rawWindowUpdate(0, 1));
      await stage.settled();
    }
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
    stage.edge.send(rawFrame(6, 0, 0, Buffer.alloc(8)));
    expect(await stage.edge.goaway()).to.equal(http2Error.enhanceYourCalm);
  });

  it('ends at once when the peer ends its side and reads nothing', async () => {
    stage = await SessionStage.open({ limits: unsentLimits }, answerBig);
    await stopReading();
    stage.edge.socket.end();
    expect(await stage.end()).to.deep.equal({ by: 'peer' });
  });

  it('does not wait for ever for a peer that reads nothing of what is left when it closes', async () => {
    stage = await SessionStage.open({ limits: unsentLimits }, answerBig);
    await stopReading();
    stage.tested.session.close();
    await stage.clock.advance(defaultHttp2Limits.lastBytesMs);
    expect(await stage.end()).to.deep.equal({ by: 'own' });
  });
});
