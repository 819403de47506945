import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostOf } from './manifests.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Short enough not to show in what is measured, long enough to leave the others some time. */
const pauseMs = 3;

/** Requests through the edge's front door. Owns its connections until `close`. */
export class Visitors {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  readonly #front: URL;

  constructor(frontUrl: string) {
    this.#front = new URL(frontUrl);
  }

  get(name: string, path: string): Promise<Answer> {
    const { hostname, port } = this.#front;
    const options = { hostname, port, path, headers: { host: hostOf(name) }, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const asked = request(options, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.once('error', reject);
      });
      asked.once('error', reject);
      asked.end();
    });
  }

  /** Asks until the answer is 200 (with that body). */
  async until(name: string, path: string, body?: string): Promise<void> {
    const untilMs = performance.now() + patienceMs;
    while (true) {
      const answer = await this.get(name, path);
      if (answer.status === 200 && (body === undefined || answer.body === body)) return;
      if (performance.now() > untilMs)
        throw new Error(`${name}${path}: still ${answer.status} ${answer.body.slice(0, 60)}`);
      await sleep(pauseMs);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

const patienceMs = 300_000;

export async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  while (!(await look())) {
    if (performance.now() > untilMs)
      throw new Error(`did not happen within ${patienceMs / 1_000} s: ${what}`);
    await sleep(10);
  }
}
