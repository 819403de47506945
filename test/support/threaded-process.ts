import { isMainThread, parentPort, Worker } from 'node:worker_threads';

/**
 * A process with two worker threads that says on stdout what becomes of them; ends in order on SIGTERM.
 * On SIGUSR2 each of the three says what time it is.
 */
const limits = { maxOldGenerationSizeMb: 32 };

if (isMainThread) {
  for (const name of ['one', 'two']) {
    const worker = new Worker(new URL(import.meta.url), { name, resourceLimits: limits });
    worker.once('online', () => console.log(`online ${worker.threadId}`));
    worker.once('error', (error: NodeJS.ErrnoException) =>
      console.log(`error ${error.code ?? error.message}`),
    );
    worker.on('message', (time) => console.log(`time ${time}`));
    process.on('SIGUSR2', () => worker.postMessage('what time is it?'));
    worker.once('exit', (code) => console.log(`exit ${code}`));
  }
  process.on('SIGUSR2', () => console.log(`time ${Date.now()}`));
  process.once('SIGTERM', () => process.exit(0));
} else {
  parentPort?.on('message', () => parentPort?.postMessage(Date.now()));
}
setInterval(() => {}, 60_000);
