import {
  connect,
  createSecureContext,
  DEFAULT_CIPHERS,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { certificatesIn } from '../domain/certificates.ts';
import { type Fault, fault } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { cloudflareRoots } from './cloudflare-roots.ts';
import type { EdgeAddress } from './edge-addresses.ts';
import { EdgeSessions } from './edge-sessions.ts';
import { withSharedReads } from './shared-reads.ts';

/** Name in SNI and in the edge's certificate, whatever address is dialled (protocol page section 4). */
export const edgeServerName = 'h2.cftunnel.com';

/** Bound of the TCP connect, and again of the TLS handshake, milliseconds. */
export const dialStepTimeoutMs = 15_000;

/**
 * As cloudflared, and unlike Node.js, AES with 128 bits comes first: an edge that leaves the choice to us then spends less
 * on each byte, and so do we.
 */
const preferredCipher = 'TLS_AES_128_GCM_SHA256';
const ciphers = [
  preferredCipher,
  ...DEFAULT_CIPHERS.split(':').filter((cipher) => cipher !== preferredCipher),
].join(':');

/** Idle time before TCP keep-alive probes, milliseconds. */
const keepAliveMs = 15_000;

/** A file is free again when something else ends: no sooner is it worth a new attempt, milliseconds. */
const outOfFilesRetryMs = 30_000;

export interface DialEvents {
  /** TCP is connected, TLS begins. */
  reached(): void;
  /** The handshake is done and the edge's name verified. The listener owns the socket from here on. */
  connected(socket: TLSSocket): void;
  /** `edge-dial`, `edge-tls`, `edge-timeout` or `files-exhausted`; the socket is gone. */
  failed(fault: Fault): void;
}

/** Ends the attempt without a further event. Idempotent; a socket that was handed over is left alone. */
export interface Dial {
  destroy(): void;
}

/**
 * TCP and TLS to one edge address, no ALPN. `ca` is a PEM bundle that replaces all roots; null means the public
 * roots and Cloudflare's. Exactly one of the last two events follows unless destroyed.
 */
export function dialEdge(address: EdgeAddress, ca: string | null, clock: Clock, events: DialEvents): Dial {
  const trust = trustIn(ca);
  if (trust === null) {
    const timer = clock.after(0, () =>
      events.failed(fault('edge-tls', 'the edge CA bundle is not readable PEM')),
    );
    return { destroy: () => timer.cancel() };
  }
  const { context, sessions } = trust;
  const place = `${address.ip}:${address.port}`;
  const session = sessions.of(place);
  const socket = withSharedReads((reads) =>
    connect({
      host: address.ip,
      port: address.port,
      servername: edgeServerName,
      secureContext: context,
      ...(session === undefined ? {} : { session }),
      ...reads,
    }),
  );
  sessions.learnFrom(socket, place, clock.monotonic());
  let step: 'TCP connect' | 'TLS handshake' = 'TCP connect';
  let timer: Timer = clock.after(dialStepTimeoutMs, onTimeout);

  socket.once('connect', onConnect);
  socket.once('secureConnect', onSecure);
  socket.once('error', onError);
  socket.once('close', onClose);
  return { destroy: giveUp };

  function onConnect(): void {
    step = 'TLS handshake';
    timer.cancel();
    timer = clock.after(dialStepTimeoutMs, onTimeout);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    events.reached();
  }

  function onSecure(): void {
    release();
    events.connected(socket);
  }

  function onTimeout(): void {
    giveUp();
    if (step === 'TLS handshake') sessions.forget(place);
    events.failed(fault('edge-timeout', `${place}: no ${step} within ${dialStepTimeoutMs} ms`));
  }

  function onError(error: NodeJS.ErrnoException): void {
    giveUp();
    if (error.code === 'EMFILE' || error.code === 'ENFILE') return events.failed(outOfFiles(error.code));
    const code = step === 'TCP connect' ? 'edge-dial' : 'edge-tls';
    if (code === 'edge-tls') sessions.forget(place);
    events.failed(fault(code, `${place}: ${step} failed: ${error.message}`));
  }

  function onClose(): void {
    onError(new Error('closed by the other side'));
  }

  function release(): void {
    timer.cancel();
    socket.off('connect', onConnect);
    socket.off('secureConnect', onSecure);
    socket.off('error', onError);
    socket.off('close', onClose);
  }

  function giveUp(): void {
    if (socket.listenerCount('secureConnect', onSecure) === 0) return;
    release();
    // A late error of a destroyed socket has no one to hear it.
    socket.on('error', () => {});
    socket.destroy();
  }
}

/** Speaks against no address, and is no sign of a busy edge. */
function outOfFiles(code: 'EMFILE' | 'ENFILE'): Fault {
  const who = code === 'EMFILE' ? 'this process' : 'the system';
  const message = `no socket for a connection to the edge: ${who} has as many files open as it may (${code})`;
  return fault('files-exhausted', message, outOfFilesRetryMs);
}

/** Whom we trust, and what those who were trusted gave us. */
interface Trust {
  readonly ca: string | null;
  readonly context: SecureContext;
  readonly sessions: EdgeSessions;
}

/** Parsing all roots costs milliseconds, and every connection of the process has the same: the last is kept. */
let lastTrust: Trust | null = null;

function trustIn(ca: string | null): Trust | null {
  if (lastTrust === null || lastTrust.ca !== ca) {
    const roots = ca === null ? [...getCACertificates('default'), ...cloudflareRoots] : rootsOf(ca);
    if (roots === null) return null;
    const context = createSecureContext({ ca: roots, minVersion: 'TLSv1.2', ciphers });
    lastTrust = { ca, context, sessions: new EdgeSessions() };
  }
  return lastTrust;
}

/** OpenSSL skips what it cannot read, and then trusts nobody without saying why. */
function rootsOf(bundle: string): string | null {
  const { count, pem, broken } = certificatesIn(bundle);
  return count > 0 && broken === null ? pem : null;
}
