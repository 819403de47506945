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
  readonly #roomBytes: number;

  constructor(roomBytes = Number.POSITIVE_INFINITY) {
    this.#roomBytes = roomBytes;
  }

  write(chunk: Buffer): boolean {
    this.text += chunk.toString();
    return this.text.length < this.#roomBytes;
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
