import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An origin that sends `part` at once and ends its answers only when the test says so. */
export class HoldingOrigin {
  readonly #server: Server;
  readonly #held = new Set<ServerResponse>();

  private constructor() {
    this.#server = createServer((_, response) => {
      this.#held.add(response);
      response.on('close', () => this.#held.delete(response));
      response.write('part');
    });
  }

  static async start(): Promise<HoldingOrigin> {
    const origin = new HoldingOrigin();
    origin.#server.listen(0, '127.0.0.1');
    await once(origin.#server, 'listening');
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Requests that wait for their end. */
  get held(): number {
    return this.#held.size;
  }

  finish(): void {
    for (const response of this.#held) response.end(' and end');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
