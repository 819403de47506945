import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

/*
 * Loaded before the program of a child process (`tied-child`), which knows nothing of it: when the pipe at descriptor 3
 * closes, whoever started this process is gone, also by SIGKILL, and so is the world that it works in. It also says there
 * that Node.js is up.
 */

if (isMainThread) {
  const starter = new Socket({ fd: 3 });
  starter.on('error', () => {});
  starter.once('close', () => process.kill(process.pid, 'SIGKILL'));
  starter.resume();
  starter.write('up');
  starter.unref();
}
