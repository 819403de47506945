import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { bundledProgram } from '../support/program.ts';
import { ScriptedEdge } from '../support/scripted-edge.ts';
import { type ScriptedConnection, type ScriptedOrigin, scriptOrigin } from '../support/scripted-origin.ts';

/** A file that is there and holds nothing of what is asked for. */
const otherFile = fileURLToPath(import.meta.url);
const tunnelId = '11111111-2222-4333-8444-555555555555';
const token = Buffer.from(
  JSON.stringify({ a: 'account', t: tunnelId, s: Buffer.alloc(32, 9).toString('base64') }),
).toString('base64');

describe('warp-ingress tunnel', () => {
  let folder: string;
  let edge: ScriptedEdge;
  let origin: ScriptedOrigin;
  let held: ScriptedConnection[];
  let processes: Tunnel[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'warp-ingress-test-'));
    edge = await ScriptedEdge.start();
    held = [];
    processes = [];
    origin = await scriptOrigin((connection, head) => {
      if (head.startsWith('GET /held ')) held.push(connection);
      else connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    });
    await writeFile(join(folder, 'token'), `${token}\n`);
    await writeFile(join(folder, 'ca.pem'), edge.ca);
  });
  afterEach(async () => {
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all([edge.close(), origin.stop()]);
    await rm(folder, { recursive: true });
  });

  function start(...more: string[]): Tunnel {
    const argv = [
      ...['--hostname', 'app.example.com', '--url', `http://127.0.0.1:${origin.port}`],
      ...['--token-file', join(folder, 'token'), '--cacert', join(folder, 'ca.pem')],
      ...['--edge', edge.address, '--edge', edge.address, '--ha-connections', '2'],
      ...['--metrics', '127.0.0.1:0', ...more],
    ];
    const tunnel = new Tunnel(argv);
    processes.push(tunnel);
    return tunnel;
  }

  it('registers, serves, and says on /ready what it has', async () => {
    const tunnel = start();
    await tunnel.logged('tunnel connection registered', 2);
    expect(edge.connections.map(({ registration }) => registration?.tunnelId)).to.deep.equal([
      tunnelId,
      tunnelId,
    ]);

    const response = edge.connections[1]!.request({ ':path': '/' });
    expect((await response.headers())[':status']).to.equal(200);
    expect(await response.text()).to.equal('hello');

    const ready = await tunnel.probe('/ready');
    expect(ready.status).to.equal(200);
    expect(JSON.parse(ready.body)).to.deep.include({ status: 200, readyConnections: 2 });
    expect((await tunnel.probe('/healthz')).status).to.equal(200);
    expect((await tunnel.probe('/other')).status).to.equal(404);
  });

  it('counts for Prometheus what it carries, by host', async () => {
    const tunnel = start();
    await tunnel.logged('tunnel connection registered', 2);
    const host = 'app.example.com';
    const before = await tunnel.probe('/metrics');
    expect(before.body).to.contain(`warp_ingress_requests_total{host="${host}",code_class="2xx"} 0\n`);
    for (let request = 0; request < 2; request++) {
      expect(await edge.connections[request]!.request({ ':path': '/' }).text()).to.equal('hello');
      await tunnel.scraped(`{host="${host}",code_class="2xx"} ${request + 1}\n`);
    }
    const { body, status } = await tunnel.probe('/metrics');
    expect(status).to.equal(200);
    expect(body).to.contain(`warp_ingress_tunnel_connections{host="${host}"} 2\n`);
    expect(body).to.contain(`warp_ingress_request_duration_seconds_count{host="${host}"} 2\n`);
    expect(body).not.to.contain('warp_ingress_leader').and.not.to.contain('warp_ingress_threads');
  });

  it('lives but is not ready while no connection is registered', async () => {
    edge.script = { answer: () => ({ kind: 'silence' }) };
    const tunnel = start();
    expect((await tunnel.probe('/healthz')).status).to.equal(200);
    const ready = await tunnel.probe('/readyz');
    expect(ready.status).to.equal(503);
    expect(JSON.parse(ready.body)).to.deep.include({ status: 503, readyConnections: 0 });
  });

  it('says on /ready how the edge refuses it, until that takes it', async () => {
    const cause = 'Unauthorized: Invalid tunnel secret';
    const refusal = { kind: 'refused', cause, retryAfterNanoseconds: 0n, shouldRetry: false } as const;
    edge.script = { answer: () => refusal };
    const tunnel = start('--ha-connections', '1');
    await tunnel.logged('tunnel connection lost', 1);
    const told = JSON.parse((await tunnel.probe('/ready')).body).edgeProblem;
    expect(told.fault.code).to.equal('edge-unauthorized');
    expect(told.attempts).to.equal(1);
    await tunnel.logged('tunnel connection lost', 2);
    expect(JSON.parse((await tunnel.probe('/ready')).body).edgeProblem.attempts).to.be.at.least(2);
    expect(told.fault.message).to.contain(cause);
    edge.script = {};
    await tunnel.logged('tunnel connection registered', 1);
    expect(JSON.parse((await tunnel.probe('/ready')).body).edgeProblem).to.equal(null);
  });

  it('stops on SIGTERM: unregisters, finishes what runs, exits 0', async () => {
    const tunnel = start();
    await tunnel.logged('tunnel connection registered', 2);
    const response = edge.connections[0]!.request({ ':path': '/held' });
    await eventually('the request is at the origin', () => held.length === 1);

    tunnel.child.kill('SIGTERM');
    await eventually('both are unregistered', () => edge.connections.every((peer) => peer.unregistered));
    expect((await tunnel.probe('/ready')).status).to.equal(503);
    held[0]!.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate');
    expect(await response.text()).to.equal('late');
    expect(await tunnel.exitCode()).to.equal(0);
  });

  it('cuts what outlives the grace period, and exits 0', async () => {
    const tunnel = start('--grace-period', '100ms');
    await tunnel.logged('tunnel connection registered', 2);
    edge.connections[0]!.request({ ':path': '/held' })
      .headers()
      .catch(() => {});
    await eventually('the request is at the origin', () => held.length === 1);
    tunnel.child.kill('SIGTERM');
    expect(await tunnel.exitCode()).to.equal(0);
  });

  it('never writes the token or its secret', async () => {
    const tunnel = start('--log-level', 'trace');
    await tunnel.logged('tunnel connection registered', 2);
    tunnel.child.kill('SIGTERM');
    await tunnel.exitCode();
    expect(tunnel.output).not.to.contain(token);
    expect(tunnel.output).not.to.contain(Buffer.alloc(32, 9).toString('base64'));
  });

  const refused: [title: string, argv: string[], sentence: string][] = [
    [
      'a token file that is not there',
      ['--token-file', '/nonexistent'],
      '--token-file (TUNNEL_TOKEN_FILE): cannot be read',
    ],
    [
      'a file without a token',
      ['--token-file', otherFile],
      '--token-file (TUNNEL_TOKEN_FILE): the tunnel token is',
    ],
    ['roots that are not there', ['--cacert', '/nonexistent'], '--cacert (TUNNEL_CACERT): cannot be read'],
    ['roots that are none', ['--cacert', otherFile], 'it holds no certificate; expected one or more in PEM'],
    ['a port that is not free', ['--metrics', 'TAKEN'], '--metrics (TUNNEL_METRICS): cannot listen on'],
  ];
  for (const [title, argv, sentence] of refused) {
    it(`refuses ${title}`, async () => {
      const tunnel = start(...argv.map((word) => (word === 'TAKEN' ? `127.0.0.1:${origin.port}` : word)));
      expect(await tunnel.exitCode()).to.equal(2);
      expect(tunnel.output).to.contain(sentence);
      expect(tunnel.output).not.to.contain('"level":"fatal"');
    });
  }

  it("lives, and is not ready, while Cloudflare's API is away that knows its tunnel", async () => {
    const api = createServer((_, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
    await once(api, 'listening');
    const content = { zoneID: 'zone', accountID: 'account', apiToken: 'cert-token' };
    const base64 = Buffer.from(JSON.stringify(content)).toString('base64');
    const name = 'ARGO TUNNEL TOKEN';
    const cert = join(folder, 'cert.pem');
    await writeFile(cert, `-----BEGIN ${name}-----\n${base64}\n-----END ${name}-----\n`);
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const argv = ['--hostname', 'app.example.com', '--url', 'http://svc', '--origincert', cert];
    const tunnel = new Tunnel([...argv, '--api-url', url, '--metrics', '127.0.0.1:0']);
    processes.push(tunnel);
    try {
      await tunnel.logged('tunnel not found yet', 1);
      expect((await tunnel.probe('/healthz')).status).to.equal(200);
      expect((await tunnel.probe('/ready')).status).to.equal(503);
      tunnel.child.kill('SIGTERM');
      expect(await tunnel.exitCode()).to.equal(0);
    } finally {
      api.close();
    }
  });

  const certs: [title: string, cert: string, sentence: string][] = [
    ['a certificate that is not there', '/c', '/c cannot be read: it does not exist'],
    ['a certificate that is none', otherFile, `${otherFile} is no usable cert.pem`],
  ];
  for (const [title, cert, sentence] of certs) {
    it(`refuses ${title} in one line`, async () => {
      const tunnel = new Tunnel([
        '--hostname',
        'app.example.com',
        '--url',
        'http://svc',
        '--origincert',
        cert,
      ]);
      processes.push(tunnel);
      expect(await tunnel.exitCode()).to.equal(2);
      expect(tunnel.output.trimEnd().split('\n')).to.have.length(1);
      expect(tunnel.output).to.contain(`warp-ingress: --origincert (TUNNEL_ORIGIN_CERT): ${sentence}`);
    });
  }
});

