import { once } from 'node:events';
import { expect } from 'chai';
import { Http1Connection } from '../../../src/tunnel/origin/http1-connection.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { type ConnectionToOrigin, connectionToOrigin, postOn } from '../../support/connection-to-origin.ts';

/** A kept connection, which the origin ends before it knows of the next request. */
describe('a kept connection to an origin that ends', () => {
  let sockets: ConnectionToOrigin;
  let connection: Http1Connection;
  beforeEach(async () => {
    sockets = await connectionToOrigin();
    connection = new Http1Connection(sockets.ours, '', { free() {}, ending() {}, gone() {} });
    const first = post();
    sockets.origin.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect(await first).to.equal('answered');
  });
  afterEach(() => {
    connection.destroy();
    sockets.stop();
  });

  const post = (): Promise<OriginFailure | 'answered'> => postOn(connection);

  it('before the request has left, says that it can be sent again, whatever it is', async () => {
    // What is begun here leaves after the next turn's reads: by then the end has come.
    await new Promise((resolve) => setImmediate(resolve));
    const second = post();
    sockets.origin.destroy();
    expect(await second).to.include({ reason: 'reset', unprocessed: 'ended' });
  });

  it('after that, says nothing of the kind', async () => {
    const second = post();
    await once(sockets.origin, 'data');
    sockets.origin.destroy();
    expect(await second)
      .to.include({ reason: 'reset' })
      .and.not.have.property('unprocessed');
  });
});
