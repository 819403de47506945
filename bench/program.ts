import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { serveOrders } from './orders.ts';

/**
 * Keeps a program that is not part of the bench (a connector, nginx), so that it ends with the bench however that
 * ends. Its command line is in this process' own arguments. The end of what it said comes with its failure.
 */

const stopMs = 5_000;
const keptOutput = 2_000;

const [program = '', ...argv] = process.argv.slice(2);
const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
let output = '';
for (const stream of [child.stdout, child.stderr]) {
  stream.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-keptOutput);
  });
}
let stopping = false;
child.on('error', (error) => ended(error.message));
child.on('exit', (code, signal) => ended(`exit code ${code ?? signal}`));

function ended(how: string): void {
  if (stopping) return;
  process.stderr.write(`${program} ended: ${how}\n${output}\n`);
  process.exit(1);
}

async function stop(): Promise<void> {
  stopping = true;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), stopMs);
  await exited;
  clearTimeout(force);
}

serveOrders<'pid', number>(async () => {
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  return child.pid;
}, stop);
