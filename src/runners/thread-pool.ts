import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { type Fault, fault } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { FromThread, ThreadTask, ToThread } from '../tunnel/link.ts';

/** How long a thread may take until it says that it is ready, milliseconds. */
const threadStartMs = 30_000;
/** How often a thread is pinged, and how long it may stay silent until it is ended, milliseconds. */
export const heartbeatMs = 2000;
export const heartbeatDeadlineMs = 10_000;
/**
 * Such waits are counted in steps, milliseconds: while our own thread stands still, on a machine that is too busy or
 * suspended, others may as well, and it counts as one. What came meanwhile is read before the next step.
 */
const patienceStepMs = 500;
/** How long a thread that was asked to end may take, milliseconds. */
const threadCloseMs = 3000;

/**
 * Heap of one thread, megabytes: 500 tunnels with 4 connections each took 143 MB in all. Buffers and TLS are
 * outside of it.
 */
export const threadHeapMb = 256;
/**
 * The young generation of that heap, megabytes (three semi-spaces of one). The buffers that bodies came in are freed
 * when it is collected: a gigabyte took 73 MiB more than rest with V8's own size and takes 29 with this one.
 */
const youngHeapMb = 3;

/** Of a text out of a thread that goes into a fault. */
const maxReasonLength = 300;

export interface HostThreadOptions {
  readonly workerFile: URL;
  readonly logLevel: string;
  readonly accessCertsUrl: string | null;
  readonly heapMb: number;
  readonly clock: Clock;
}

export interface HostThreadEvents {
  message(message: FromThread): void;
  /** It does nothing more; `ended` follows once it is gone. */
  ending(): void;
  /** Exactly once, when the thread is gone; null after `close`. */
  ended(fault: Fault | null): void;
}

/**
 * One worker thread: a piscina pool of one, whose single endless task hosts tunnels. So the end of a task is
 * the end of its thread, no task can be queued behind it, and nothing is started in place of a dead one.
 */
export class HostThread {
  readonly #options: HostThreadOptions;
  readonly #events: HostThreadEvents;
  readonly #pool: Piscina<ThreadTask, void>;
  readonly #port: MessagePort;
  #timer: Timer;
  #sequence = 0;
  #state: 'running' | 'closing' | 'ending' = 'running';
  #wasReady = false;

  constructor(options: HostThreadOptions, events: HostThreadEvents) {
    this.#options = options;
    this.#events = events;
    this.#pool = new Piscina({
      filename: fileURLToPath(options.workerFile),
      // With a minimum of one, piscina would replace a dead thread that nobody wants any more.
      minThreads: 0,
      maxThreads: 1,
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: options.heapMb, maxYoungGenerationSizeMb: youngHeapMb },
      recordTiming: false,
    });
    // A thread that breaks before it took its task.
    this.#pool.on('error', (error: unknown) => this.#end(deathOf(error)));
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: FromThread) => this.#receive(message));
    const { logLevel, accessCertsUrl } = options;
    this.#pool.run({ port: port2, logLevel, accessCertsUrl }, { transferList: [port2] }).then(
      () =>
        this.#end(this.#state === 'closing' ? null : fault('thread-exited', 'the thread ended by itself')),
      (error: unknown) => this.#end(deathOf(error)),
    );
    this.#timer = this.#expect('was not ready', threadStartMs);
  }

  /** It has come so far that what it dies of is the work that it was given. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  send(message: ToThread): void {
    this.#port.postMessage(message);
  }

  /** Asks the thread to end; it is ended if it does not. Idempotent. */
  close(): void {
    if (this.#state !== 'running') return;
    this.#state = 'closing';
    this.#timer.cancel();
    this.#timer = this.#after(threadCloseMs, () => this.#end(null));
    this.#port.close();
  }

  /** Ends the thread, whatever it does. Idempotent. */
  kill(cause: Fault): void {
    this.#end(cause);
  }

  #receive(message: FromThread): void {
    if (this.#state !== 'running') return;
    if (message.type === 'thread.ready') {
      this.#wasReady = true;
      this.#ping();
    }
    if (message.type === 'thread.pong') {
      if (message.sequence === this.#sequence) this.#heard();
      return;
    }
    this.#events.message(message);
  }

  #ping(): void {
    this.#timer.cancel();
    this.#sequence++;
    this.send({ type: 'thread.ping', sequence: this.#sequence });
    this.#timer = this.#expect('did not answer', heartbeatDeadlineMs);
  }

  #heard(): void {
    this.#timer.cancel();
    this.#timer = this.#after(heartbeatMs, () => this.#ping());
  }

  /** The thread is ended that has not done its duty by then, one step later. */
  #expect(what: string, limitMs: number, waitedMs = 0): Timer {
    return this.#after(patienceStepMs, () => {
      if (waitedMs < limitMs) this.#timer = this.#expect(what, limitMs, waitedMs + patienceStepMs);
      else this.#end(fault('thread-unresponsive', `the thread ${what} within ${limitMs} ms`));
    });
  }

  #after(delayMs: number, act: () => void): Timer {
    return this.#options.clock.after(delayMs, act);
  }

  /** Terminates what is left, also of a thread that spins, and tells only then. */
  #end(cause: Fault | null): void {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    this.#timer.cancel();
    this.#port.close();
    this.#events.ending();
    const tell = (): void => this.#events.ended(cause);
    this.#pool.destroy().then(tell, tell);
  }
}

/** Why a task was rejected: its thread died. */
function deathOf(error: unknown): Fault {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return fault('thread-out-of-memory', 'the thread ran out of heap');
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : `a ${typeof error} was thrown`;
  // Piscina's words for a thread that is gone without an error.
  if (error instanceof Error && error.message.startsWith('worker exited with code')) {
    return fault('thread-exited', reason);
  }
  return fault('thread-threw', reason.slice(0, maxReasonLength));
}
