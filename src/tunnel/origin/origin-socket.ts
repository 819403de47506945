import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Origin, OriginAddress } from '../../domain/routes.ts';
import type { Clock } from '../../time/clock.ts';
import { withSharedReads } from '../shared-reads.ts';
import { closedEarly, failureOf, type OriginFailure } from './origin-failure.ts';
import { trustIn } from './origin-trust.ts';

/** Period of TCP keep-alive towards origins: cloudflared's `tcpKeepAlive`. */
const tcpKeepAliveMs = 30_000;

/** What is offered in the TLS handshake, the preferred one first (RFC 7301). */
export type Alpn = readonly ('h2' | 'http/1.1')[];

/** A connection on its way. */
export interface Dial {
  /** Gives up: nothing is called any more and the socket is gone. Idempotent, harmless once connected. */
  cancel(): void;
}

/**
 * Opens a connection to an origin: TCP, and TLS for `https`. `connectTimeoutMs` covers both. Exactly
 * one callback comes, later and not at once; with `connected` the socket belongs to the callee, who must take
 * over its `error` event at once. `serverName` is the SNI and the name that the certificate must be good for.
 */
export function dialOrigin(
  origin: Origin,
  address: OriginAddress,
  serverName: string,
  alpn: Alpn,
  clock: Clock,
  connected: (socket: Socket) => void,
  failed: (failure: OriginFailure) => void,
): Dial {
  const tls = origin.settings.protocol === 'https';
  const socket = withSharedReads(
    (reads): Socket =>
      tls
        ? connectTls({
            host: address.host,
            port: address.port,
            ...reads,
            ALPNProtocols: [...alpn],
            rejectUnauthorized: origin.settings.verifyTls,
            // An address is not allowed as SNI (RFC 6066, section 3); the certificate is then checked against
            // the address that is dialled.
            ...(isIP(serverName) === 0 && serverName !== '' ? { servername: serverName } : {}),
            ...(origin.settings.verifyTls ? { secureContext: trustIn(origin.ca) } : {}),
          })
        : connectTcp({ host: address.host, port: address.port, ...reads }),
  );

  // A host may have many origins: whoever reads the log has to know which one it was.
  const notReached = ({ reason, message }: OriginFailure): void =>
    failed({ reason, message: `${address.host} port ${address.port}: ${message}` });
  let over = false;
  const settle = (): void => {
    over = true;
    timer.cancel();
    socket.removeAllListeners();
  };
  const giveUp = (): void => {
    settle();
    // A socket that is destroyed while it connects may still say so.
    socket.on('error', () => {});
    socket.destroy();
  };
  const timer = clock.after(origin.settings.connectTimeoutMs, () => {
    giveUp();
    notReached({ reason: 'timeout', message: `no connection within ${origin.settings.connectTimeoutMs} ms` });
  });
  socket.on('error', (error) => {
    giveUp();
    notReached(failureOf(error));
  });
  socket.once('close', () => {
    giveUp();
    notReached(closedEarly);
  });
  socket.once(tls ? 'secureConnect' : 'connect', () => {
    settle();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, tcpKeepAliveMs);
    connected(socket);
  });
  return {
    cancel() {
      if (!over) giveUp();
    },
  };
}
