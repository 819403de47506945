import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

/** The processes of the bench, and how they talk: one order, one answer, over the channel that Node.js gives. */

type Answer<A> = { readonly ok: true; readonly answer: A } | { readonly ok: false; readonly reason: string };

/** What a process has to itself before it is ended by force. */
const stopMs = 10_000;

/**
 * The child's side. Serves until the parent stops it or is gone, however that came; `end` then releases what
 * outlives a process by itself. The terminal's Ctrl-C reaches every process at once, and the parent sees to it.
 */
export function serveOrders<O, A>(
  serve: (order: O) => Promise<A>,
  end: () => Promise<void> = async () => {},
) {
  process.on('SIGINT', () => {});
  process.on('message', (order: O) => {
    serve(order).then(
      (answer) => process.send?.({ ok: true, answer } satisfies Answer<A>),
      (error: Error) => process.send?.({ ok: false, reason: error.message } satisfies Answer<A>),
    );
  });
  process.on('disconnect', () => void end().finally(() => process.exit()));
}

/** The parent's side of one child process. Its owner calls `stop`, also after a failure. */
export class Part<O, A> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** `entry` is the script's path, from here or absolute, without its ending; `cpus` is a list as `taskset` takes it. */
  constructor(entry: string, argv: readonly string[] = [], cpus: string | null = null) {
    this.#name = entry;
    const script = resolve(import.meta.dirname, `${entry}.js`);
    const [program = '', ...rest] = pinned([process.execPath, script, ...argv], cpus);
    this.#child = spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#exited = once(this.#child, 'exit');
    this.#exited.catch(() => {});
  }

  /** Rejects when the child refuses, or ends instead of answering. One order at a time. */
  async ask(order: O): Promise<A> {
    const over = new AbortController();
    try {
      const answered = once(this.#child, 'message', { signal: over.signal });
      answered.catch(() => {});
      this.#child.send(order as object, (error) => error && over.abort());
      const [answer] = (await Promise.race([answered, this.gone(over.signal)])) as [Answer<A>];
      if (!answer.ok) throw new Error(`${this.#name}: ${answer.reason}`);
      return answer.answer;
    } finally {
      over.abort();
    }
  }

  /** Rejects when the child has ended, or when the signal is aborted. */
  async gone(signal: AbortSignal): Promise<never> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit', { signal });
    }
    throw new Error(`${this.#name} ended by itself`);
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const force = setTimeout(() => this.#child.kill('SIGKILL'), stopMs);
    await this.#exited.catch(() => {});
    clearTimeout(force);
  }
}

/** The command line that runs `argv` on these CPUs only. */
export function pinned(argv: readonly string[], cpus: string | null): readonly string[] {
  return cpus === null ? argv : ['taskset', '-c', cpus, ...argv];
}
