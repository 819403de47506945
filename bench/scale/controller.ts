import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspectorUrlIn } from '../../src/sandbox/inspector.ts';
import { type ProcessUsage, processUsage } from '../process-usage.ts';
import type { LoopDelay, ProbeOrder } from './probe.ts';
import { until } from './visitors.ts';

const stopMs = 60_000;

/** The controller as users run it, in a process of its own, with the probe beside it. Its starter stops it. */
export class ControllerUnderTest {
  readonly #child: ChildProcess;
  readonly #log: string;
  /** What an earlier one has written into the same file. */
  readonly #bytesBefore: number;
  readonly startedAtMs = performance.now();

  constructor(flags: readonly string[], nodeFlags: readonly string[], log: string, profile: string | null) {
    this.#log = log;
    const output = openSync(log, 'a');
    this.#bytesBefore = fstatSync(output).size;
    const program = fileURLToPath(new URL('../../src/main.js', import.meta.url));
    const probe = new URL('./probe.js', import.meta.url).href;
    const profiling = profile === null ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
    const own = ['--metrics', '127.0.0.1:0', '--log-format', 'json'];
    this.#child = spawn(
      process.execPath,
      // As in the image.
      [
        '--max-semi-space-size=1',
        ...nodeFlags,
        '--inspect-port=127.0.0.1:0',
        ...profiling,
        '--import',
        probe,
        program,
        'controller',
        ...own,
        ...flags,
      ],
      { stdio: ['ignore', output, output, 'ipc'] },
    );
    closeSync(output);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get usage(): ProcessUsage {
    const usage = processUsage(this.pid);
    if (usage === null) throw new Error(`the controller has ended:\n${this.#tail()}`);
    return usage;
  }

  /** The most resident memory that it ever had, bytes. */
  get peakBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  get threads(): number {
    return this.#tail(Number.POSITIVE_INFINITY).split('"thread started"').length - 1;
  }

  watchLoop(): void {
    this.#child.send('watch' satisfies ProbeOrder);
  }

  async loopDelay(): Promise<LoopDelay> {
    const answer = once(this.#child, 'message') as Promise<[LoopDelay]>;
    this.#child.send('report' satisfies ProbeOrder);
    return (await answer)[0];
  }

  /** Opens the inspector of the running process. It stays open, and threads with it are dearer. */
  async inspectorUrl(): Promise<string> {
    const read = (): string | undefined => inspectorUrlIn(this.#tail(Number.POSITIVE_INFINITY));
    this.#child.kill('SIGUSR1');
    await until('the inspector is open', () => read() !== undefined);
    return read()!;
  }

  /** Waits until `/readyz` answers 200. It must have come far enough to say where it listens. */
  async ready(): Promise<void> {
    const url = /"metrics":"([^"]+)"/.exec(this.#tail(Number.POSITIVE_INFINITY))?.[1];
    if (url === undefined) throw new Error(`the controller does not say where it listens:\n${this.#tail()}`);
    await until('the controller is ready', async () => (await fetch(`${url}/readyz`)).status === 200);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), stopMs);
    await ended;
    clearTimeout(force);
  }

  #tail(bytes = 2_000): string {
    return readFileSync(this.#log).subarray(this.#bytesBefore).toString().slice(-bytes);
  }
}
