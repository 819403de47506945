import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded into the controller's process before its program: measures the delay of its event loop between `watch`
 * and `report`. Costs nothing before the first `watch`, and does not keep the process.
 */

export type ProbeOrder = 'watch' | 'report';

/** Milliseconds that the main thread was late. */
export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const resolutionMs = 10;
const delay = monitorEventLoopDelay({ resolution: resolutionMs });

process.on('message', (order: ProbeOrder) => {
  if (order === 'watch') {
    delay.reset();
    delay.enable();
    return;
  }
  delay.disable();
  const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  const report: LoopDelay = {
    p50Ms: ms(delay.percentile(50)),
    p99Ms: ms(delay.percentile(99)),
    maxMs: ms(delay.max),
  };
  process.send?.(report);
});
process.channel?.unref();
