import { expect } from 'chai';
import { slabBytes } from '../../src/tunnel/slabs.ts';
import { eventually } from '../support/eventually.ts';
import { rawData, rawHeaders, rawReset, rawSettings, rawWindowUpdate } from '../support/raw-frames.ts';
import { type SeenStream, SessionStage } from '../support/session-stage.ts';

const maxWindow = 2 ** 31 - 1;

/** Answers 200 and writes that many bytes at once. */
function answering(bytes: number): (seen: SeenStream) => void {
  return ({ stream }) => {
    stream.respond(200, [], false);
    stream.write(Buffer.alloc(bytes));
    stream.end();
  };
}

describe('HTTP/2 session, sending', () => {
  let stage: SessionStage;

  afterEach(async () => {
    expect(stage.tested.thrown).to.deep.equal([]);
    await stage.close();
  });

  it('sends no more than the window of the stream, and goes on as it grows', async () => {
    stage = await SessionStage.open({}, answering(100_000));
    stage.edge.shakeHands({ 4: 1000 });
    stage.edge.send(rawWindowUpdate(0, 2 ** 30), rawHeaders(1));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(1000);
    stage.edge.send(rawWindowUpdate(1, 500));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(1500);
    stage.edge.send(rawWindowUpdate(1, maxWindow));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(100_000);
    expect(stage.edge.on(1, 0).at(-1)!.flags).to.equal(1);
    expect(stage.tested.session.openStreams).to.equal(0);
  });

  it('sends no more than the window of the connection, and gives the streams their turns', async () => {
    stage = await SessionStage.open({}, answering(200_000));
    stage.edge.shakeHands({ 4: maxWindow });
    stage.edge.send(rawHeaders(1), rawHeaders(3), rawHeaders(5));
    await stage.settled();
    const total = (): number => [1, 3, 5].reduce((sum, id) => sum + stage.edge.bodyBytes(id), 0);
    expect(total()).to.equal(65_535);
    stage.edge.send(rawWindowUpdate(0, 16_384 * 9));
    await stage.settled();
    expect(total()).to.equal(65_535 + 16_384 * 9);
    // Each had three turns, whoever was first; the first one had the rest of the initial window besides.
    const later = stage.edge.frames.filter(({ type }) => type === 0).slice(-9);
    expect(later.map(({ streamId }) => streamId).sort()).to.deep.equal([1, 1, 1, 3, 3, 3, 5, 5, 5]);
    stage.edge.send(rawWindowUpdate(0, 2 ** 30));
    await stage.settled();
    expect([1, 3, 5].map((id) => stage.edge.bodyBytes(id))).to.deep.equal([200_000, 200_000, 200_000]);
  });

  it('bears windows as large as any may be, however they become so', async () => {
    stage = await SessionStage.open({}, answering(70_000));
    stage.edge.shakeHands({ 4: 0 });
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    await stage.settled();
    stage.edge.send(rawWindowUpdate(0, maxWindow - 65_535), rawWindowUpdate(1, maxWindow));
    await stage.settled();
    expect([1, 3].map((id) => stage.edge.bodyBytes(id))).to.deep.equal([70_000, 0]);
    stage.edge.send(rawReset(1, 8), rawSettings({ 4: maxWindow }));
    await stage.settled();
    expect(stage.edge.bodyBytes(3)).to.equal(70_000);
  });

  it('bears a window that SETTINGS make negative', async () => {
    stage = await SessionStage.open({}, answering(30_000));
    stage.edge.shakeHands({ 4: 10_000 });
    stage.edge.send(rawHeaders(1));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(10_000);
    stage.edge.send(rawSettings({ 4: 4000 }), rawWindowUpdate(1, 6000));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(10_000);
    stage.edge.send(rawWindowUpdate(1, 1));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(10_001);
    stage.edge.send(rawSettings({ 4: 40_000 }));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(30_000);
  });

  it('frames no more than a socket takes, however wide the windows are, and goes on when it takes more', async () => {
    stage = await SessionStage.open({ limits: { maxUnsentBytes: 2 * 1024 * 1024 } }, () => {});
    stage.edge.shakeHands({ 4: maxWindow });
    stage.edge.send(rawWindowUpdate(0, 2 ** 30), rawHeaders(1));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    await stage.settled();
    stage.edge.socket.pause();
    stream.respond(200, [], false);
    let wroteBytes = 0;
    // What the system takes for the socket is some megabytes.
    for (let room = true; room && wroteBytes < 40_000_000; ) {
      room = stream.write(Buffer.alloc(50_000));
      wroteBytes += 50_000;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(wroteBytes).to.be.lessThan(40_000_000);
    stream.end();
    // When it hears of the peer next it would be the end of what is not read.
    stage.edge.send(rawHeaders(3, undefined, false));
    await eventually('the stream', () => stage.seen[1]);
    stage.edge.socket.resume();
    await eventually('all of it', () => stage.edge.bodyBytes(1) === wroteBytes);
    expect(stage.edge.on(0, 7)).to.deep.equal([]);
  });

  it('sends heads that just fill their frames, and trailers that are longer than one, and nothing behind', async () => {
    let value = '~'.repeat(31_000);
    stage = await SessionStage.open({}, ({ stream }) => {
      stream.respond(200, ['x-large', value], false);
      stream.write(Buffer.from('a'));
      stream.end(['x-large', value]);
    });
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1));
    await stage.settled();
    const sizes = (id: number) =>
      stage.edge.frames.filter(({ streamId }) => streamId === id).map(({ payload }) => payload.length);
    const [full, rest, body] = sizes(1);
    expect([full, body]).to.deep.equal([16_384, 1]);
    value += '~'.repeat(16_384 - rest!);
    stage.edge.send(rawHeaders(3));
    await stage.settled();
    // Without ":status" the trailers are one byte shorter.
    expect(sizes(3)).to.deep.equal([16_384, 16_384, 1, 16_384, 16_383]);
    const flags = stage.edge.frames.filter(({ streamId }) => streamId === 3).map((frame) => frame.flags);
    expect(flags).to.deep.equal([0, 4, 0, 1, 4]);
  });

  it('sends nothing of a stream whose window SETTINGS take away while it waits for the connection', async () => {
    stage = await SessionStage.open({}, answering(70_000));
    stage.edge.shakeHands({ 4: 100_000 });
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    await stage.settled();
    expect([1, 3].map((id) => stage.edge.bodyBytes(id))).to.deep.equal([65_535, 0]);
    stage.edge.send(rawSettings({ 4: 0 }), rawWindowUpdate(0, 100_000), rawHeaders(5, undefined, false));
    await stage.settled();
    // Nor of one that begins then.
    stage.seen[2]!.stream.respond(200, [], false);
    stage.seen[2]!.stream.write(Buffer.from('a'));
    await stage.settled();
    expect(stage.edge.on(5, 0)).to.deep.equal([]);
    expect([1, 3].map((id) => stage.edge.on(id, 0).at(-1)?.payload.length)).to.not.include(0);
    expect(stage.edge.bodyBytes(3)).to.equal(0);
    stage.edge.send(rawSettings({ 4: 100_000 }));
    await stage.settled();
    expect([1, 3, 5].map((id) => stage.edge.bodyBytes(id))).to.deep.equal([70_000, 70_000, 1]);
    // Nor where that leaves less than nothing of a window, and nothing waits.
    stage.edge.send(rawSettings({ 4: 0 }));
    await stage.settled();
    stage.seen[2]!.stream.write(Buffer.from('b'));
    await stage.settled();
    stage.edge.send(rawWindowUpdate(5, 2));
    await stage.settled();
    expect(stage.edge.on(5, 0).map(({ payload }) => String(payload))).to.deep.equal(['a', 'b']);
  });

  it('keeps to the frame size of the peer, for bodies and for heads', async () => {
    stage = await SessionStage.open({}, ({ stream }) => {
      stream.respond(200, ['x-large', '~'.repeat(31_000), 'x-small', 'a'], false);
      stream.write(Buffer.alloc(50_000));
      stream.end();
    });
    // The least that it may say; and it would take what is pushed, which is nothing.
    stage.edge.shakeHands({ 2: 1, 5: 16_384 });
    stage.edge.send(rawHeaders(1));
    await stage.settled();
    const frames = stage.edge.on(1, 0).map(({ payload }) => payload.length);
    // As few as the size allows; where a slab ends, one may be shorter.
    expect(Math.max(...frames)).to.equal(16_384);
    expect(frames).to.have.length(4);
    expect(stage.edge.on(1, 0).map(({ flags }) => flags)).to.deep.equal([0, 0, 0, 1]);
    expect(stage.edge.bodyBytes(1)).to.equal(50_000);
    expect(stage.edge.on(1, 1)[0]).to.include({ flags: 0 });
    expect(stage.edge.on(1, 9).map(({ flags }) => flags)).to.deep.equal([4]);
    stage.edge.send(rawSettings({ 5: 20_000 }), rawWindowUpdate(0, 2 ** 20), rawHeaders(3));
    await stage.settled();
    const larger = stage.edge.on(3, 0).map(({ payload }) => payload.length);
    expect(Math.max(...larger)).to.equal(20_000);
    expect(larger).to.have.length(3);
    expect(stage.edge.bodyBytes(3)).to.equal(50_000);
  });

  it('says with false that a stream is full, and with drain that it is not', async () => {
    const seen: SeenStream[] = [];
    stage = await SessionStage.open({}, (entry) => seen.push(entry));
    stage.edge.shakeHands({ 4: 0 });
    stage.edge.send(rawWindowUpdate(0, 2 ** 30), rawHeaders(1));
    const entry = await eventually('the stream', () => seen[0]);
    entry.stream.respond(200, [], false);
    expect(entry.stream.write(Buffer.alloc(60_000))).to.equal(true);
    expect(entry.stream.write(Buffer.alloc(60_000))).to.equal(false);
    stage.edge.send(rawWindowUpdate(1, 50_000));
    await stage.settled();
    expect(entry.drains).to.equal(0);
    stage.edge.send(rawWindowUpdate(1, 60_000));
    await stage.settled();
    expect(entry.drains).to.equal(1);
    expect(entry.stream.write(Buffer.alloc(10))).to.equal(true);
    stage.edge.send(rawWindowUpdate(1, 60_000));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(120_010);
    expect(entry.drains).to.equal(1);
  });

  it('sets END_STREAM on the last frame instead of sending one more', async () => {
    stage = await SessionStage.open({}, ({ stream }) => {
      stream.respond(200, [], false);
      if (stream.id === 1) stream.write(Buffer.from('abc'));
      stream.end();
    });
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    await stage.settled();
    expect(stage.edge.on(1, 0).map(({ flags }) => flags)).to.deep.equal([1]);
    expect(stage.edge.on(3, 1).map(({ flags }) => flags)).to.deep.equal([5]);
    expect(stage.edge.on(3, 0)).to.deep.equal([]);
  });

  it('ends a body whose last frame has left already with an empty one', async () => {
    const seen: SeenStream[] = [];
    stage = await SessionStage.open({}, (entry) => seen.push(entry));
    stage.edge.shakeHands();
    stage.edge.send(rawHeaders(1));
    const { stream } = await eventually('the stream', () => seen[0]);
    stream.respond(200, [], false);
    stream.write(Buffer.from('abc'));
    await stage.settled();
    stream.end();
    await stage.settled();
    // Once, whoever says it again.
    stream.end();
    await stage.settled();
    expect(stage.edge.on(1, 0).map(({ flags, payload }) => [flags, payload.length])).to.deep.equal([
      [0, 3],
      [1, 0],
    ]);
  });

  it('keeps the order of a body, piece by piece, while the socket is neither full nor drained', async () => {
    const highWater = 4 * slabBytes;
    const limits = { leastOutputBytes: highWater, mostOutputBytes: highWater };
    stage = await SessionStage.open({ limits }, () => {});
    stage.edge.shakeHands({ 4: maxWindow });
    stage.edge.send(rawWindowUpdate(0, 2 ** 30), rawHeaders(1));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    stream.respond(200, [], false);
    const { socket } = stage.edge;
    const pieces: Buffer[] = [];
    // A reader that stops and goes on: what waits for its socket leaves slab by slab.
    for (let turn = 0; turn < 300; turn += 1) {
      if (turn % 100 === 0) socket.pause();
      else if (turn % 100 > 20) socket[turn % 4 === 0 ? 'resume' : 'pause']();
      pieces.push(Buffer.alloc(turn % 100 <= 20 ? 400_000 : 20_000, turn));
      stream.write(pieces.at(-1)!);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.end();
    socket.resume();
    await eventually('the end', () => stage.edge.on(1, 0).at(-1)?.flags === 1);
    const body = Buffer.concat(stage.edge.on(1, 0).map(({ payload }) => payload));
    expect(body.equals(Buffer.concat(pieces))).to.equal(true);
  });

  it('sends trailers behind a body that had to wait', async () => {
    stage = await SessionStage.open({}, ({ stream }) => {
      stream.respond(200, [], false);
      stream.write(Buffer.alloc(100));
      stream.end(['grpc-status', '0']);
    });
    stage.edge.shakeHands({ 4: 10 });
    stage.edge.send(rawHeaders(1));
    await stage.settled();
    expect(stage.edge.on(1, 1)).to.have.length(1);
    stage.edge.send(rawWindowUpdate(1, 90));
    await stage.settled();
    expect(stage.edge.on(1, 0).every(({ flags }) => flags === 0)).to.equal(true);
    expect(stage.edge.on(1, 1).map(({ flags }) => flags)).to.deep.equal([4, 5]);
  });

  it('does not cut off a response by saying that it has enough of the request', async () => {
    stage = await SessionStage.open({}, () => {});
    stage.edge.shakeHands({ 4: 10 });
    stage.edge.send(rawHeaders(1, undefined, false));
    const { stream } = await eventually('the stream', () => stage.seen[0]);
    answering(100)(stage.seen[0]!);
    stream.reset(0);
    await stage.settled();
    expect(stage.edge.on(1, 3)).to.deep.equal([]);
    stage.edge.send(rawData(1, Buffer.alloc(10)), rawWindowUpdate(1, 90));
    await stage.settled();
    expect(stage.edge.bodyBytes(1)).to.equal(100);
    expect(await stage.edge.resetOf(1)).to.equal(0);
    expect(stage.tested.session.openStreams).to.equal(0);
    expect(stage.seen[0]!.bodyBytes).to.equal(0);
  });

  it('forgets what waits for a stream that the peer reset', async () => {
    stage = await SessionStage.open({}, answering(100_000));
    stage.edge.shakeHands({ 4: 10 });
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    await stage.settled();
    stage.edge.send(rawReset(1, 8), rawSettings({ 4: maxWindow }));
    await stage.settled();
    expect(stage.seen[0]!.reset).to.equal(8);
    expect(stage.edge.bodyBytes(1)).to.equal(10);
    expect(stage.edge.bodyBytes(3)).to.equal(65_535 - 10);
    expect(stage.tested.session.openStreams).to.equal(1);
  });

  it('sends nothing more on a stream that was reset while it waited for the connection', async () => {
    stage = await SessionStage.open({}, answering(100_000));
    stage.edge.shakeHands({ 4: maxWindow });
    stage.edge.send(rawHeaders(1), rawHeaders(3));
    await stage.settled();
    const before = stage.edge.frames.length;
    stage.edge.send(rawReset(1, 8), rawWindowUpdate(0, maxWindow - 65_535));
    await stage.settled();
    expect(stage.edge.bodyBytes(3)).to.equal(100_000);
    expect(stage.edge.frames.slice(before).filter(({ streamId }) => streamId === 1)).to.deep.equal([]);
  });

  it('sends heads and bodies of any length to a peer that takes frames of any length', async () => {
    const long = 3 * slabBytes;
    stage = await SessionStage.open({}, (seen) => {
      if (seen.stream.id === 1) seen.stream.respond(200, ['x-large', '~'.repeat(long)], true);
      else answering(long)(seen);
    });
    stage.edge.shakeHands({ 4: maxWindow, 5: 2 ** 24 - 1 });
    stage.edge.send(rawWindowUpdate(0, 2 ** 30), rawHeaders(1));
    await stage.settled();
    const heads = stage.edge.frames.filter(({ streamId }) => streamId === 1);
    expect(heads.reduce((sum, { payload }) => sum + payload.length, 0)).to.be.greaterThan(long);
    stage.edge.send(rawHeaders(3));
    await stage.settled();
    expect(stage.edge.bodyBytes(3)).to.equal(long);
    expect(stage.edge.on(3, 0).at(-1)!.flags).to.equal(1);
  });

  it('gives the answers of one turn to the socket in one write', async () => {
    const waiting: SeenStream[] = [];
    stage = await SessionStage.open({}, (entry) => waiting.push(entry));
    stage.edge.shakeHands();
    for (let id = 1; id < 200; id += 2) stage.edge.send(rawHeaders(id));
    await eventually('all streams', () => waiting.length === 100);
    await stage.settled();
    const chunks: Buffer[] = [];
    stage.edge.socket.on('data', (chunk) => chunks.push(chunk));
    for (const entry of waiting) answering(128)(entry);
    await eventually('all answers', () => stage.edge.bodyBytes(199) === 128);
    // Loopback hands over a small write in one piece.
    expect(chunks.length).to.equal(1);
  });

  it('makes room in the peer’s table only as the peer allows', async () => {
    stage = await SessionStage.open({}, ({ stream }) => stream.respond(200, ['x-a', 'b'], true));
    stage.edge.shakeHands({ 1: 0 });
    for (const id of [1, 3, 5]) {
      stage.edge.send(rawHeaders(id));
      await stage.settled();
    }
    const blocks = [1, 3, 5].map((id) => stage.edge.on(id, 1)[0]!.payload.toString('hex'));
    // A table size update to 0 first; then, the table having no room, every time the literal.
    expect(blocks[0]).to.equal('208800' + '03782d61' + '0162');
    expect(blocks[1]).to.equal('8800' + '03782d61' + '0162');
    expect(blocks[2]).to.equal(blocks[1]);
  });
});
