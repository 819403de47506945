import { expect } from 'chai';
import {
  CollectedBytes,
  maxCollectedBytes,
  maxCollectedInAllBytes,
} from '../../../src/tunnel/origin/collected-bytes.ts';
import type { OriginConnection } from '../../../src/tunnel/origin/exchange.ts';
import { planRequest, type RequestPlan } from '../../../src/tunnel/origin/http1-request.ts';
import { RequestBody } from '../../../src/tunnel/origin/request-body.ts';

/** What a connection was given; it is full behind `roomBytes`. */
class Given implements OriginConnection {
  readonly exchanges = 0;
  readonly answered = false;
  text = '';
  ends = 0;
  writes = 0;
  #roomBytes: number;

  constructor(roomBytes = Number.POSITIVE_INFINITY) {
    this.#roomBytes = roomBytes;
  }

  write(chunk: Buffer): boolean {
    this.writes += 1;
    this.text += chunk.toString();
    return this.text.length < this.#roomBytes;
  }

  /** So much more finds room. */
  drain(bytes: number): void {
    this.#roomBytes = this.text.length + bytes;
  }

  requestDone(): void {
    this.ends += 1;
  }

  start(): void {}
  pause(): void {}
  resume(): void {}
  endSoon(): void {}
  destroy(): void {}
}

let collecting: CollectedBytes;

function bodyOf(headers: readonly string[], { method = 'POST', chunked = true } = {}): RequestBody {
  const head = { method, path: '/', scheme: 'https', authority: 'app.example.com', headers, ended: false };
  const plan = planRequest(head, { connectorId: 'the-id', hostHeader: null }) as RequestPlan;
  return new RequestBody(plan, false, chunked ? null : collecting);
}

/** Gives a piece as a session does: its memory is another's as soon as that returns. */
function lend(body: RequestBody, text: string): string {
  const chunk = Buffer.from(text);
  const step = body.data(chunk);
  chunk.fill('?');
  return step;
}

