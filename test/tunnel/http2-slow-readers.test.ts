import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { expect } from 'chai';
import type { Http2OriginSession } from '../../src/tunnel/origin/http2-origin-session.ts';
import { withSharedReads } from '../../src/tunnel/shared-reads.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { setting } from '../../src/tunnel/wire/http2-frames.ts';
import { postOn, sessionToOrigin } from '../support/connection-to-origin.ts';
import { answerOf, nodeEdge, sessionOn, socketPair, type TestedSession } from '../support/edge-peer.ts';
import { eventually } from '../support/eventually.ts';
import { type Http2Origin, scriptHttp2 } from '../support/http2-origin.ts';
import { pour } from '../support/pouring.ts';
import { postBlock, rawData, rawFrame, rawHeaders, rawSettingsAck } from '../support/raw-frames.ts';
import { type SeenStream, SessionStage } from '../support/session-stage.ts';
import { standsStill } from '../support/stands-still.ts';

const mebi = 1024 * 1024;

describe('a hundred readers that are slow', () => {
  let origin: Http2Origin;
  let session: Http2OriginSession;
  let pouredBytes = 0;
  beforeEach(async () => {
    origin = await scriptHttp2((stream) => {
      // A response is whole for Node.js only where its request was read.
      stream.resume();
      stream.respond({ ':status': 200 });
      let told = 0;
      pour(stream, 2 * mebi, (poured) => {
        pouredBytes += poured - told;
        told = poured;
      });
    });
    const socket = withSharedReads((reads) => connect({ host: '127.0.0.1', port: origin.port, ...reads }));
    await once(socket, 'connect');
    const opened = sessionToOrigin(socket);
    session = opened.session;
    await opened.ready;
  });
  afterEach(async () => {
    session.destroy({ reason: 'reset', message: 'the test is over' });
    await origin.stop();
  });

  it('of one session to an origin stand in nobody’s way, and read all of it when they do', async () => {
    const slow = Array.from({ length: 100 }, () => session.open());
    const read = slow.map((stream) => postOn(stream));
    for (const stream of slow) stream.pause();
    await standsStill('what the origin has sent', () => pouredBytes);
    expect(pouredBytes).to.be.lessThan(64 * mebi);
    expect(session.hasRoom).to.equal(true);
    for (let other = 0; other < 3; other += 1) expect(await postOn(session.open())).to.equal('answered');
    for (const stream of slow) stream.resume();
    expect(new Set(await Promise.all(read))).to.deep.equal(new Set(['answered']));
  });
});

describe('uploads that nobody takes', () => {
  let client: ClientHttp2Session;
  let tested: TestedSession;
  afterEach(async () => {
    client.destroy();
    tested.session.destroy();
    await tested.ended;
  });

  it('stand in no other’s way', async () => {
    const { near, far } = await socketPair();
    const limits = { maxHeldBytes: 8 * mebi };
    const held: SeenStream['stream'][] = [];
    tested = sessionOn(
      near,
      (stream, head) => {
        if (head.path === '/held') {
          stream.pause();
          held.push(stream);
        }
        return {
          data() {},
          end: () => stream.respond(200, [], true),
          reset() {},
          drain() {},
        };
      },
      { limits },
    );
    client = nodeEdge(far);
    const upload = (path: string) => {
      const request = client.request({ ':method': 'POST', ':path': path });
      request.end(Buffer.alloc(2 * mebi));
      return answerOf(request);
    };
    const waiting = Array.from({ length: 20 }, () => upload('/held'));
    await eventually('all to have begun', () => held.length === 20);
    for (let other = 0; other < 5; other += 1) {
      expect((await upload('/taken')).headers[':status']).to.equal(200);
    }
    for (const stream of held) stream.resume();
    for (const answer of await Promise.all(waiting)) expect(answer.headers[':status']).to.equal(200);
  });
});

