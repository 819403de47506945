import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, systemClock, type Timer } from '../time/clock.ts';
import { inspectorUrlIn, listThreads, type ThreadView, withInspector } from './inspector.ts';
import { type ProcessMemory, readMemory, readThreadMemory, type ThreadMemory } from './process-memory.ts';
import { breakThread, shiftWallClock, type ThreadFault } from './thread-faults.ts';
import { spawnTied, type TiedChild } from './tied-child.ts';

export interface ControllerProcessSettings {
  /** What runs behind the Node.js executable: script and arguments. */
  readonly command: readonly string[];
  /** Each line that the process writes. */
  onLine(line: string): void;
  /** What happens to the process, in words. */
  onNews(news: string): void;
  readonly clock?: Clock;
}

export type ControllerState = 'running' | 'restarting' | 'stopped';

export interface ControllerView {
  readonly state: ControllerState;
  readonly pid: number | null;
  readonly restarts: number;
  /** How the last run ended; null before. */
  readonly lastExit: string | null;
}

/** As a kubelet's, in the small: the first restart is at once, then with longer and longer pauses. */
const restartBackoff: Backoff = { baseMs: 1_000, capMs: 30_000, healthyAfterMs: 60_000 };
/** After SIGTERM; a pod's default grace period. */
const termGraceMs = 30_000;
const inspectorLimitMs = 5_000;

/** Node's own words around an opened inspector; they are no news. */
const inspectorNoise =
  /^(Debugger (listening|ending) on|Debugger attached|For help, see:|Waiting for the debugger)/;

/**
 * Runs the controller as a kubelet runs a container: starts it, starts it again when it ends, with backoff, and
 * ends it when asked to. Owns the process and whatever it leaves.
 */
export class ControllerProcess {
  readonly #settings: ControllerProcessSettings;
  readonly #clock: Clock;
  #child: TiedChild | null = null;
  #state: ControllerState = 'stopped';
  #inspectorUrl: string | null = null;
  #inspectorOpened: (() => void) | null = null;
  #startedAtMs = 0;
  #failures = 0;
  #restarts = 0;
  #lastExit: string | null = null;
  #retry: Timer | null = null;

  constructor(settings: ControllerProcessSettings) {
    this.#settings = settings;
    this.#clock = settings.clock ?? systemClock;
  }

  view(): ControllerView {
    return {
      state: this.#state,
      pid: this.#child?.pid ?? null,
      restarts: this.#restarts,
      lastExit: this.#lastExit,
    };
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#state === 'running') return;
    this.#retry?.cancel();
    this.#retry = null;
    this.#state = 'running';
    this.#startedAtMs = this.#clock.monotonic();
    this.#inspectorUrl = null;
    const child = spawnTied(['--inspect-port=127.0.0.1:0', ...this.#settings.command]);
    this.#child = child;
    this.#read(child.stdout);
    this.#read(child.stderr);
    child.once('error', (error) => this.#settings.onLine(`cannot start: ${error.message}`));
    child.once('close', (code, signal) => this.#ended(signal ?? `exit code ${code}`));
  }

  /** Asks it to end, kills it if it does not in time, and leaves it stopped. Idempotent. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#retry?.cancel();
    this.#retry = null;
    await this.#end('SIGTERM');
  }

  /** Asks it to end and starts it anew as soon as it has: what a rolling update does. */
  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }

  /** Ends it without a word (SIGKILL); it is started again as after any crash. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops it from running (SIGSTOP), as a machine does that is suspended, until `thaw`. Nobody is told. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async threads(): Promise<ThreadView[]> {
    return listThreads(await this.#inspector());
  }

  /** False when there is no such thread. */
  async breakThread(thread: number, fault: ThreadFault): Promise<boolean> {
    return breakThread(await this.#inspector(), thread, fault);
  }

  /** See `shiftWallClock`. A process that is started later has the right time. */
  async shiftWallClock(shiftMs: number): Promise<void> {
    await shiftWallClock(await this.#inspector(), shiftMs);
  }

  /** Runs code in its main thread; what it gives is of no interest. */
  async evaluate(expression: string): Promise<void> {
    await withInspector(await this.#inspector(), ({ send }) => send('Runtime.evaluate', { expression }));
  }

  /** What its main thread holds after a garbage collection. */
  async memory(): Promise<ProcessMemory> {
    return readMemory(await this.#inspector());
  }

  /** What each of its threads holds after a garbage collection in all of them. */
  async threadMemory(): Promise<readonly ThreadMemory[]> {
    return readThreadMemory(await this.#inspector());
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    const overdue = this.#clock.after(termGraceMs, () => child.kill('SIGKILL'));
    await closed;
    overdue.cancel();
  }

  #ended(how: string): void {
    this.#child = null;
    this.#lastExit = how;
    if (this.#state === 'stopped') return;
    const heldMs = this.#clock.monotonic() - this.#startedAtMs;
    if (heldMs >= restartBackoff.healthyAfterMs) this.#failures = 0;
    const delayMs =
      this.#failures === 0 ? 0 : backoffDelayMs(restartBackoff, this.#failures - 1, Math.random());
    this.#failures++;
    this.#state = 'restarting';
    const when = delayMs === 0 ? 'now' : `in ${(delayMs / 1000).toFixed(1)} s`;
    this.#settings.onNews(`the controller ended (${how}); it is started again ${when}`);
    this.#retry = this.#clock.after(delayMs, () => {
      this.#restarts++;
      this.start();
    });
  }

  #read(output: Readable): void {
    createInterface({ input: output }).on('line', (line) => {
      const url = inspectorUrlIn(line);
      if (url !== undefined) {
        this.#inspectorUrl = url;
        this.#inspectorOpened?.();
      } else if (!inspectorNoise.test(line) && line !== '') {
        this.#settings.onLine(line);
      }
    });
  }

  /** Opens the inspector of the running process, from outside (SIGUSR1), the first time that it is needed. */
  async #inspector(): Promise<string> {
    const child = this.#child;
    await child?.up;
    const pid = child?.pid;
    if (pid === undefined || child !== this.#child) throw new Error('the controller is not running');
    if (this.#inspectorUrl === null) {
      const opened = new Promise<void>((resolve) => {
        this.#inspectorOpened = resolve;
      });
      process.kill(pid, 'SIGUSR1');
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const limit = this.#clock.after(inspectorLimitMs, resolve);
      await Promise.race([opened, late]);
      limit.cancel();
    }
    if (this.#inspectorUrl === null) throw new Error('the inspector of the controller does not open');
    return this.#inspectorUrl;
  }
}
