import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { systemClock } from '../../../src/time/clock.ts';
import { Http1Connection } from '../../../src/tunnel/origin/http1-connection.ts';
import type { ResponseHead } from '../../../src/tunnel/origin/http1-head.ts';
import { planRequest, type RequestPlan } from '../../../src/tunnel/origin/http1-request.ts';
import type { OriginFailure } from '../../../src/tunnel/origin/origin-failure.ts';
import { TcpConnection } from '../../../src/tunnel/origin/tcp-connection.ts';
import { withSharedReads } from '../../../src/tunnel/shared-reads.ts';
import { eventually } from '../../support/eventually.ts';

const plan = planRequest(
  {
    method: 'POST',
    path: '/upload',
    scheme: 'https',
    authority: 'app.example.com',
    headers: ['content-length', '1000000'],
    ended: false,
  },
  { connectorId: 'the-id', hostHeader: null },
) as RequestPlan;

/** An upload to an origin that says `answer` and cuts the connection; its next piece is written before that is read. */
describe('an origin that has cut the connection under an upload', () => {
  let server: Server;
  let seen: string[];
  let fate: string[];
  afterEach(() => server.close());

  /** `open` takes the socket over, begins the upload and gives what writes its next piece. */
  async function upload(said: string, open: (socket: Socket) => (piece: Buffer) => void): Promise<void> {
    seen = [];
    fate = [];
    let next = (_piece: Buffer): void => {};
    server = createServer((origin: Socket) => {
      origin.on('error', () => {});
      origin.once('data', () => {
        origin.write(said);
        origin.resetAndDestroy();
        // In the same turn: what was said and the reset are in the system, unread.
        next(Buffer.alloc(1_000));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = withSharedReads((reads) => connect({ host: '127.0.0.1', port, ...reads }));
    await once(socket, 'connect');
    next = open(socket);
    await eventually('its end', () => fate.length > 0 && seen.length > 0);
  }

  function openHttp(socket: Socket): (piece: Buffer) => void {
    const connection = new Http1Connection(socket, '', systemClock, {
      free: () => fate.push('free'),
      ending: () => fate.push('ending'),
      gone: () => fate.push('gone'),
    });
    const exchange = {
      responseHead: ({ status }: ResponseHead) => seen.push(String(status)),
      responseBody: (chunk: Buffer) => seen.push(chunk.toString()),
      responseEnd: () => seen.push('whole'),
      failed: ({ reason }: OriginFailure) => seen.push(reason),
      requestDrained: () => {},
    };
    connection.start(exchange, plan, { length: 1_000_000 }, false);
    return (piece) => connection.write(piece);
  }

  function openTcp(socket: Socket): (piece: Buffer) => void {
    const connection = new TcpConnection(socket, systemClock, () => fate.push('gone'));
    connection.start({
      received: (chunk) => seen.push(chunk.toString()),
      requestDrained: () => {},
      ended: () => seen.push('ended'),
      failed: ({ reason }) => seen.push(reason),
    });
    connection.write(Buffer.from('begin'));
    return (piece) => connection.write(piece);
  }

  it('is heard to its end when it has answered before', async () => {
    await upload('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig', openHttp);
    expect([seen, fate]).to.deep.equal([['413', 'big', 'whole'], ['gone']]);
  });

  it('has given no whole answer where only the end of the connection would say so', async () => {
    await upload('HTTP/1.1 200 OK\r\n\r\nhal', openHttp);
    expect([seen, fate]).to.deep.equal([['200', 'hal', 'reset'], ['gone']]);
  });

  it('and has not answered, is lost', async () => {
    await upload('', openHttp);
    expect([seen, fate]).to.deep.equal([['reset'], ['gone']]);
  });

  it('has its last words passed on where it speaks no HTTP, and is not taken for one that ended well', async () => {
    await upload('550 no', openTcp);
    expect([seen, fate]).to.deep.equal([['550 no', 'reset'], ['gone']]);
  });
});
