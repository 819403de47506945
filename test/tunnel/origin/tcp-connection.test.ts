import { once } from 'node:events';
import { expect } from 'chai';
import { endingLimitMs, TcpConnection } from '../../../src/tunnel/origin/tcp-connection.ts';
import { type ConnectionToOrigin, connectionToOrigin } from '../../support/connection-to-origin.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** Far more than the system takes for a reader that does not read. */
const large = Buffer.alloc(16 << 20, 'x');

describe('a connection without HTTP whose user has ended it', () => {
  let sockets: ConnectionToOrigin;
  let clock: ManualClock;
  let gone: number;
  let connection: TcpConnection;
  beforeEach(async () => {
    sockets = await connectionToOrigin();
    sockets.origin.pause();
    clock = new ManualClock();
    gone = 0;
    connection = new TcpConnection(sockets.ours, clock, () => {
      gone += 1;
    });
    connection.start({ received() {}, requestDrained() {}, ended() {}, failed() {} });
    expect(connection.write(large)).to.equal(false);
    connection.pause();
    connection.end();
    connection.end();
  });
  afterEach(() => {
    connection.destroy();
    sockets.stop();
    expect([clock.pendingTimers, gone]).to.deep.equal([0, 1]);
  });

  it('sends all that it was given, also to one who reads when it has spoken', async () => {
    let received = 0;
    sockets.origin.on('data', (chunk) => {
      received += chunk.length;
    });
    sockets.origin.pause();
    sockets.origin.write(large, () => sockets.origin.resume());
    await once(sockets.origin, 'end');
    expect(received).to.equal(large.length);
    await eventually('our end', () => gone === 1);
  });

  it('is given up on when nobody reads that', async () => {
    await clock.advance(endingLimitMs);
    expect(gone).to.equal(1);
  });
});