/** One process of the command, with all that it wrote. */
class Tunnel {
  readonly child: ChildProcess;
  output = '';
  readonly #exited: Promise<unknown[]>;

  constructor(argv: readonly string[]) {
    this.child = spawn(process.execPath, [bundledProgram(), 'tunnel', ...argv], { env: {} });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    // Not "exit": what it wrote last must have arrived.
    this.#exited = once(this.child, 'close');
  }

  async logged(words: string, times: number): Promise<void> {
    await eventually(`"${words}" ${times} times`, () => this.output.split(`"${words}"`).length > times);
  }

  async probe(path: string): Promise<{ status: number; body: string }> {
    const port = await eventually(
      'the health port',
      () => /"port":(\d+),"msg":"health served"/.exec(this.output)?.[1],
    );
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
    return { status: response.status, body: await response.text() };
  }

  /** Waits until `/metrics` has this text: an answer is counted once all of it has gone. */
  async scraped(text: string): Promise<void> {
    const untilMs = performance.now() + 15_000;
    while (!(await this.probe('/metrics')).body.includes(text)) {
      if (performance.now() > untilMs) throw new Error(`not among the metrics: ${text}`);
    }
  }

  async exitCode(): Promise<number | null> {
    const [code] = await this.#exited;
    return code as number | null;
  }
}
