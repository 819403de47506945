import { expect } from 'chai';
import type { OriginFailure } from '../../src/tunnel/origin/origin-failure.ts';
import type { OriginGroup } from '../../src/tunnel/origin/origin-group.ts';
import { TcpConnection } from '../../src/tunnel/origin/tcp-connection.ts';
import { TcpExchange } from '../../src/tunnel/proxy-tcp.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { binaryMessage } from '../support/client-frames.ts';
import { connectionToOrigin } from '../support/connection-to-origin.ts';
import { eventually } from '../support/eventually.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RecordedStream } from '../support/recorded-stream.ts';

describe('a tcp backend that is being dialled', () => {
  let clock: ManualClock;
  let stream: RecordedStream;
  let exchange: TcpExchange;
  let connected: (connection: TcpConnection) => void;
  let failed: (failure: OriginFailure) => void;
  let cancelled: number;
  /** Statuses of exchanges that are over. */
  let over: number[];
  let failures: OriginFailure[];

  beforeEach(() => {
    clock = new ManualClock();
    stream = new RecordedStream();
    cancelled = 0;
    over = [];
    failures = [];
    const origin = {
      dialTcp(hit: typeof connected, miss: typeof failed) {
        connected = hit;
        failed = miss;
        return { cancel: () => (cancelled += 1) };
      },
    } as unknown as OriginGroup;
    const head = { method: 'GET', path: '/', scheme: 'https', authority: 'app.example.com' };
    exchange = new TcpExchange(
      {
        clock,
        over: (status) => over.push(status),
        originFailed: (failure) => failures.push(failure),
        peerFailed: () => {},
      },
      stream,
      { ...head, headers: [], ended: false },
      origin,
    );
    exchange.start();
  });
  afterEach(() => expect(clock.pendingTimers).to.equal(0));

  it('holds its client back, and gets what came all the same, though it lay in a buffer that is used again', async () => {
    expect(stream.paused).to.equal(true);
    for (const text of ['hello ', 'world']) {
      const chunk = binaryMessage(Buffer.from(text));
      exchange.data(chunk);
      chunk.fill(0);
    }
    const { ours, origin, stop } = await connectionToOrigin();
    let received = '';
    origin.on('data', (chunk) => {
      received += chunk.toString();
    });
    connected(new TcpConnection(ours, clock, () => {}));
    expect(stream.paused).to.equal(false);
    await eventually('what came', () => received === 'hello world');
    exchange.reset();
    expect(over).to.deep.equal([101]);
    stop();
  });

  for (const [reason, status] of [
    ['timeout', 504],
    ['refused', 502],
  ] as const) {
    it(`is ${status} after "${reason}"`, () => {
      const failure = { reason, message: 'not reached' };
      failed(failure);
      expect(stream.responses).to.deep.equal([{ status, ended: true }]);
      expect(stream.resetWith, 'the rest of the request').to.equal(http2Error.noError);
      expect(over).to.deep.equal([status]);
      expect(failures).to.deep.equal([failure]);
    });
  }

  it('is not dialled on for a client that has gone', () => {
    exchange.reset();
    expect(cancelled).to.equal(1);
    expect(over).to.deep.equal([0]);
    expect(stream.responses).to.deep.equal([]);
  });
});
