import { giveExternalMemoryItsOwnLimit } from '../src/external-memory.ts';
import { createLog } from '../src/log.ts';
import { createThreadRunner, type ThreadRunner } from '../src/runners/thread-runner.ts';
import { systemClock } from '../src/time/clock.ts';
import type { ConnectorWorld } from './contestants.ts';
import { hostOf, identityOf, routesOf } from './contestants.ts';
import { serveOrders } from './orders.ts';

/** A process that hosts tunnels in threads as the controller does, and does nothing else. */

export type HostOrder = { readonly type: 'pid' } | { readonly type: 'run'; readonly world: ConnectorWorld };

const graceMs = 1_000;
let runner: ThreadRunner | null = null;

/** With a thread of its own for each tunnel: the most that one can add. */
function run(world: ConnectorWorld): void {
  const { ca, tunnelPort, haConnections, tunnelId } = world;
  const address = `127.0.0.1:${tunnelPort}`;
  runner = createThreadRunner({
    clock: systemClock,
    log: createLog({ level: 'warn', format: 'json' }),
    logLevel: 'warn',
    accessCertsUrl: null,
    edge: { addresses: Array(haConnections).fill(address), ca },
    graceMs,
    cores: 1,
    maxThreads: 2,
    tunnelsPerThread: 1,
    onCounts: () => {},
    onThread: () => {},
  });
  const host = hostOf(tunnelId);
  const routes = routesOf(world);
  const place = { mode: 'worker' } as const;
  const request = { host, ingress: 'web', tunnel: identityOf(tunnelId), haConnections, routes, place };
  runner.start(request, () => {});
}

giveExternalMemoryItsOwnLimit();
serveOrders<HostOrder, number>(
  async (order) => {
    if (order.type === 'run') run(order.world);
    return process.pid;
  },
  async () => runner?.close(),
);
