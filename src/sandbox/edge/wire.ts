import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../time/clock.ts';
import { StraightLink } from './straight-link.ts';
import { type Link, WireLink } from './wire-link.ts';

/** What happens to a TCP connection that arrives: it is let in, reset, or left without any answer. */
export type NewConnections = 'accept' | 'reset' | 'ignore';

/**
 * The network between connectors and the edge: passes bytes on, and breaks when asked to. It stands in front of
 * the edge as a relay, so that neither TLS nor HTTP/2 of the edge takes part in a fault: a silenced peer
 * acknowledges nothing, not even a PING. A straight one is no relay and can only cut: it takes one open file a connection
 * where a relay takes three.
 */
export class Wire {
  newConnections: NewConnections = 'accept';
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #byPort = new Map<number | undefined, Link>();
  /** Sockets that have no link, or none yet. */
  readonly #strays = new Set<Socket>();
  readonly #target: number | ((outer: Socket) => void);
  readonly #clock: Clock;

  /** `target`: where on loopback the edge itself listens, or who takes each connection as it comes (straight). */
  constructor(target: number | ((outer: Socket) => void), clock: Clock) {
    this.#target = target;
    this.#clock = clock;
    const allowHalfOpen = typeof target === 'number';
    this.#server = createServer({ allowHalfOpen }, (outer) => this.#arrived(outer));
  }

  /** Listens on loopback (port 0: a free one) and gives the port. */
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  get links(): ReadonlySet<Link> {
    return this.#links;
  }

  /** The link by the port from which it comes to the edge: all that the edge knows of a peer. */
  linkFrom(port: number | undefined): Link | undefined {
    return this.#byPort.get(port);
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
    if (typeof this.#target !== 'number') {
      this.#strays.delete(outer);
      const port = outer.remotePort;
      const link: Link = new StraightLink(outer, () => this.#forget(link, port));
      this.#keep(link, port);
      return this.#target(outer);
    }
    const inner = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    this.#stray(inner);
    inner.once('error', () => outer.destroy());
    outer.once('close', () => inner.destroy());
    inner.once('connect', () => {
      this.#strays.delete(outer);
      this.#strays.delete(inner);
      const port = inner.localPort;
      const link: Link = new WireLink(outer, inner, this.#clock, () => this.#forget(link, port));
      this.#keep(link, port);
    });
  }

  #keep(link: Link, port: number | undefined): void {
    this.#links.add(link);
    this.#byPort.set(port, link);
  }

  /** The port may be another link's by now: a silenced one outlives its inner end. */
  #forget(link: Link, port: number | undefined): void {
    this.#links.delete(link);
    if (this.#byPort.get(port) === link) this.#byPort.delete(port);
  }

  #stray(socket: Socket): void {
    this.#strays.add(socket);
    socket.once('close', () => this.#strays.delete(socket));
  }
}
