import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** One controller as a process of its own, started by hand: what is one pod of several in a cluster. */
export class ControllerReplica {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #url: Promise<string>;

  /** Owned by whoever starts it, who ends it by `end`. */
  constructor(flags: readonly string[]) {
    const child = spawn(process.execPath, [main, 'controller', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#closed = once(child, 'close');
    this.#url = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        this.lines.push(line);
        const url = /"metrics":"([^"]+)".*"controller started"/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
      child.once('close', () => reject(new Error(`it did not start:\n${this.lines.join('\n')}`)));
    });
    this.#url.catch(() => {});
  }

  async ops(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch((await this.#url) + path);
    return { status: answer.status, body: await answer.text() };
  }

  async isReady(): Promise<boolean> {
    return (await this.ops('/readyz')).status === 200;
  }

  async leads(): Promise<boolean> {
    return /^warp_ingress_leader 1$/m.test((await this.ops('/metrics')).body);
  }

  /** Its exit code, or null when a signal ended it. Idempotent. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.#closed;
    return this.#child.exitCode;
  }
}
