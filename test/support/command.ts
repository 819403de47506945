import { execFile } from 'node:child_process';
import { bundledProgram } from './program.ts';

/** Longer than any command that ends by itself needs, also on a busy machine. */
const patienceMs = 30_000;

export interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program itself to its end, with no variables but the given ones. */
export function warpIngress(argv: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [bundledProgram(), ...argv],
      { env, timeout: patienceMs },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? 'killed'), stdout, stderr });
      },
    );
  });
}
