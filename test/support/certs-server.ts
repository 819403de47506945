import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands for the certs endpoints of Access teams; what it answers a test may change at any time. */
export class CertsServer {
  readonly #server: Server;
  /** Paths that were asked for, in order. */
  readonly asked: string[] = [];
  answer: RequestListener;

  private constructor(answer: RequestListener) {
    this.answer = answer;
    this.#server = createServer((request, response) => {
      this.asked.push(request.url ?? '');
      this.answer(request, response);
    });
  }

  static async start(answer: RequestListener): Promise<CertsServer> {
    const certs = new CertsServer(answer);
    certs.#server.listen(0, '127.0.0.1');
    await once(certs.#server, 'listening');
    return certs;
  }

  /** What `--access-certs-url` takes. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export function answersWith(text: string, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  };
}
