import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HostPort } from './config/value-kinds.ts';
import { failed, ok, type Result } from './fault.ts';
import { keepLatestConnections } from './latest-connections.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './ops/metrics.ts';
import { type Readiness, statusPage } from './ops/status-page.ts';

export interface OpsOptions {
  readonly listen: HostPort;
  /** Cheap; asked anew by every request. */
  readonly readiness: () => Readiness;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface Ops {
  /** `http://host:port`, with the port that was given to us. */
  readonly url: string;
  /** Resolves when nothing is open any more. Idempotent. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const requestTimeoutMs = 10_000;
/** In `/readyz`: enough to see what is wrong. */
const maxWaitingShown = 100;

const plain = 'text/plain; charset=utf-8';

/**
 * Serves `/healthz` (the process lives, nothing else), `/readyz`, `/metrics` and a status page. Owned by
 * whoever starts it; while it listens it keeps the process alive.
 */
export async function startOps(options: OpsOptions): Promise<Result<Ops>> {
  const { listen, log } = options;
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    answer(options, request).then(
      (given) => send(request, response, given),
      (error: unknown) => {
        log.error({ err: error, path: pathOf(request) }, 'status request failed');
        send(request, response, { status: 500, type: plain, body: 'internal error\n' });
      },
    );
  });
  keepLatestConnections(server);
  const listening = await new Promise<Error | null>((resolve) => {
    server.once('error', resolve);
    server.listen(listen.port, listen.host, () => resolve(null));
  });
  if (listening !== null) {
    const where = `${listen.host}:${listen.port}`;
    return failed(
      'config-invalid',
      `--metrics (TUNNEL_METRICS): cannot listen on ${where}: ${listening.message}`,
    );
  }
  server.removeAllListeners('error');
  server.on('error', (error) => log.error({ err: error }, 'status server failed'));

  let closing: Promise<void> | undefined;
  return ok({
    url: urlOf(server.address() as AddressInfo),
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  });
}

async function answer({ readiness, metrics }: OpsOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: plain, body: 'only GET and HEAD\n' };
  }
  switch (pathOf(request)) {
    case '/healthz':
      return { status: 200, type: plain, body: 'ok\n' };
    case '/readyz': {
      const { ready, waiting } = readiness();
      const body = { ready, waiting: waiting.slice(0, maxWaitingShown) };
      return { status: ready ? 200 : 503, type: 'application/json', body: `${JSON.stringify(body)}\n` };
    }
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await metrics.text() };
    case '/':
      return {
        status: 200,
        type: 'text/html; charset=utf-8',
        body: statusPage(readiness(), metrics.tunnels()),
      };
    default:
      return { status: 404, type: plain, body: 'not found\n' };
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  // Whatever the request carries is not read: nothing here takes a body.
  request.resume();
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    ...(status === 405 ? { allow: 'GET, HEAD', connection: 'close' } : {}),
  });
  response.end(body);
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?', 1)[0] ?? '';
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
