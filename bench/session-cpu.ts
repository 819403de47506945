import { fork } from 'node:child_process';
import { type ClientHttp2Session, connect as connectHttp2, performServerHandshake } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { cpuUsage } from 'node:process';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { createAuthority } from '../src/sandbox/certificates.ts';
import { createEdgeSession } from '../src/tunnel/http2/server/session.ts';
import { endWithBug } from './bug.ts';

/**
 * CPU per request of our HTTP/2 session against `node:http2` in the same role, with Node's HTTP/2 client as the
 * edge in another process, over TLS on loopback. No origin, no proxy: the session alone. By hand, after a build:
 *
 *     node dist/bench/session-cpu.js
 */

interface Case {
  readonly title: string;
  readonly requests: number;
  readonly concurrent: number;
  readonly downBytes: number;
  readonly upBytes: number;
}

const cases: readonly Case[] = [
  { title: '128 B down, 1 at once', requests: 3000, concurrent: 1, downBytes: 128, upBytes: 0 },
  { title: '128 B down, 50 at once', requests: 15_000, concurrent: 50, downBytes: 128, upBytes: 0 },
  { title: '64 KiB down, 50 at once', requests: 2000, concurrent: 50, downBytes: 65_536, upBytes: 0 },
  { title: '1 MiB down, 8 at once', requests: 160, concurrent: 8, downBytes: 2 ** 20, upBytes: 0 },
  { title: '1 MiB up, 8 at once', requests: 160, concurrent: 8, downBytes: 0, upBytes: 2 ** 20 },
];
const rounds = 5;
const kinds = ['own', 'node'] as const;
type Kind = (typeof kinds)[number];

const body = Buffer.alloc(2 ** 20, 'x');
const pieceBytes = 65_536;
const responseHeaders = (sequence: number): string[] => [
  'cf-cloudflared-response-headers',
  `${'Q29udGVudC1UeXBl:dGV4dC9wbGFpbg;'.repeat(8)}${sequence}`,
  'cf-cloudflared-response-meta',
  '{"src":"origin"}',
];

function microseconds(): number {
  const { user, system } = cpuUsage();
  return user + system;
}

/** The connector: `/cpu` answers the CPU time spent so far, `/<n>` answers n bytes once the request is complete. */
function serve(kind: Kind, socket: TLSSocket): void {
  let sequence = 0;
  const headersFor = (path: string): string[] =>
    path === '/cpu' ? ['x-cpu', String(microseconds())] : responseHeaders(sequence++);
  const bytesFor = (path: string): number => (path === '/cpu' ? 0 : Number(path.slice(1)));
  if (kind === 'node') {
    const session = performServerHandshake(socket, {
      settings: { initialWindowSize: 2 ** 20, maxFrameSize: 2 ** 20 },
    });
    session.setLocalWindowSize(4 * 2 ** 20);
    session.on('error', () => process.exit());
    session.on('stream', (stream, { ':path': path = '/0' }) => {
      stream.resume();
      stream.on('end', () => {
        const list = headersFor(path);
        const headers: Record<string, string | number> = { ':status': 200 };
        for (let i = 0; i < list.length; i += 2) headers[list[i]!] = list[i + 1]!;
        stream.respond(headers);
        let left = bytesFor(path);
        const more = (): void => {
          while (left > 0) {
            const bytes = Math.min(left, pieceBytes);
            left -= bytes;
            if (!stream.write(body.subarray(0, bytes))) {
              stream.once('drain', more);
              return;
            }
          }
          stream.end();
        };
        more();
      });
    });
    return;
  }
  createEdgeSession(socket, {
    stream(stream, head) {
      let left = bytesFor(head.path);
      const more = (): void => {
        while (left > 0) {
          const bytes = Math.min(left, pieceBytes);
          left -= bytes;
          if (!stream.write(body.subarray(0, bytes))) return;
        }
        stream.end();
      };
      const answer = (): void => {
        stream.respond(200, headersFor(head.path), false);
        more();
      };
      if (head.ended) answer();
      return { data: () => {}, end: answer, reset: () => {}, drain: more };
    },
    goaway: () => {},
    handlerThrew: endWithBug,
    ended: () => process.exit(),
  });
}

function request(edge: ClientHttp2Session, path: string, upBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = edge.request({ ':path': path, ':method': upBytes > 0 ? 'POST' : 'GET' });
    let cpu = '';
    stream.on('response', (headers) => {
      cpu = String(headers['x-cpu'] ?? '');
    });
    stream.on('error', reject);
    stream.on('close', () => resolve(cpu));
    stream.resume();
    stream.end(upBytes > 0 ? body.subarray(0, upBytes) : undefined);
  });
}

async function load(
  edge: ClientHttp2Session,
  { concurrent, downBytes, upBytes }: Case,
  requests: number,
): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun++ < requests) await request(edge, `/${downBytes}`, upBytes);
  };
  await Promise.all(Array.from({ length: concurrent }, worker));
}

/** CPU microseconds per request of a fresh connector process of that kind. */
async function measure(kind: Kind, measured: Case): Promise<number> {
  const authority = createAuthority('bench');
  const server = createServer(authority.issue({ dnsNames: ['edge.test'] }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const connected = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve));
  const connector = fork(process.argv[1]!, [kind, String(port)], { env: { CA: authority.cert } });
  const socket = await connected;
  const edge = connectHttp2('https://edge.test', {
    createConnection: () => socket,
    settings: { initialWindowSize: 2 ** 20 },
  });
  edge.setLocalWindowSize(8 * 2 ** 20);
  await load(edge, measured, Math.ceil(measured.requests / 4));
  const before = Number(await request(edge, '/cpu', 0));
  await load(edge, measured, measured.requests);
  const after = Number(await request(edge, '/cpu', 0));
  edge.destroy();
  server.close();
  await new Promise((resolve) => connector.once('exit', resolve));
  return (after - before) / measured.requests;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

async function compare(): Promise<void> {
  for (const measured of cases) {
    const results: Record<Kind, number[]> = { own: [], node: [] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of kinds) results[kind].push(await measure(kind, measured));
    }
    const own = median(results.own);
    const node = median(results.node);
    const columns = [own.toFixed(1), node.toFixed(1), (own / node).toFixed(2)].map((text) =>
      text.padStart(9),
    );
    console.log(`${measured.title.padEnd(26)} own, node:http2 (µs CPU), ratio: ${columns.join(' ')}`);
  }
}

const [, , kind, port] = process.argv;
if (kind === 'own' || kind === 'node') {
  const socket = connectTls(
    { port: Number(port), host: '127.0.0.1', servername: 'edge.test', ca: process.env.CA },
    () => serve(kind, socket),
  );
} else {
  await compare();
}
