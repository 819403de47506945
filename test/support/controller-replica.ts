import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Controller } from '../../src/controller.ts';
import { bundledProgram } from './program.ts';

/** One controller of several, as a pod's neighbours see it. Owned by whoever starts it, who stops it. */
export abstract class ControllerReplica {
  /** Of its own listener. */
  protected abstract readonly url: Promise<string>;

  /** Asks it to end and waits until it has; its exit code, or null when a signal ended it. Idempotent. */
  abstract stop(): Promise<number | null>;

  async ops(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch((await this.url) + path);
    return { status: answer.status, body: await answer.text() };
  }

  async isReady(): Promise<boolean> {
    return (await this.ops('/readyz')).status === 200;
  }

  async leads(): Promise<boolean> {
    return /^warp_ingress_leader 1$/m.test((await this.ops('/metrics')).body);
  }
}

/** As a process of its own, which can be killed. */
export class ReplicaProcess extends ControllerReplica {
  protected readonly url: Promise<string>;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(flags: readonly string[]) {
    super();
    const child = spawn(process.execPath, [bundledProgram(), 'controller', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#closed = once(child, 'close');
    this.url = new Promise((resolve, reject) => {
      const lines: string[] = [];
      createInterface({ input: child.stdout! }).on('line', (line) => {
        lines.push(line);
        const url = /"metrics":"([^"]+)".*"controller started"/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
      child.once('close', () => reject(new Error(`it did not start:\n${lines.join('\n')}`)));
    });
    this.url.catch(() => {});
  }

  override stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.#closed;
    return this.#child.exitCode;
  }
}

/** In the process of the test, whose clock it has. */
export class HousedReplica extends ControllerReplica {
  protected readonly url: Promise<string>;
  readonly #controller: Controller;

  constructor(controller: Controller) {
    super();
    this.#controller = controller;
    this.url = Promise.resolve(controller.metricsUrl);
  }

  override async stop(): Promise<number | null> {
    await this.#controller.stop();
    return 0;
  }
}
