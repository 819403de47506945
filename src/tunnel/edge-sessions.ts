import type { TLSSocket } from 'node:tls';

/** One that is younger than this is as good as a new one, milliseconds. */
const renewAfterMs = 60_000;
/** More addresses than the edge has in both regions. */
const maxPlaces = 256;

interface Kept {
  readonly session: Buffer;
  readonly atMs: number;
}

/**
 * TLS sessions (RFC 8446, section 2.2) of edge addresses that were verified, so that connections after the first one
 * cost less: no certificate is sent, signed, verified. An edge that does not know a session makes a new one. Holds
 * secrets, in memory only; as many connections as there are may use one, which tells nobody anything new: all of them
 * go on to say whose they are.
 */
export class EdgeSessions {
  readonly #kept = new Map<string, Kept>();

  /** The session to offer to that address, if there is one. */
  of(place: string): Buffer | undefined {
    return this.#kept.get(place)?.session;
  }

  /** Keeps what the edge gives to a socket, once that is verified. Called before its handshake, at `nowMs`. */
  learnFrom(socket: TLSSocket, place: string, nowMs: number): void {
    const before = this.#kept.get(place);
    if (before !== undefined && nowMs - before.atMs < renewAfterMs) return;
    socket.once('session', (session) => {
      const keep = (): void => this.#keep(place, { session, atMs: nowMs });
      // TLS 1.2 gives it before the certificate is verified.
      if (socket.authorized) keep();
      else socket.once('secureConnect', keep);
    });
  }

  /** It may be that session which the address does not get on with. */
  forget(place: string): void {
    this.#kept.delete(place);
  }

  #keep(place: string, kept: Kept): void {
    if (this.#kept.size >= maxPlaces) this.#kept.clear();
    this.#kept.set(place, kept);
  }
}
