import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import type { Exchange } from '../../../src/tunnel/origin/exchange.ts';
import { Http1Connection } from '../../../src/tunnel/origin/http1-connection.ts';
import { planRequest, type RequestPlan } from '../../../src/tunnel/origin/http1-request.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { withSharedReads } from '../../../src/tunnel/shared-reads.ts';

const length = 4;
const plan = planRequest(
  {
    method: 'POST',
    path: '/',
    scheme: 'https',
    authority: 'app.example.com',
    headers: ['content-length', String(length)],
    ended: false,
  },
  { connectorId: 'the-id', hostHeader: null },
) as RequestPlan;

/** A kept connection, which the origin ends before it knows of the next request. */
describe('a kept connection to an origin that ends', () => {
  let origin: Socket;
  let connection: Http1Connection;
  let stop: () => void;
  beforeEach(async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const ours = withSharedReads((reads) => connect({ host: '127.0.0.1', port, ...reads }));
    [[origin]] = (await Promise.all([once(server, 'connection'), once(ours, 'connect')])) as [
      [Socket],
      unknown,
    ];
    origin.on('error', () => {}).resume();
    connection = new Http1Connection(ours, '', { free() {}, ending() {}, gone() {} });
    stop = () => {
      connection.destroy();
      origin.destroy();
      server.close();
    };
    const first = post();
    origin.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect(await first).to.equal('answered');
  });
  afterEach(() => stop());

  function post(): Promise<OriginFailure | 'answered'> {
    return new Promise((resolve) => {
      const exchange: Exchange = {
        responseHead() {},
        responseBody() {},
        responseEnd: () => resolve('answered'),
        failed: resolve,
        requestDrained() {},
      };
      connection.start(exchange, plan, { length }, false);
      connection.write(Buffer.from('body'));
      connection.requestDone([]);
    });
  }

  it('before the request has left, says that it can be sent again, whatever it is', async () => {
    // What is begun here leaves after the next turn's reads: by then the end has come.
    await new Promise((resolve) => setImmediate(resolve));
    const second = post();
    origin.destroy();
    expect(await second).to.include({ reason: 'reset', unprocessed: 'ended' });
  });

  it('after that, says nothing of the kind', async () => {
    const second = post();
    await once(origin, 'data');
    origin.destroy();
    expect(await second)
      .to.include({ reason: 'reset' })
      .and.not.have.property('unprocessed');
  });
});
