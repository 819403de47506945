import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { EdgeSession } from '../../src/tunnel/edge-session.ts';
import { createEdgeSession } from '../../src/tunnel/http2/server/session.ts';
import type { TunnelProxy } from '../../src/tunnel/proxy.ts';
import { rethrown } from './rethrown.ts';

/** A proxy's one edge connection over real sockets, and the edge's end of it. */
export interface EdgeLink {
  readonly edge: ClientHttp2Session;
  readonly session: EdgeSession;
  close(): void;
}

export async function linkToEdge(proxy: TunnelProxy): Promise<EdgeLink> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const ours = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const theirs = await accepted;
  server.close();
  ours.setNoDelay(true);
  theirs.setNoDelay(true);
  const session = createEdgeSession(ours, {
    stream: (stream, head) => proxy.open(stream, head),
    goaway: () => {},
    handlerThrew: rethrown,
    ended: () => {},
  });
  const edge = connectHttp2('http://edge.test', {
    createConnection: () => theirs,
    settings: { enablePush: false, initialWindowSize: 1 << 20 },
  });
  edge.on('error', () => {});
  return {
    edge,
    session,
    close() {
      edge.destroy();
      session.destroy();
    },
  };
}
