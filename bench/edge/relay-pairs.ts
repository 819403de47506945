import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Joins each client to a connection that a relay keeps open, and carries bytes between them. */
export class RelayPairs {
  readonly #relays: TLSSocket[] = [];
  readonly #clients: Socket[] = [];
  #changed = (): void => {};

  relay(socket: TLSSocket): void {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      const index = this.#relays.indexOf(socket);
      if (index >= 0) this.#relays.splice(index, 1);
    });
    this.#relays.push(socket);
    this.#join();
    this.#changed();
  }

  client(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    this.#clients.push(socket);
    this.#join();
  }

  /** Resolves when so many relays wait for clients. */
  async waiting(count: number): Promise<void> {
    while (this.#relays.length < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  #join(): void {
    while (this.#clients.length > 0 && this.#relays.length > 0) {
      const client = this.#clients.shift()!;
      const relay = this.#relays.shift()!;
      if (client.destroyed) {
        relay.destroy();
        continue;
      }
      // A client has one request under way, so what waits for it is one answer at most.
      client.on('data', (piece: Buffer) => relay.write(piece));
      relay.on('data', (piece: Buffer) => client.write(piece));
      client.on('close', () => relay.destroy());
      relay.on('close', () => client.destroy());
    }
  }
}
