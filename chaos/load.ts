import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from './arena.ts';
import type { FailedRequest } from './verdict.ts';

/** Longer than a request waits for a thread that is being given up. */
const answerLimitMs = 20_000;
const methods = ['GET', 'POST'] as const;

/**
 * Visitors of every host, each with one request open at a time and a short pause after it: one that reads, whose
 * requests an edge may repeat, and one that writes, whose requests it may not. Ends with `stop`.
 */
export class Load {
  readonly failures: FailedRequest[] = [];
  /** Requests by host. */
  readonly asked = new Map<string, number>();
  /** When the last request began that got its answer, by host and method. */
  readonly #lastGoodMs = new Map<string, number>();
  readonly #arena: Arena;
  readonly #clients: readonly Promise<void>[];
  readonly #agent = new Agent({ keepAlive: true });
  #isOver = false;
  #counter = 0;

  constructor(arena: Arena, hosts: readonly string[], pauseMs: number) {
    this.#arena = arena;
    this.#clients = hosts.flatMap((host) => methods.map((method) => this.#visit(host, method, pauseMs)));
  }

  /** Both visitors of the host have had a good answer to what they asked after this moment. */
  servesSince(host: string, ms: number): boolean {
    return methods.every((method) => (this.#lastGoodMs.get(`${method} ${host}`) ?? -1) >= ms);
  }

  get total(): number {
    return [...this.asked.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when no request is open any more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #visit(host: string, method: (typeof methods)[number], pauseMs: number): Promise<void> {
    while (!this.#isOver) {
      const startMs = this.#arena.now();
      const { status, why } = await this.#ask(host, method);
      this.asked.set(host, (this.asked.get(host) ?? 0) + 1);
      if (why === null) this.#lastGoodMs.set(`${method} ${host}`, startMs);
      else this.failures.push({ host, startMs, endMs: this.#arena.now(), status, why: `${method} ${why}` });
      await sleep(pauseMs);
    }
  }

  /** Good is an answer that shows that the very request came to the origin under the host's name. */
  #ask(host: string, method: string): Promise<{ status: number; why: string | null }> {
    const nonce = `${host}-${++this.#counter}`;
    const path = method === 'GET' ? `/?${nonce}` : '/echo';
    const { hostname, port } = new URL(this.#arena.world.edge.frontUrl);
    return new Promise((resolve) => {
      const failed = (why: string): void => resolve({ status: 0, why });
      const sent = request(
        { hostname, port, path, method, agent: this.#agent, headers: { host } },
        (response) => {
          const status = response.statusCode ?? 0;
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('error', ({ message }) => failed(`broken off: ${message}`));
          response.on('end', () => {
            const isOwn = method === 'GET' ? body.includes(nonce) && body.includes(host) : body === nonce;
            if (status !== 200) resolve({ status, why: body.slice(0, 60) });
            else if (isOwn) resolve({ status, why: null });
            else failed(`an answer to something else: ${body.slice(0, 60)}`);
          });
        },
      );
      sent.setTimeout(answerLimitMs, () => sent.destroy(new Error(`no answer in ${answerLimitMs} ms`)));
      sent.on('error', ({ message }) => failed(message));
      sent.end(method === 'GET' ? undefined : nonce);
    });
  }
}