describe('the windows of streams', () => {
  let stage: SessionStage;
  let streams: number;
  beforeEach(async () => {
    streams = 0;
    stage = await SessionStage.open({
      limits: {
        maxHeldBytes: 400_000,
        streamWindowBytes: 90_000,
        narrowWindowBytes: 10_000,
        connectionWindowBytes: 1_000_000,
      },
    });
    stage.edge.shakeHands();
  });
  afterEach(() => stage.close());

  /** A new stream that has sent so much. */
  const posted = async (bytes: number, paused: boolean): Promise<SeenStream> => {
    const id = 2 * streams + 1;
    streams += 1;
    stage.edge.send(rawHeaders(id, postBlock, false));
    const seen = await eventually('the stream', () => stage.seen[streams - 1]);
    if (paused) seen.stream.pause();
    stage.edge.send(rawData(id, Buffer.alloc(bytes)));
    await eventually('the body', () => seen.bodyBytes === bytes || stage.edge.on(id, 3).length > 0);
    return seen;
  };
  /** What SETTINGS have said of them, our opening aside. */
  const announced = () =>
    stage.edge
      .on(0, 4)
      .filter(({ flags, payload }) => flags === 0 && payload.length === 6)
      .map(({ payload }) => [payload.readUInt16BE(0), payload.readUInt32BE(2)]);
  const given = (id: number) =>
    stage.edge.on(id, 8).reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
  const narrow = [setting.initialWindowSize, 10_000];
  const wide = [setting.initialWindowSize, 90_000];

  it('become narrow while much is held, from the acknowledgement on, and wide again', async () => {
    const first = await posted(90_000, true);
    await stage.settled();
    expect(announced()).to.deep.equal([]);
    const second = await posted(20_000, true);
    await eventually('SETTINGS', () => announced().length === 1);
    expect(announced()).to.deep.equal([narrow]);
    // Sent before the peer knew.
    expect((await posted(40_000, true)).bodyBytes).to.equal(40_000);
    stage.edge.send(rawSettingsAck);
    expect((await posted(10_000, true)).bodyBytes).to.equal(10_000);
    await posted(10_001, true);
    expect(await stage.edge.resetOf(9)).to.equal(http2Error.flowControlError);
    for (const { stream } of stage.seen) stream.resume();
    await eventually('SETTINGS', () => announced().length === 2);
    expect(announced()[1]).to.deep.equal(wide);
    expect((await posted(90_000, false)).bodyBytes).to.equal(90_000);
    expect([first.reset, second.reset]).to.deep.equal([null, null]);
    expect(given(1)).to.equal(90_000);
  });

  it('are narrow for streams that had sent more before, too: the peer may send no more on those', async () => {
    await posted(90_000, true);
    await posted(20_000, true);
    await eventually('SETTINGS', () => announced().length === 1);
    const earlier = await posted(40_000, true);
    stage.edge.send(rawSettingsAck, rawData(5, Buffer.alloc(1)));
    expect(await stage.edge.resetOf(5)).to.equal(http2Error.flowControlError);
    expect(earlier.bodyBytes).to.equal(40_000);
  });

  it('stay narrow until little is held: each change is a word to the peer, who acknowledges it', async () => {
    await posted(90_000, true);
    const second = await posted(20_000, true);
    await eventually('SETTINGS', () => announced().length === 1);
    for (let turn = 0; turn < 3; turn += 1) {
      second.stream.resume();
      second.stream.pause();
      stage.edge.send(rawData(3, Buffer.alloc(20_000)));
      await stage.settled();
    }
    expect(announced()).to.deep.equal([narrow]);
  });

  it('become wide for streams that began narrow, too, to the last byte', async () => {
    await posted(90_000, true);
    await posted(20_000, true);
    await eventually('SETTINGS', () => announced().length === 1);
    stage.edge.send(rawSettingsAck);
    const narrowed = await posted(9_999, true);
    for (const { stream } of stage.seen) stream.resume();
    await eventually('SETTINGS', () => announced().length === 2);
    expect(given(5)).to.equal(0);
    stage.edge.send(rawData(5, Buffer.alloc(80_001), true));
    await eventually('the end', () => narrowed.ended !== null);
    expect(narrowed.bodyBytes).to.equal(90_000);
    stage.edge.send(rawSettingsAck);
    await posted(90_001, false);
    expect(await stage.edge.resetOf(7)).to.equal(http2Error.flowControlError);
  });

  it('that became narrow are given what was consumed of the wide ones: the peer might wait for it', async () => {
    const reader = await posted(40_000, false);
    expect(given(1)).to.equal(0);
    await posted(90_000, true);
    await posted(20_000, true);
    await eventually('SETTINGS', () => announced().length === 1);
    stage.edge.send(rawSettingsAck);
    await eventually('the window', () => given(1) === 40_000);
    stage.edge.send(rawData(1, Buffer.alloc(10_000), true));
    await eventually('the end', () => reader.ended !== null);
    expect(reader.bodyBytes).to.equal(50_000);
  });

  it('heed no acknowledgement of nothing, and are the peer’s undoing when there are too many', async () => {
    stage.edge.send(rawSettingsAck, rawSettingsAck, rawFrame(6, 0, 0, Buffer.alloc(8)));
    await stage.edge.frame(6, 0);
    expect((await posted(90_000, false)).bodyBytes).to.equal(90_000);
    await posted(90_001, false);
    expect(await stage.edge.resetOf(3)).to.equal(http2Error.flowControlError);
    stage.edge.send(...Array.from({ length: 3000 }, () => rawSettingsAck));
    expect(await stage.edge.goaway()).to.equal(http2Error.enhanceYourCalm);
    await stage.end();
  });
});
