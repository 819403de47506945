import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An origin that sends `part` at once for `/hold…` and ends those answers only when the test says so; else `ok`. */
export class HoldingOrigin {
  readonly #server: Server;
  readonly #held = new Set<ServerResponse>();
  #answered = 0;
  #connections = 0;

  private constructor() {
    // Idle connections are the other side's to close.
    this.#server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      request.resume();
      if (request.url?.startsWith('/hold') !== true) {
        this.#answered += 1;
        return void request.on('end', () => response.end('ok'));
      }
      this.#held.add(response);
      response.on('close', () => this.#held.delete(response));
      response.write('part');
    });
    this.#server.on('connection', (socket) => {
      this.#connections += 1;
      socket.on('close', () => {
        this.#connections -= 1;
      });
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

  /** Requests that were not held. */
  get answered(): number {
    return this.#answered;
  }

  /** That are open, idle or not. */
  get connections(): number {
    return this.#connections;
  }

  finish(): void {
    for (const response of this.#held) response.end(' and end');
  }

  /** Takes no more connections and hangs up on those that are idle, as an application that is told to end. */
  refuse(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}
