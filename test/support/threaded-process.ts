import { isMainThread, Worker } from 'node:worker_threads';

/** A process with two worker threads that says on stdout what becomes of them; ends in order on SIGTERM. */
const limits = { maxOldGenerationSizeMb: 32 };

if (isMainThread) {
  for (const name of ['one', 'two']) {
    const worker = new Worker(new URL(import.meta.url), { name, resourceLimits: limits });
    worker.once('online', () => console.log(`online ${worker.threadId}`));
    worker.once('error', (error: NodeJS.ErrnoException) =>
      console.log(`error ${error.code ?? error.message}`),
    );
    worker.once('exit', (code) => console.log(`exit ${code}`));
  }
  process.once('SIGTERM', () => process.exit(0));
}
setInterval(() => {}, 60_000);
