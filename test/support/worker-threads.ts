import { Session } from 'node:inspector/promises';

/**
 * The worker threads of this very process, reached through the inspector as a debugger would: what runs in them
 * does not know that it is in a test.
 */
export class WorkerThreads {
  readonly #session = new Session();
  readonly #attached = new Map<string, number>();
  #started = false;

  /** Sessions of the threads that run now, oldest first. */
  async list(): Promise<readonly string[]> {
    if (!this.#started) {
      this.#started = true;
      this.#session.connect();
      this.#session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
        // The title ends the doubt: "[worker 3] …" has the thread's own number, the ids are in no order.
        this.#attached.set(sessionId, Number(/\d+/.exec(workerInfo.title)?.[0]));
      });
      this.#session.on('NodeWorker.detachedFromWorker', ({ params }) => {
        this.#attached.delete(params.sessionId);
      });
      await this.#session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
    }
    return [...this.#attached].sort(([, one], [, other]) => one - other).map(([sessionId]) => sessionId);
  }

  /** Runs an expression in a thread. Does not wait for its end, which may be the thread's. */
  async evaluate(sessionId: string, expression: string): Promise<void> {
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
    await this.#session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
  }

  close(): void {
    if (this.#started) this.#session.disconnect();
  }
}
