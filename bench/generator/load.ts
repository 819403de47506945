import { processUsage } from '../process-usage.ts';
import { Client } from './client.ts';
import { Latencies } from './latencies.ts';

/** How often a window that has seen no answer is extended by its own length. */
const maxExtensions = 50;

/** Each of `concurrency` clients sends again as soon as it is answered, for `warmMs` and then `windowMs`. */
export interface LoadOrder {
  readonly type: 'load';
  readonly port: number;
  readonly host: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly bodyBytes: number;
  readonly concurrency: number;
  readonly warmMs: number;
  readonly windowMs: number;
  /** Process whose use of CPU and memory is wanted, if any. */
  readonly pid: number | null;
}

/** What was seen in one window. */
export interface Measured {
  readonly requests: number;
  readonly failed: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpuUsPerRequest: number | null;
  readonly rssBytes: number | null;
}

export function runLoad(order: LoadOrder): Promise<Measured> {
  const latencies = new Latencies();
  const request = requestBytes(order);
  const usage = () => (order.pid === null ? null : processUsage(order.pid));
  let before = usage();
  let startedMs = 0;
  let failed = 0;
  let phase: 'warm' | 'window' | 'over' = 'warm';

  return new Promise((resolve) => {
    const clients = Array.from({ length: order.concurrency }, () => {
      let sentMs = 0;
      const send = (): void => {
        sentMs = performance.now();
        client.send();
      };
      const client = new Client(order.port, request, (outcome) => {
        if (outcome === 'failed') failed += 1;
        else if (phase === 'window') latencies.add((performance.now() - sentMs) * 1000);
        // A client whose connection is gone stays away: the failure is counted and fails the bench.
        if (phase !== 'over' && outcome === 'answered') send();
      });
      send();
      return client;
    });
    setTimeout(() => {
      phase = 'window';
      before = usage();
      startedMs = performance.now();
      let extensions = 0;
      const finish = (): void => {
        // On a machine that is busy with other things a short window may see nothing: then it is longer.
        if (latencies.count === 0 && failed === 0 && extensions++ < maxExtensions) {
          setTimeout(finish, order.windowMs);
          return;
        }
        const seconds = (performance.now() - startedMs) / 1000;
        const after = usage();
        phase = 'over';
        for (const client of clients) client.destroy();
        const requests = latencies.count;
        const cpuUs = before !== null && after !== null ? after.cpuUs - before.cpuUs : null;
        resolve({
          requests,
          failed,
          requestsPerSecond: requests / seconds,
          p50Us: latencies.percentile(0.5),
          p99Us: latencies.percentile(0.99),
          cpuUsPerRequest: cpuUs === null || requests === 0 ? null : cpuUs / requests,
          rssBytes: after?.rssBytes ?? null,
        });
      };
      setTimeout(finish, order.windowMs);
    }, order.warmMs);
  });
}

function requestBytes({ host, method, path, bodyBytes }: LoadOrder): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'User-Agent: bench', 'Accept: */*'];
  if (method === 'POST') lines.push('Content-Type: application/octet-stream', `Content-Length: ${bodyBytes}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.alloc(bodyBytes, 'x')]);
}
