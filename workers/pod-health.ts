import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Fault, failed, ok, type Result } from '../src/fault.ts';
import { keepLatestConnections } from '../src/latest-connections.ts';
import type { Logger } from '../src/log.ts';

/** What a pod's probes and scrapes are told. */
export interface PodState {
  readonly connectorId: string;
  /** `connIndex` of every connection that is registered now. */
  readonly connected: ReadonlySet<number>;
  /** Why everybody is refused, or null. */
  readonly accessProblem: string | null;
  /** How the last attempt failed, and how many have since one was registered; null while one is. */
  readonly edgeProblem: {
    readonly connIndex: number;
    readonly fault: Fault;
    readonly attempts: number;
  } | null;
  /** In Prometheus' text format, and its type. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

const requestTimeoutMs = 10_000;

/**
 * Serves `/healthz` (the process lives: never depends on the edge) and `/ready`, cloudflared's name and form of
 * it, also as `/readyz`: 200 with one registered connection or more (the controller reads the two problems there); and
 * `/metrics`. The caller owns it and closes it.
 */
export async function startPodHealth(
  listen: { readonly host: string; readonly port: number },
  state: PodState,
  log: Logger,
): Promise<Result<{ close(): Promise<void> }>> {
  const server = createServer({ requestTimeout: requestTimeoutMs }, ({ url = '' }, response) => {
    const path = url.split('?', 1)[0];
    const readyConnections = state.connected.size;
    const status = readyConnections > 0 ? 200 : 503;
    const { connectorId, accessProblem, edgeProblem } = state;
    const body = { status, readyConnections, connectorId, accessProblem, edgeProblem };
    if (path === '/healthz') response.end('ok\n');
    else if (path === '/ready' || path === '/readyz') {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    } else if (path === '/metrics') {
      state.metrics().then(
        ({ type, text }) => response.writeHead(200, { 'content-type': type }).end(text),
        (error: unknown) => {
          log.error({ err: error }, 'metrics failed');
          response.writeHead(500).end('internal error\n');
        },
      );
    } else response.writeHead(404).end('not found\n');
  });
  keepLatestConnections(server);
  try {
    server.listen(listen.port, listen.host);
    await once(server, 'listening');
  } catch (error) {
    const where = `${listen.host}:${listen.port}`;
    return failed(
      'config-invalid',
      `--metrics (TUNNEL_METRICS): cannot listen on ${where}: ${(error as Error).message}`,
    );
  }
  server.on('error', (error) => log.error({ err: error }, 'health server failed'));
  const { address, port } = server.address() as AddressInfo;
  log.info({ address, port }, 'health served');
  return ok({
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  });
}
