import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** A child process whose output is read. */
export interface TiedChild extends ChildProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Node.js is up in it, and hears signals by its own handlers: SIGUSR1 would end it before. Also when it has ended. */
  readonly up: Promise<void>;
}

const tie = fileURLToPath(new URL('./tie.js', import.meta.url));

/**
 * Starts Node.js as a process that does not outlive this one, however this one ends (`tie`): it would go on dialling a
 * world that is gone. In a group of its own, because Ctrl-C in a terminal is for the sandbox, which then asks what it
 * started to end. The caller owns the process.
 */
export function spawnTied(args: readonly string[], env?: NodeJS.ProcessEnv): TiedChild {
  const child = spawn(process.execPath, ['--import', tie, ...args], {
    ...(env !== undefined && { env }),
    // The last one is what ties it to us: it closes with this process.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // Where this process has the time: also one that is too busy to see the pipe close.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('close', () => process.removeListener('exit', kill));
  const starter = child.stdio[3] as Readable;
  starter.on('error', () => {}).resume();
  const up = new Promise<void>((resolve) => starter.once('data', () => resolve()).once('close', resolve));
  return Object.assign(child as ChildProcess & { stdout: Readable; stderr: Readable }, { up });
}
