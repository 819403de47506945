import { Agent, request } from 'node:http';
import { visitors } from './visitors.ts';

/** Visitors that ask again and again for as long as it lasts, each as soon as it has its answer. */
export class SteadyLoad {
  /** What was not the expected answer. */
  readonly failures: string[] = [];
  answered = 0;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #end: () => Promise<void>;

  constructor(url: string, host: string, expected: string, atOnce = 8) {
    this.#end = visitors(Array.from({ length: atOnce }, () => () => this.#visit(url, host, expected)));
  }

  /** Waits for the answers that are on their way. */
  async stop(): Promise<void> {
    await this.#end();
    this.#agent.destroy();
  }

  async #visit(url: string, host: string, expected: string): Promise<void> {
    const answer = await ask(url, host, this.#agent);
    if (answer === `200 ${expected}`) this.answered++;
    else this.failures.push(answer);
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
