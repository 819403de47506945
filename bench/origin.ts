import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createAuthority } from '../src/sandbox/certificates.ts';
import type { Case } from './cases.ts';
import { type OriginAddress, originName } from './contestants.ts';
import { createHttp2Origin } from './http2-origin.ts';
import { serveOrders } from './orders.ts';
import { answerHeaders, originBodies, socketPath, uploadPath } from './origin-paths.ts';

/**
 * The origin, a process of its own: HTTP/1.1 with keep-alive and answers made beforehand, so that it costs next to
 * nothing beside the connectors. Takes request bodies by Content-Length, and upgrades to a WebSocket that is silent.
 * Or else HTTP/2 over TLS (`http2-origin`).
 */

/** What it is to speak; the answer is where. */
export type OriginOrder = Case['origin'];

const websocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const notFound = response('404 Not Found', Buffer.alloc(0));
const answers = new Map<string, Buffer>([
  [uploadPath, response('200 OK', Buffer.from('taken'))],
  ...originBodies.map(({ path, bytes }) => [path, response('200 OK', Buffer.alloc(bytes, 'x'))] as const),
]);
const websocketKey = /^sec-websocket-key: *(\S+)/im;
const contentLength = /^content-length: *(\d+)/im;
const space = 0x20;

function serve(socket: Socket): void {
  let bodyLeft = 0;
  let partialHead: Buffer | null = null;
  let answer = notFound;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      if (bodyLeft > 0) {
        const taken = Math.min(bodyLeft, chunk.length - at);
        bodyLeft -= taken;
        at += taken;
        if (bodyLeft === 0) socket.write(answer);
        continue;
      }
      const data =
        partialHead === null ? chunk.subarray(at) : Buffer.concat([partialHead, chunk.subarray(at)]);
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) {
        partialHead = data;
        return;
      }
      at = chunk.length - (data.length - end - 4);
      partialHead = null;
      const path = pathOf(data);
      answer = answers.get(path) ?? notFound;
      bodyLeft = path === uploadPath ? Number(headerOf(data, end, contentLength) ?? 0) : 0;
      if (path === socketPath) {
        bodyLeft = Number.POSITIVE_INFINITY;
        socket.write(switchingProtocols(headerOf(data, end, websocketKey) ?? ''));
      }
      if (bodyLeft === 0) socket.write(answer);
    }
  });
}

/** Nothing else is read of most requests. */
function pathOf(head: Buffer): string {
  const from = head.indexOf(space) + 1;
  return head.toString('latin1', from, head.indexOf(space, from));
}

function headerOf(head: Buffer, end: number, pattern: RegExp): string | undefined {
  return pattern.exec(head.toString('latin1', 0, end))?.[1];
}

function response(status: string, body: Buffer): Buffer {
  const head = [
    `HTTP/1.1 ${status}`,
    ...answerHeaders(body.length).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(head.join('\r\n')), body]);
}

function switchingProtocols(key: string): string {
  const accept = createHash('sha1').update(`${key}${websocketGuid}`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

serveOrders<OriginOrder, OriginAddress>(async (protocol) => {
  const authority = protocol === 'h2' ? createAuthority('bench origin') : null;
  const server =
    authority === null ? createServer(serve) : createHttp2Origin(authority.issue({ dnsNames: [originName] }));
  server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 });
  await once(server, 'listening');
  return { originPort: (server.address() as AddressInfo).port, originCa: authority?.cert ?? null };
});
