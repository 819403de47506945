import { createServer, METHODS, type RequestListener } from 'node:http';
import { Duplex } from 'node:stream';

/** What Node.js's own HTTP server, strict by default, takes out of the bytes of one connection. */
export interface ReadRequests {
  /** `GET /path`, in the order in which they were complete. */
  readonly requests: readonly string[];
  /** It refused the bytes somewhere. */
  readonly refused: boolean;
}

/** Methods that it knows. Others it refuses, which says nothing about framing. */
export const knownMethods: ReadonlySet<string> = new Set(METHODS);

/** No socket is involved. Ends what it began. */
export async function readRequests(bytes: Buffer): Promise<ReadRequests> {
  const requests: string[] = [];
  let refused = false;
  const read: RequestListener = (request, response) => {
    request.resume();
    request.on('end', () => {
      requests.push(`${request.method} ${request.url}`);
      response.end();
    });
  };
  const server = createServer({ keepAlive: false, requireHostHeader: false }, read);
  // What a client expects beyond a 100 is another matter than where its request ends.
  server.on('checkExpectation', read);
  const ended = Promise.withResolvers<void>();
  server.on('clientError', (_, socket) => {
    refused = true;
    socket.destroy();
    ended.resolve();
  });
  server.on('upgrade', (request, socket) => {
    requests.push(`${request.method} ${request.url}`);
    socket.destroy();
  });
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), autoDestroy: true });
  socket.on('close', () => ended.resolve());
  socket.on('error', () => {});
  server.emit('connection', socket);
  socket.push(bytes);
  socket.push(null);
  await ended.promise;
  server.close();
  return { requests, refused };
}
