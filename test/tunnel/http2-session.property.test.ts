import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import type { EdgeStream } from '../../src/tunnel/edge-session.ts';
import type { StreamHandler } from '../../src/tunnel/http2/stream.ts';
import { sessionOn } from '../support/edge-peer.ts';
import { ManualClock } from '../support/manual-clock.ts';
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
  rawSettingsAck,
  rawWindowUpdate,
} from '../support/raw-frames.ts';

/** What a handler does when it is called, by a number that the test draws. */
const deeds: readonly ((stream: EdgeStream) => void)[] = [
  () => {},
  (stream) => stream.respond(200, ['x-a', 'b'], false),
  (stream) => stream.respond(204, [], true),
  (stream) => void stream.write(Buffer.alloc(3)),
  (stream) => void stream.write(Buffer.alloc(100_000)),
  (stream) => stream.end(),
  (stream) => stream.end(['x-t', '1']),
  (stream) => stream.pause(),
  (stream) => stream.resume(),
  (stream) => stream.reset(0),
  (stream) => stream.reset(2),
  () => {
    throw new Error('a deed that fails');
  },
];

/** Keeps the promises made to handlers: nothing after `reset` or after the request's end but `drain` and `reset`. */
class WatchedHandler implements StreamHandler {
  readonly #act: () => void;
  #requestEnded: boolean;
  #reset = false;

  constructor(ended: boolean, act: () => void) {
    this.#requestEnded = ended;
    this.#act = act;
  }

  data(chunk: Buffer): void {
    expect(chunk.length).to.be.greaterThan(0);
    expect([this.#requestEnded, this.#reset]).to.deep.equal([false, false]);
    this.#act();
  }
  end(): void {
    expect([this.#requestEnded, this.#reset]).to.deep.equal([false, false]);
    this.#requestEnded = true;
    this.#act();
  }
  reset(): void {
    expect(this.#reset).to.equal(false);
    this.#reset = true;
    this.#act();
  }
  drain(): void {
    expect(this.#reset).to.equal(false);
    this.#act();
  }
}

const streamId = fc.integer({ min: 0, max: 4 }).map((index) => index * 2 + 1);
const frame = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(streamId, fc.boolean())
      .map(([id, end]) => rawHeaders(id, end ? getBlock : postBlock, end)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(streamId, fc.nat(300), fc.boolean())
      .map(([id, bytes, end]) => rawData(id, Buffer.alloc(bytes), end)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(streamId, fc.constantFrom(1, 1000, 70_000))
      .map(([id, by]) => rawWindowUpdate(id, by)),
  },
  { weight: 1, arbitrary: fc.constantFrom(1, 70_000).map((by) => rawWindowUpdate(0, by)) },
  { weight: 1, arbitrary: streamId.map((id) => rawReset(id, 8)) },
  { weight: 1, arbitrary: streamId.map((id) => rawHeaders(id, rawBlock('x-t', '1'))) },
  { weight: 1, arbitrary: fc.constantFrom(0, 10, 65_535, 2 ** 20).map((bytes) => rawSettings({ 4: bytes })) },
  { weight: 1, arbitrary: fc.constant(rawFrame(6, 0, 0, Buffer.alloc(8))) },
);
const strayFrame = fc
  .tuple(fc.nat(11), fc.nat(255), fc.nat(9), fc.uint8Array({ maxLength: 20 }))
  .map(([type, flags, id, payload]) => rawFrame(type, flags, id, payload));

/** Streams of this run must all be told their end, the session must end once, and only our deeds may have failed. */
async function survives(frames: readonly Buffer[], plan: readonly number[], cut: number): Promise<void> {
  const [near, far] = duplexPair();
  const socket = Object.assign(near, { setNoDelay: () => socket }) as unknown as Socket;
  const clock = new ManualClock();
  let step = 0;
  const tested = sessionOn(
    socket,
    (stream, head) => {
      const act = (): void => {
        if (plan.length > 0) deeds[plan[step++ % plan.length]!]!(stream);
      };
      act();
      return new WatchedHandler(head.ended, act);
    },
    {
      clock,
      limits: {
        streamWindowBytes: 2000,
        narrowWindowBytes: 300,
        maxHeldBytes: 8000,
        connectionWindowBytes: 70_000,
        streamQueueBytes: 1000,
      },
    },
  );
  far.on('data', () => {});
  far.on('error', () => {});
  const bytes = Buffer.concat([rawPreface, rawSettings(), rawSettingsAck, ...frames]);
  for (let from = 0; from < bytes.length; from += cut) {
    if (far.writable) far.write(bytes.subarray(from, from + cut));
    await new Promise((resolve) => setImmediate(resolve));
  }
  tested.session.destroy();
  await tested.ended;
  expect(tested.session.openStreams).to.equal(0);
  expect(clock.pendingTimers).to.equal(0);
  const failures = tested.thrown.map((thrown) => (thrown as Error).message);
  const own = /^(a deed that fails|a stream was |an informational )/;
  expect(failures.filter((message) => !own.test(message))).to.deep.equal([]);
}

describe('HTTP/2 session, whatever peer and handlers do', () => {
  const plan = fc.array(fc.nat(deeds.length - 1), { maxLength: 12 });
  const cut = fc.constantFrom(7, 100, 5000);

  it('keeps its promises with frames that make sense', async () => {
    await fc.assert(fc.asyncProperty(fc.array(frame, { maxLength: 25 }), plan, cut, survives), {
      numRuns: 400,
    });
  });

  it('keeps its promises with frames that do not', async () => {
    const any = fc.oneof({ weight: 5, arbitrary: frame }, { weight: 1, arbitrary: strayFrame });
    await fc.assert(fc.asyncProperty(fc.array(any, { maxLength: 25 }), plan, cut, survives), {
      numRuns: 300,
    });
  });
});
