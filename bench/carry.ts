import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAuthority } from '../src/sandbox/certificates.ts';
import { type Edge, startEdge } from '../src/sandbox/edge/edge.ts';

/**
 * `npm run carry`: some gigabytes down and up again through a connector in a process of its own, and how much more
 * memory than at rest it ever had. Exit code 1 if that was more than `mostMib`, or a byte was missing.
 */

const usage = 'Usage: npm run carry -- [--gigabytes N] (default 10)\n';
const mostMib = 64;
const mebi = 1 << 20;
const host = 'carry.example.com';
const tunnelId = '11111111-2222-4333-8444-555555555555';
const secret = Buffer.alloc(32, 7);
const piece = Buffer.alloc(64 << 10, 'warp ');
const readyWithinMs = 30_000;

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { gigabytes: { type: 'string' }, help: { type: 'boolean' } } });
  const gigabytes = Number(values.gigabytes ?? 10);
  if (values.help === true || !(gigabytes > 0)) {
    process.stdout.write(usage);
    return values.help === true ? 0 : 2;
  }
  // Whole pieces, so that counting is enough to know that all came.
  const bytes = Math.ceil((gigabytes * 1e9) / piece.length) * piece.length;
  const folder = mkdtempSync(join(tmpdir(), 'warp-ingress-carry-'));
  const edge = await startEdge({
    authority: createAuthority('edge'),
    checkTunnel: (_, id) => (id === tunnelId ? { secret } : null),
    tunnelOf: (name) => (name === host ? tunnelId : null),
  });
  const origin = createServer((asked, response) => {
    if (asked.method === 'GET') {
      const wanted = Number(asked.url?.slice(1));
      return pour(response.writeHead(200, { 'content-length': wanted }), wanted);
    }
    void drained(asked).then((taken) => response.end(String(taken)));
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const connector = startConnector(folder, edge, origin);
  try {
    await until(() => edge.connections().length > 0);
    await carry(edge, 'GET', piece.length);
    const restMib = peakMib(connector);
    for (const method of ['GET', 'POST'] as const) {
      const startedMs = performance.now();
      const carried = await carry(edge, method, bytes);
      const seconds = (performance.now() - startedMs) / 1_000;
      const speed = Math.round(carried / 1e6 / seconds);
      const way = method === 'GET' ? 'down' : 'up';
      print(`${way}: ${carried / 1e9} GB in ${seconds.toFixed(1)} s, ${speed} MB/s`);
      if (carried !== bytes) return 1;
    }
    const grownMib = peakMib(connector) - restMib;
    print(`memory: ${restMib} MiB at rest, ${grownMib} MiB more at most; expected no more than ${mostMib}`);
    return grownMib <= mostMib ? 0 : 1;
  } finally {
    connector.kill();
    if (connector.exitCode === null) await once(connector, 'exit');
    await edge.stop();
    origin.close();
    origin.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  }
}

function startConnector(folder: string, edge: Edge, origin: Server): ChildProcess {
  const token = JSON.stringify({ a: 'account', t: tunnelId, s: secret.toString('base64') });
  const [tokenFile, caFile] = [join(folder, 'token'), join(folder, 'ca.pem')];
  writeFileSync(tokenFile, Buffer.from(token).toString('base64'), { mode: 0o600 });
  writeFileSync(caFile, edge.caPem);
  const flags = [
    ...['--hostname', host, '--url', `http://127.0.0.1:${(origin.address() as AddressInfo).port}`],
    ...['--token-file', tokenFile, '--cacert', caFile, '--edge', edge.tunnelAddress, '--ha-connections', '1'],
    ...['--metrics', '127.0.0.1:0', '--log-level', 'warn', '--grace-period', '1s'],
  ];
  const program = fileURLToPath(new URL('../src/main.js', import.meta.url));
  // As in the image.
  const argv = ['--max-semi-space-size=1', program, 'tunnel', ...flags];
  return spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Bytes that arrived on the other side. */
async function carry(edge: Edge, method: 'GET' | 'POST', bytes: number): Promise<number> {
  const { hostname, port } = new URL(edge.frontUrl);
  const sent = request({ hostname, port, method, path: `/${bytes}`, headers: { host }, agent: false });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  if (method === 'GET') sent.end();
  else pour(sent, bytes);
  const [response] = await answered;
  return method === 'GET' ? await drained(response) : Number(await text(response));
}

function pour(into: Writable, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0 && !into.destroyed) {
      left -= piece.length;
      if (!into.write(piece)) return void into.once('drain', more);
    }
    if (!into.destroyed) into.end();
  };
  into.on('error', () => {});
  more();
}

async function drained(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  return bytes;
}

async function text(stream: Readable): Promise<string> {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}

/** The most that the process ever had (proc(5), VmHWM), in MiB; 0 where the system does not say. */
function peakMib(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
  return Math.round((Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024) / mebi);
}

async function until(look: () => boolean): Promise<void> {
  const untilMs = performance.now() + readyWithinMs;
  while (!look()) {
    if (performance.now() > untilMs) throw new Error('the connector did not register');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
