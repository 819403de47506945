import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../src/time/clock.ts';
import type { Exchange, OriginConnection } from '../../src/tunnel/origin/exchange.ts';
import { planRequest, type RequestPlan } from '../../src/tunnel/origin/http1-request.ts';
import { Http2OriginSession } from '../../src/tunnel/origin/http2-origin-session.ts';
import type { OriginFailure } from '../../src/tunnel/origin/origin-failure.ts';
import { withSharedReads } from '../../src/tunnel/shared-reads.ts';

const body = 'body';
const plan = planRequest(
  {
    method: 'POST',
    path: '/',
    scheme: 'https',
    authority: 'app.example.com',
    headers: ['content-length', String(body.length)],
    ended: false,
  },
  { connectorId: 'the-id', hostHeader: null },
) as RequestPlan;

/** Both ends of one connection over loopback. */
export interface ConnectionToOrigin {
  readonly ours: Socket;
  readonly origin: Socket;
  /** Ends the origin's side. */
  stop(): void;
}

export async function connectionToOrigin(): Promise<ConnectionToOrigin> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const ours = withSharedReads((reads) => connect({ host: '127.0.0.1', port, ...reads }));
  const [[origin]] = (await Promise.all([once(server, 'connection'), once(ours, 'connect')])) as [
    [Socket],
    unknown,
  ];
  origin.on('error', () => {}).resume();
  return {
    ours,
    origin,
    stop() {
      origin.destroy();
      server.close();
    },
  };
}

/** POST with a body of four bytes, and what became of it. */
export function postOn(connection: OriginConnection): Promise<OriginFailure | 'answered'> {
  return new Promise((resolve) => {
    const exchange: Exchange = {
      responseHead() {},
      responseBody() {},
      responseEnd: () => resolve('answered'),
      failed: resolve,
      requestDrained() {},
    };
    connection.start(exchange, plan, { length: body.length }, false);
    connection.write(Buffer.from(body));
    connection.requestDone([]);
  });
}

/** A session whose owner has nothing to do; `ready` once the origin has said its SETTINGS. */
export function sessionToOrigin(socket: Socket): {
  readonly session: Http2OriginSession;
  readonly ready: Promise<void>;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  const settings = { serverName: '', scheme: 'http', idleLifeMs: 60_000 } as const;
  const session = new Http2OriginSession(socket, settings, systemClock, {
    ready: resolve,
    settingsChanged() {},
    streamOver() {},
    cutOff() {},
    fellSilent() {},
    unusable() {},
    gone() {},
  });
  return { session, ready: promise };
}
