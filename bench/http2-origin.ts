import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { EdgeStream, RequestHead } from '../src/tunnel/edge-session.ts';
import { createEdgeSession } from '../src/tunnel/http2/server/session.ts';
import type { StreamHandler } from '../src/tunnel/http2/stream.ts';
import { endWithBug } from './bug.ts';
import { ciphers } from './ciphers.ts';
import { answerHeaders, originBodies } from './origin-paths.ts';

const answers = new Map(
  originBodies.map(({ path, bytes }) => {
    const headers = answerHeaders(bytes).flatMap(([name, value]) => [name.toLowerCase(), value]);
    return [path as string, { headers, body: Buffer.alloc(bytes, 'x') }];
  }),
);
const deaf: StreamHandler = { data: () => {}, end: () => {}, reset: () => {}, drain: () => {} };

/** The origin in HTTP/2 over TLS, for requests without a body. Whoever does not agree on `h2` gets nothing. */
export function createHttp2Origin(certificate: { readonly cert: string; readonly key: string }): Server {
  return createServer({ ...certificate, ciphers, ALPNProtocols: ['h2'] }, serve);
}

function serve(socket: TLSSocket): void {
  // A client without ALPN gets this far.
  if (socket.alpnProtocol !== 'h2') {
    socket.destroy();
    return;
  }
  createEdgeSession(socket, { stream: answer, goaway: () => {}, handlerThrew: endWithBug, ended: () => {} });
}

function answer(stream: EdgeStream, { path }: RequestHead): StreamHandler {
  const known = answers.get(path);
  if (known === undefined) {
    stream.respond(404, [], true);
    return deaf;
  }
  stream.respond(200, known.headers, false);
  stream.write(known.body);
  stream.end();
  return deaf;
}
