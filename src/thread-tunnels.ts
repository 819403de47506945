import { availableParallelism, totalmem } from 'node:os';
import type { ControllerConfig } from './config.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './ops/metrics.ts';
import { defaultMaxThreads } from './runners/thread-count.ts';
import { createThreadRunner, type ThreadRunner } from './runners/thread-runner.ts';
import type { Clock } from './time/clock.ts';

interface ThreadsPlace {
  readonly config: ControllerConfig;
  /** Content of `--cacert`. */
  readonly ca: string | null;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What runs tunnels in worker threads, by the controller's settings and what the machine has. The caller closes it. */
export function createThreads({ config, ca, clock, log, metrics }: ThreadsPlace): ThreadRunner {
  const { edge, graceMs, accessCertsUrl, tunnelsPerThread } = config;
  const cores = availableParallelism();
  const bytes = memoryBytes();
  const maxThreads = config.maxThreads ?? defaultMaxThreads(cores, bytes);
  const memoryMib = Math.round(bytes / 2 ** 20);
  log.info({ cores, memoryMib, maxThreads, tunnelsPerThread }, 'threads planned');
  const threads = createThreadRunner({
    clock,
    log,
    edge: { addresses: edge, ca },
    graceMs,
    logLevel: config.log.level,
    accessCertsUrl,
    maxThreads,
    cores,
    tunnelsPerThread,
    onCounts: metrics.tunnelCounted,
    onThread: metrics.threadTunnels,
  });
  metrics.quarantineOf(threads);
  return threads;
}

/** What a container's limit leaves of the machine's memory. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}