describe('the body of a request', () => {
  beforeEach(() => {
    collecting = new CollectedBytes();
  });

  it('is collected while all that are collected find room, which one that goes out or is given up leaves to others', () => {
    const piece = Buffer.alloc(maxCollectedBytes);
    const bodies = Array.from({ length: maxCollectedInAllBytes / maxCollectedBytes }, () =>
      bodyOf([], { chunked: false }),
    );
    const late = bodyOf([], { chunked: false });
    expect([...bodies, late].map((body) => body.data(piece))).to.deep.equal([
      ...bodies.map(() => 'go-on'),
      'crowded',
    ]);
    const [sent, dropped] = bodies;
    sent?.end([]);
    sent?.attach(new Given());
    dropped?.drop();
    dropped?.drop();
    const others = Array.from({ length: 3 }, () => bodyOf([], { chunked: false }).data(piece));
    expect(others).to.deep.equal(['go-on', 'go-on', 'crowded']);
  });

  it('is as long as announced, whatever comes', () => {
    const longer = bodyOf(['content-length', '3']);
    const given = new Given();
    longer.attach(given);
    expect([lend(longer, 'ab'), lend(longer, 'cd'), given.text]).to.deep.equal(['go-on', 'broken', 'ab']);
    const shorter = bodyOf(['content-length', '3']);
    expect([lend(shorter, 'ab'), shorter.end([])]).to.deep.equal(['pause', 'broken']);
  });

  it('is over with its last announced byte, once', () => {
    const body = bodyOf(['content-length', '4']);
    const given = new Given();
    body.attach(given);
    lend(body, 'body');
    expect([body.complete, given.ends]).to.deep.equal([true, 1]);
    expect([body.end([]), given.ends]).to.deep.equal(['go-on', 1]);
  });

  it('goes to one connection after the other, until too much of it has gone to be kept', () => {
    const body = bodyOf([]);
    lend(body, 'early ');
    for (let again = 0; again < 2; again += 1) {
      const given = new Given();
      body.attach(given);
      if (again === 0) lend(body, 'late');
      expect([given.text, body.whole]).to.deep.equal(['early late', true]);
      body.detach();
    }
    lend(body, 'x'.repeat(10_000));
    for (let again = 0; again < 2; again += 1) {
      const given = new Given();
      body.attach(given);
      expect([given.text.length, body.whole]).to.deep.equal([10_010, true]);
      if (again === 0) body.detach();
    }
    lend(body, 'x'.repeat(10_000));
    expect(body.whole).to.equal(false);
  });

  it('asks for a pause where what has waited for the connection has filled it', () => {
    const body = bodyOf([]);
    lend(body, 'early');
    expect(body.attach(new Given(5))).to.equal(false);
  });

  it('waits in few pieces, and goes to the next connection in few, also where it came byte by byte', () => {
    const body = bodyOf([]);
    const bytes = 'abcdefghij'.repeat(1_600);
    for (const byte of bytes) lend(body, byte);
    for (let again = 0; again < 2; again += 1) {
      const given = new Given();
      body.attach(given);
      expect([given.text === bytes, body.whole]).to.deep.equal([true, true]);
      expect(given.writes).to.be.below(20);
      body.detach();
    }
    const attached = bodyOf([]);
    attached.attach(new Given());
    for (const byte of bytes) lend(attached, byte);
    attached.detach();
    const given = new Given();
    attached.attach(given);
    expect(given.text === bytes).to.equal(true);
    expect(given.writes).to.be.below(20);
  });

  it('that has waited goes out as the connection takes it, in order, and ends once', () => {
    const body = bodyOf([]);
    for (const piece of ['a', 'b', 'c']) lend(body, piece.repeat(5_000));
    const given = new Given(6_000);
    expect([body.attach(given), given.text.length]).to.deep.equal([false, 10_000]);
    expect([lend(body, 'd'), body.end([]), given.text.length, given.ends]).to.deep.equal([
      ...['pause', 'go-on', 10_000, 0],
    ]);
    given.drain(20_000);
    expect([body.goOn(), body.goOn(), given.ends]).to.deep.equal([true, true, 1]);
    expect(given.text).to.equal(`${['a', 'b', 'c'].map((piece) => piece.repeat(5_000)).join('')}d`);
  });

  it('that was collected leaves its room to others only as the connection takes it', () => {
    const body = bodyOf([], { chunked: false });
    const piece = Buffer.alloc(maxCollectedBytes / 4);
    for (let i = 0; i < 4; i += 1) body.data(piece);
    body.end([]);
    const given = new Given(1);
    expect([body.attach(given), given.text.length]).to.deep.equal([false, piece.length]);
    const takes = (bytes: number) => {
      const room = collecting.take(bytes);
      if (room) collecting.giveBack(bytes);
      return room;
    };
    const left = maxCollectedInAllBytes - 3 * piece.length;
    expect([takes(left), takes(left + 1)]).to.deep.equal([true, false]);
    given.drain(maxCollectedBytes);
    expect([body.goOn(), given.ends, takes(maxCollectedInAllBytes)]).to.deep.equal([true, 1, true]);
  });

  it('of a GET that has not begun in time is none for an origin that takes no chunks, and no byte follows', () => {
    const body = bodyOf([], { method: 'GET', chunked: false });
    expect(body.awaitsFirstByte).to.equal(true);
    body.waitNoLonger();
    expect([body.framing, body.empty, lend(body, 'x')]).to.deep.equal(['none', true, 'broken']);
    const begun = bodyOf([], { method: 'GET', chunked: false });
    lend(begun, 'x');
    expect([begun.awaitsFirstByte, begun.framing]).to.deep.equal([false, null]);
    expect(bodyOf([], { chunked: false }).awaitsFirstByte).to.equal(false);
  });

  it('of unknown length is collected where it may not go in chunks, up to 16 MiB', () => {
    const piece = 'x'.repeat(1 << 20);
    const body = bodyOf([], { chunked: false });
    for (let i = 0; i < 16; i += 1) expect(lend(body, piece)).to.equal('go-on');
    expect([body.framing, lend(body, 'x')]).to.deep.equal([null, 'too-large']);
  });

  for (const [method, framing] of [
    ['GET', 'none'],
    ['POST', { length: 0 }],
  ] as const) {
    it(`that is none after all is said of a ${method} as ${JSON.stringify(framing)}`, () => {
      const body = bodyOf([], { method, chunked: false });
      body.end([]);
      expect(body.framing).to.deep.equal(framing);
    });
  }
});
