import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../time/clock.ts';
import { WireLink } from './wire-link.ts';

/** What happens to a TCP connection that arrives: it is let in, reset, or left without any answer. */
export type NewConnections = 'accept' | 'reset' | 'ignore';

/**
 * The network between connectors and the edge: passes bytes on, and breaks when asked to. It stands in front of
 * the edge as a relay, so that neither TLS nor HTTP/2 of the edge takes part in a fault: a silenced peer
 * acknowledges nothing, not even a PING.
 */
export class Wire {
  newConnections: NewConnections = 'accept';
  readonly #server: Server;
  readonly #links = new Set<WireLink>();
  /** Sockets that have no link, or none yet. */
  readonly #strays = new Set<Socket>();
  readonly #targetPort: number;
  readonly #clock: Clock;

  /** `targetPort`: where on loopback the edge itself listens. */
  constructor(targetPort: number, clock: Clock) {
    this.#targetPort = targetPort;
    this.#clock = clock;
    this.#server = createServer({ allowHalfOpen: true }, (outer) => this.#arrived(outer));
  }

  /** Listens on loopback (port 0: a free one) and gives the port. */
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  get links(): ReadonlySet<WireLink> {
    return this.#links;
  }

  /** The link whose inner end has this port: all that the edge knows of a peer. */
  linkFrom(innerPort: number | undefined): WireLink | undefined {
    for (const link of this.#links) if (link.innerPort === innerPort) return link;
    return undefined;
  }

  /** Resets every connection and stops listening. Idempotent. */
  async close(): Promise<void> {
    for (const link of this.#links) link.cut();
    for (const stray of this.#strays) stray.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #arrived(outer: Socket): void {
    outer.on('error', () => {});
    if (this.newConnections === 'reset') return void outer.resetAndDestroy();
    this.#stray(outer);
    if (this.newConnections === 'ignore') return;
    const inner = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    this.#stray(inner);
    inner.once('error', () => outer.destroy());
    outer.once('close', () => inner.destroy());
    inner.once('connect', () => {
      this.#strays.delete(outer);
      this.#strays.delete(inner);
      const link: WireLink = new WireLink(outer, inner, this.#clock, () => this.#links.delete(link));
      this.#links.add(link);
    });
  }

  #stray(socket: Socket): void {
    this.#strays.add(socket);
    socket.once('close', () => this.#strays.delete(socket));
  }
}
