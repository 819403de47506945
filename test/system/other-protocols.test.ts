import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { visit } from '../support/eyeball.ts';
import { type Http2Origin, scriptHttp2 } from '../support/http2-origin.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { scriptTcp, type TcpOrigin } from '../support/tcp-origin.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

/** From the annotation to the bytes at a backend that speaks no HTTP/1.1. */
describe('a backend that an annotation says to speak', function () {
  this.timeout(60_000);
  let town: Town;
  let origin: Http2Origin | TcpOrigin;

  beforeEach(async () => {
    town = await startTown();
    await town.startController();
  });
  afterEach(async () => {
    await town.stop();
    await origin.stop();
  });

  /** Publishes what listens on `port`, and waits until the host leads somewhere. */
  const publish = async (port: number, protocol: string): Promise<void> => {
    const annotations = { 'cloudflare-warp/backend-protocol': protocol };
    await town.user.apply(service(), slice('web-1', 'web', port), ingress('web', host, { annotations }));
    await town.until('the host is served', async () => (await town.get(host)).status === 200);
  };

  it('h2c gets HTTP/2 and its trailers reach the visitor', async () => {
    const grpc = await scriptHttp2((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    origin = grpc;
    await publish(grpc.port, 'h2c');
    const answer = await visit(town.edge.frontUrl, {
      host,
      method: 'POST',
      headers: { te: 'trailers', 'content-type': 'application/grpc' },
      body: 'a message',
    });
    expect(answer.body).to.equal('a message');
    expect(answer.trailers).to.deep.equal({ 'grpc-status': '0' });
    expect(grpc.heads.at(-1)?.te).to.equal('trailers');
  });

  it('tcp gets the bytes of binary messages, also of those that cloudflared would cut', async () => {
    const tcp = await scriptTcp();
    origin = tcp;
    await publish(tcp.port, 'tcp');
    const index = tcp.sockets.length;
    const socket = new WebSocket(town.edge.frontUrl.replace('http', 'ws'), { headers: { host } });
    await once(socket, 'open');
    await town.until('the backend is reached', () => tcp.sockets.length > index);
    tcp.echo(index);
    const sent = randomBytes(3 << 20);
    const came: Buffer[] = [];
    socket.on('message', (data: Buffer) => came.push(data));
    socket.send(sent);
    await town.until('all of it is back', () => Buffer.concat(came).length === sent.length);
    expect(Buffer.concat(came).equals(sent)).to.equal(true);
    socket.close(1000);
    const [code] = await once(socket, 'close');
    expect(code).to.equal(1000);
    await town.until('the backend is left', () => tcp.closed(index));
  });
});
