import { randomUUID } from 'node:crypto';
import { cpuUsage } from 'node:process';
import { giveExternalMemoryItsOwnLimit } from '../src/external-memory.ts';
import { createLog } from '../src/log.ts';
import { startConnector } from '../src/tunnel/connector.ts';
import { systemConnectorDeps } from '../src/tunnel/connector-deps.ts';
import type { EdgeAddresses, EdgeOrder } from './edge.ts';
import { Part } from './orders.ts';

/**
 * What connections cost that carry nothing: CPU of one thread with so many tunnels of four connections each,
 * and its memory, with the bench's edge in another process. By hand, after a build:
 *
 *     node dist/bench/idle-cpu.js [TUNNELS] [SECONDS]
 */

const connectionsPerTunnel = 4;
/** Tunnels that register at the same time. */
const atOnce = 10;
/** V8 collects what the start left some seconds after it. */
const settleMs = 45_000;

const tunnels = Number(process.argv[2] ?? 1_000);
const seconds = Number(process.argv[3] ?? 32);

function microseconds(): number {
  const { user, system } = cpuUsage();
  return user + system;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

giveExternalMemoryItsOwnLimit();
const edge = new Part<EdgeOrder, EdgeAddresses | null>('edge');
const { tunnelPort, ca } = (await edge.ask({ type: 'addresses' }))!;
const address = `127.0.0.1:${tunnelPort}`;
const deps = systemConnectorDeps(createLog({ level: 'warn', format: 'json' }), null);
const before = { cpuUs: microseconds(), rssBytes: process.memoryUsage.rss() };
let lost = 0;
const connectors = [];
for (let started = 0; started < tunnels; started += atOnce) {
  const batch = Array.from({ length: Math.min(atOnce, tunnels - started) }, () => randomUUID());
  for (const tunnelId of batch) {
    const spec = {
      run: tunnelId,
      host: `${tunnelId}.example.com`,
      credentials: { accountTag: 'bench', tunnelId, tunnelSecret: Buffer.alloc(32, 1).toString('base64') },
      connectorId: randomUUID(),
      connections: [0, 1, 2, 3],
      urgent: true,
      edge: { addresses: Array(connectionsPerTunnel).fill(address), ca, region: '' },
      routes: { host: `${tunnelId}.example.com`, routes: [], access: null },
    };
    connectors.push(
      startConnector(spec, deps, (fact) => {
        if (fact.type === 'connection.lost') lost += 1;
      }),
    );
  }
  for (const tunnelId of batch) {
    await edge.ask({ type: 'connections', tunnelId, count: connectionsPerTunnel });
  }
}
const connections = tunnels * connectionsPerTunnel;
const startedUs = microseconds();
await pause(settleMs);
const fromUs = microseconds();
await pause(seconds * 1_000);
const idleUs = (microseconds() - fromUs) / seconds;
const idleBytes = process.memoryUsage.rss();

console.log(`connections: ${connections}, lost: ${lost}`);
console.log(
  `to dial and register one: ${((startedUs - before.cpuUs) / connections / 1e3).toFixed(1)} ms of CPU`,
);
console.log(`memory of one: ${((idleBytes - before.rssBytes) / connections / 1024).toFixed(0)} KiB`);
console.log(
  `idle: ${(idleUs / 1e4).toFixed(2)} % of a core, ${(idleUs / connections).toFixed(2)} µs a second and connection`,
);
for (const connector of connectors) connector.destroy();
deps.teams.destroy();
await edge.stop();
