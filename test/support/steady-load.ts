import { Agent, request } from 'node:http';

/** Visitors that ask again and again for as long as it lasts, each as soon as it has its answer. */
export class SteadyLoad {
  /** What was not the expected answer. */
  readonly failures: string[] = [];
  answered = 0;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #visitors: readonly Promise<void>[];
  #isOver = false;

  constructor(url: string, host: string, expected: string, visitors = 8) {
    this.#visitors = Array.from({ length: visitors }, () => this.#visit(url, host, expected));
  }

  /** Waits for the answers that are on their way. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#visitors);
    this.#agent.destroy();
  }

  async #visit(url: string, host: string, expected: string): Promise<void> {
    while (!this.#isOver) {
      const answer = await ask(url, host, this.#agent);
      if (answer === `200 ${expected}`) this.answered++;
      else this.failures.push(answer);
      // Visitors are slower than the loop that all parts of this world share.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function ask(url: string, host: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(url, { agent, headers: { host } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
      response.on('error', (error) => resolve(error.message));
    });
    sent.on('error', (error) => resolve(error.message));
    sent.end();
  });
}
