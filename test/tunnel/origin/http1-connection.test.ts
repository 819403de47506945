import { once } from 'node:events';
import { expect } from 'chai';
import { answeredUploadMs, Http1Connection } from '../../../src/tunnel/origin/http1-connection.ts';
import { planRequest, type RequestPlan } from '../../../src/tunnel/origin/http1-request.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { type ConnectionToOrigin, connectionToOrigin, postOn } from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
/** Far more than the system takes for a reader that does not read. */
const large = Buffer.alloc(16 << 20, 'x');
const noExchange = {
  responseHead() {},
  responseBody() {},
  responseEnd() {},
  failed() {},
  requestDrained() {},
};

function planOf(method: string, headers: readonly string[]): RequestPlan {
  const head = { method, path: '/', scheme: 'https', authority: 'app.example.com', headers, ended: false };
  return planRequest(head, { connectorId: 'the-id', hostHeader: null }) as RequestPlan;
}

describe('a kept connection to an origin', () => {
  let sockets: ConnectionToOrigin;
  let connection: Http1Connection;
  let clock: ManualClock;
  let ending: Http1Connection[];
  let owned: string[];
  beforeEach(async () => {
    sockets = await connectionToOrigin();
    ending = [];
    clock = new ManualClock();
    owned = [];
    const owner = {
      free: () => owned.push('free'),
      ending: (it: Http1Connection) => ending.push(it),
      gone: () => owned.push('gone'),
    };
    connection = new Http1Connection(sockets.ours, '', clock, owner);
    const first = post();
    sockets.origin.write(answer);
    expect(await first).to.equal('answered');
  });
  afterEach(() => {
    connection.destroy();
    sockets.stop();
  });

  const post = (): Promise<OriginFailure | 'answered'> => postOn(connection);

  it('that ends before the request has left, says that it can be sent again, whatever it is', async () => {
    // What is begun here leaves after the next turn's reads: by then the end has come.
    await new Promise((resolve) => setImmediate(resolve));
    const second = post();
    sockets.origin.destroy();
    expect(await second).to.include({ reason: 'reset', unprocessed: 'ended' });
  });

  it('that ends after that, says nothing of the kind', async () => {
    const second = post();
    await once(sockets.origin, 'data');
    sockets.origin.destroy();
    expect(await second)
      .to.include({ reason: 'reset' })
      .and.not.have.property('unprocessed');
    // Without a body it leaves at once.
    const other = await connectionToOrigin();
    const sent = new Http1Connection(other.ours, '', clock, { free() {}, ending() {}, gone() {} });
    sent.exchanges = 1;
    const failed = new Promise<OriginFailure>((resolve) => {
      sent.start({ ...noExchange, failed: resolve }, planOf('LOCK', []), 'none', true);
    });
    other.origin.destroy();
    expect(await failed).not.to.have.property('unprocessed');
    other.stop();
  });

  it('is read on for the next request when the reader of the last one had it paused', async () => {
    const held = new Promise<void>((resolve) => {
      const exchange = {
        ...noExchange,
        responseBody: () => connection.pause(),
        responseEnd: () => resolve(),
      };
      connection.start(exchange, planOf('GET', []), 'none', true);
    });
    sockets.origin.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody');
    await held;
    const next = post();
    sockets.origin.write(answer);
    expect(await next).to.equal('answered');
  });

  it('carries a request behind the body of the last one, which was answered before it was read', async () => {
    const received = receivedBy(sockets.origin.pause());
    const answered = new Promise<void>((resolve) => {
      const plan = planOf('POST', ['content-length', String(large.length)]);
      connection.start(
        { ...noExchange, responseEnd: () => resolve() },
        plan,
        { length: large.length },
        false,
      );
      connection.write(large);
      connection.requestDone([]);
    });
    sockets.origin.write(answer);
    await answered;
    connection.start(noExchange, planOf('GET', []), 'none', true);
    sockets.origin.resume();
    await eventually('the next request', () => received().lastIndexOf('GET / HTTP/1.1') > large.length);
  });

  describe('whose origin has answered an upload that goes on', () => {
    const chunked = 'HTTP/1.1 413 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nx-sum: 1\r\n\r\n';
    let told: (readonly string[] | OriginFailure)[];
    let heads: number[];

    async function uploadAnswered(said: string): Promise<void> {
      told = [];
      heads = [];
      owned = [];
      connection.start(
        {
          ...noExchange,
          responseHead: ({ status }) => heads.push(status),
          responseEnd: (trailers) => told.push(trailers),
          failed: (failure) => told.push(failure),
        },
        planOf('POST', ['content-length', '8']),
        { length: 8 },
        false,
      );
      connection.write(Buffer.from('half'));
      sockets.origin.write(said);
      await eventually('the answer', () => heads.length > 0);
    }

    it('carries the rest of it and then ends, for the origin may have read none of it', async () => {
      const received = receivedBy(sockets.origin);
      sockets.origin.resume();
      await uploadAnswered(chunked);
      await clock.advance(answeredUploadMs - 1);
      expect([told, owned]).to.deep.equal([[], []]);
      connection.write(Buffer.from('full'));
      connection.requestDone([]);
      expect([told, ending]).to.deep.equal([[['x-sum', '1']], [connection]]);
      await once(sockets.origin, 'end');
      expect(received().toString().endsWith('halffull')).to.equal(true);
      expect(clock.pendingTimers).to.equal(0);
    });

    it('is given up when the rest takes too long', async () => {
      await uploadAnswered(chunked);
      await clock.advance(answeredUploadMs);
      expect([told, owned]).to.deep.equal([[['x-sum', '1']], ['gone']]);
      await once(sockets.origin, 'close');
    });

    it('is given up at once by who wanted the answer, and that ends the wait', async () => {
      await uploadAnswered(answer);
      connection.destroy();
      expect([told, owned, clock.pendingTimers]).to.deep.equal([[], ['gone'], 0]);
    });

    const ends: Record<string, () => unknown> = {
      'ends it': () => sockets.origin.end(),
      'cuts it': () => sockets.origin.resetAndDestroy(),
      'says what nobody asked for': () => sockets.origin.write(answer),
    };
    for (const [how, end] of Object.entries(ends)) {
      it(`is given up when the origin ${how}: its answer is whole`, async () => {
        await uploadAnswered(answer);
        end();
        await eventually('its end', () => told.length > 0);
        expect([told, owned, clock.pendingTimers]).to.deep.equal([[[]], ['gone'], 0]);
      });
    }

    it('is given up at once when the origin said that it will end it', async () => {
      await uploadAnswered('HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      expect([told, owned, clock.pendingTimers]).to.deep.equal([[[]], ['gone'], 0]);
    });
  });

  describe('that is upgraded sends all that it was given before it ends, also to one', () => {
    let received: () => Buffer;
    let toldOfEnd: Promise<void>;
    beforeEach(async () => {
      received = receivedBy(sockets.origin.pause());
      const plan = planOf('GET', ['cf-cloudflared-proxy-connection-upgrade', 'websocket']);
      const switched = new Promise<void>((resolve) => {
        toldOfEnd = new Promise((ended) => {
          const exchange = { ...noExchange, responseHead: () => resolve(), responseEnd: () => ended() };
          connection.start(exchange, plan, 'none', true);
        });
      });
      sockets.origin.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');
      await switched;
      connection.write(large);
    });
    afterEach(() => {
      expect(received().subarray(-large.length).equals(large)).to.equal(true);
      expect(ending).to.deep.equal([connection]);
    });

    it('who reads when it has spoken', async () => {
      connection.pause();
      connection.endSoon();
      sockets.origin.write(large, () => sockets.origin.resume());
      await once(sockets.origin, 'end');
    });

    it('who has said all that it has to say before', async () => {
      sockets.origin.end();
      await toldOfEnd;
      sockets.origin.resume();
      await once(sockets.origin, 'end');
    });

    it('who says all that it has to say meanwhile', async () => {
      connection.endSoon();
      sockets.origin.end();
      await once(sockets.ours, 'end');
      sockets.origin.resume();
      await once(sockets.origin, 'close');
    });
  });

  function receivedBy(origin: ConnectionToOrigin['origin']): () => Buffer {
    const chunks: Buffer[] = [];
    origin.on('data', (chunk) => chunks.push(chunk));
    origin.pause();
    return () => Buffer.concat(chunks);
  }
});
