import { processUsage } from '../process-usage.ts';
import { Client, type Outcome } from './client.ts';
import { connectHttp2, Http2Client } from './http2-client.ts';
import { Latencies } from './latencies.ts';

/** How often a window that has seen no answer is extended by its own length. */
const maxExtensions = 50;

/** Each of `concurrency` clients sends again as soon as it is answered, for `warmMs` and then `windowMs`. */
export interface LoadOrder {
  readonly type: 'load';
  /** `h2`: the clients' requests are streams of one connection; without bodies. */
  readonly protocol: 'http/1.1' | 'h2';
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
  const visitors = visitorsOf(order);
  const usage = () => (order.pid === null ? null : processUsage(order.pid));
  let before = usage();
  let startedMs = 0;
  let failed = 0;
  let phase: 'warm' | 'window' | 'over' = 'warm';

  return new Promise((resolve) => {
    for (let i = 0; i < order.concurrency; i += 1) {
      let sentMs = 0;
      const send = (): void => {
        sentMs = performance.now();
        client.send();
      };
      const client = visitors.client((outcome) => {
        if (outcome === 'failed') failed += 1;
        else if (phase === 'window') latencies.add((performance.now() - sentMs) * 1000);
        // A client whose connection is gone stays away: the failure is counted and fails the bench.
        if (phase !== 'over' && outcome === 'answered') send();
      });
      send();
    }
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
        visitors.destroy();
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

/** Everybody who sends in one load, and how they are connected. */
interface Visitors {
  /** `done` is called once for every `send`. */
  client(done: (outcome: Outcome) => void): { send(): void };
  destroy(): void;
}

function visitorsOf(order: LoadOrder): Visitors {
  if (order.protocol === 'h2') {
    const headers = requestHeaders(order);
    const connection = connectHttp2(order.port);
    return {
      client: (done) => new Http2Client(connection, headers, done),
      destroy: () => connection.destroy(),
    };
  }
  const request = requestBytes(order);
  const clients: Client[] = [];
  return {
    client(done) {
      const client = new Client(order.port, request, done);
      clients.push(client);
      return client;
    },
    destroy() {
      for (const client of clients) client.destroy();
    },
  };
}

function requestHeaders({ host, method, path }: LoadOrder): readonly string[] {
  const pseudo = [':method', method, ':scheme', 'http', ':authority', host, ':path', path];
  return [...pseudo, 'user-agent', 'bench', 'accept', '*/*'];
}

function requestBytes({ host, method, path, bodyBytes }: LoadOrder): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'User-Agent: bench', 'Accept: */*'];
  if (method === 'POST') lines.push('Content-Type: application/octet-stream', `Content-Length: ${bodyBytes}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.alloc(bodyBytes, 'x')]);
}
