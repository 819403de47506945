import { expect } from 'chai';
import fc from 'fast-check';
import { maxCollectedInAllBytes } from '../../src/tunnel/origin/collected-bytes.ts';
import { type Choose, StrictExchange, type StrictRequest } from '../support/strict-exchange.ts';

const request: fc.Arbitrary<StrictRequest> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE'),
  length: fc.constantFrom(-1, 0, 3, 10),
  websocket: fc.boolean(),
  chunkedEncoding: fc.boolean(),
});
const unprocessed = [undefined, 'refused', 'ended', 'cut-off', 'http1'] as const;
const letters = 'abcdefghijklmnopqrstuvwxyz'.repeat(20);

/** Moves an exchange by what was drawn, and in the end lets edge and origin do what is still owed. */
class Play {
  readonly stage: StrictExchange;
  readonly #request: StrictRequest;
  readonly #choose: Choose;
  #sent = '';

  constructor(asked: StrictRequest, choose: Choose) {
    this.#request = asked;
    this.#choose = choose;
    this.stage = new StrictExchange(asked, choose);
  }

  async step(): Promise<void> {
    const { stage } = this;
    const { stream, exchange, connection } = stage;
    switch (this.#choose(11)) {
      case 0:
      case 1:
        return this.#send(1 + this.#choose(5));
      case 2:
        return this.#end();
      case 3:
        if (stream.closed || this.#choose(4) > 0) return;
        stream.closed = true;
        return exchange.reset();
      case 4:
        if (stream.closed || !stream.blocked) return;
        stream.blocked = false;
        return exchange.drain();
      case 5:
        return stage.dialled(this.#choose(5) > 0 ? null : { reason: 'refused', message: '' });
      case 6:
        return this.#answer(this.#choose(2) === 0 ? 200 : 101);
      case 7:
        if (connection?.answered) connection.exchange?.responseBody(Buffer.from('body'));
        return;
      case 8:
        if (connection?.answered) connection.leave()?.responseEnd([]);
        return;
      case 9: {
        const why = connection?.answered ? undefined : unprocessed[this.#choose(unprocessed.length)];
        const failure = { reason: 'reset', message: '' } as const;
        return connection?.leave()?.failed(why === undefined ? failure : { ...failure, unprocessed: why });
      }
      default:
        if (connection?.full !== true) return stage.clock.advance(200);
        connection.full = false;
        return connection.exchange?.requestDrained();
    }
  }

  async finish(): Promise<void> {
    const { stage } = this;
    while (stage.overs === 0) {
      const { connection } = stage;
      if (!stage.stream.peerEnded) {
        this.#send(this.#request.length);
        this.#end();
      } else if (stage.dials.length > 0) stage.dialled(null);
      else if (connection === undefined) expect.fail('nothing is under way');
      else if (connection.full) {
        connection.full = false;
        connection.exchange?.requestDrained();
      } else if (!connection.answered) {
        if (!this.#request.websocket) {
          expect([connection.done, connection.received]).to.deep.equal([true, this.#sent]);
        }
        this.#answer(200);
      } else connection.leave()?.responseEnd([]);
    }
  }

  /** What holds at any time. */
  check(): void {
    const { overs, stream, connections, connection, dials, clock } = this.stage;
    for (const { received, endsSoon } of connections) {
      expect(received).to.equal(endsSoon ? this.#sent : this.#sent.slice(0, received.length));
    }
    expect(overs).to.be.below(2);
    if (stream.closed) expect(overs).to.equal(1);
    if (overs === 0) return;
    expect([connection, dials, clock.pendingTimers]).to.deep.equal([undefined, [], 0]);
    expect(stream.closed, 'no half of its stream is open').to.equal(true);
    expect(this.stage.collecting.take(maxCollectedInAllBytes), 'nothing is collected').to.equal(true);
    this.stage.collecting.giveBack(maxCollectedInAllBytes);
  }

  #send(bytes: number): void {
    const { stream, exchange } = this.stage;
    const { length } = this.#request;
    const allowed = length < 0 ? bytes : Math.min(bytes, length - this.#sent.length);
    if (stream.closed || stream.peerEnded || allowed <= 0) return;
    const piece = letters.slice(this.#sent.length, this.#sent.length + allowed);
    this.#sent += piece;
    const lent = Buffer.from(piece);
    exchange.data(lent);
    lent.fill('?');
  }

  #end(): void {
    const { stream, exchange } = this.stage;
    const { length } = this.#request;
    if (stream.closed || stream.peerEnded || (length >= 0 && this.#sent.length < length)) return;
    stream.peerEnded = true;
    exchange.end([]);
    if (stream.ended) stream.closed = true;
  }

  #answer(status: number): void {
    const { connection } = this.stage;
    if (connection === undefined || connection.answered || (status === 101 && !this.#request.websocket))
      return;
    connection.answered = true;
    connection.upgraded = status === 101;
    const bodyless = this.#request.method === 'HEAD' && status !== 101;
    connection.exchange?.responseHead({
      ...{ status, headers: [], contentLength: -1, bodyless, keepAliveSeconds: -1 },
    });
    if (bodyless) connection.leave()?.responseEnd([]);
  }
}

describe('an exchange between edge and origin', () => {
  it('is over once, with all that it held let go and each byte in its place, in whatever order things happen', async () => {
    await fc.assert(
      fc.asyncProperty(request, fc.infiniteStream(fc.nat(1 << 20)), async (asked, drawn) => {
        const play = new Play(asked, (n) => drawn.next().value % n);
        for (let step = 0; step < 40; step += 1) {
          await play.step();
          play.check();
        }
        await play.finish();
        play.check();
      }),
      { numRuns: 2_000 },
    );
  });
});
