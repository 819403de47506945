import { setTimeout as sleep } from 'node:timers/promises';
import { processUsage } from '../process-usage.ts';
import { Client } from './client.ts';
import { Latencies } from './latencies.ts';
import type { Measured } from './load.ts';

/** Opens so many WebSockets, lets them lie for `holdMs`, and asks then what they cost. */
export interface IdleOrder {
  readonly type: 'idle';
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly sockets: number;
  readonly holdMs: number;
  readonly pid: number | null;
}

/** So many are being opened at any time. */
const openAtOnce = 50;
/** Longer than any handshake on a busy machine; what is not open by then never will be. */
const openWithinMs = 60_000;

/** A "request" is here the opening of one WebSocket; the memory is that with all of them open. */
export async function runIdle(order: IdleOrder): Promise<Measured> {
  const latencies = new Latencies();
  const request = Buffer.from(
    [
      `GET ${order.path} HTTP/1.1`,
      `Host: ${order.host}`,
      'User-Agent: bench',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      '',
      '',
    ].join('\r\n'),
  );
  const usage = () => (order.pid === null ? null : processUsage(order.pid));
  const clients: Client[] = [];
  let failed = 0;
  const before = usage();
  const startedMs = performance.now();

  const open = (): Promise<void> =>
    new Promise((resolve) => {
      const sentMs = performance.now();
      const client = new Client(order.port, request, (outcome) => {
        if (outcome === 'failed') failed += 1;
        else latencies.add((performance.now() - sentMs) * 1000);
        resolve();
      });
      clients.push(client);
      client.send();
    });
  const openSome = async (): Promise<void> => {
    while (clients.length < order.sockets) await open();
  };
  const late = new AbortController();
  await Promise.race([
    Promise.all(Array.from({ length: openAtOnce }, openSome)),
    sleep(openWithinMs, null, { signal: late.signal }),
  ]);
  late.abort();
  const seconds = (performance.now() - startedMs) / 1000;
  const opened = usage();
  await sleep(order.holdMs);
  const after = usage();
  for (const client of clients) client.destroy();
  const requests = latencies.count;
  const cpuUs = before !== null && opened !== null ? opened.cpuUs - before.cpuUs : null;
  return {
    requests,
    failed: Math.max(failed, order.sockets - requests),
    requestsPerSecond: requests / seconds,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    cpuUsPerRequest: cpuUs === null || requests === 0 ? null : cpuUs / requests,
    rssBytes: after?.rssBytes ?? null,
  };
}
