import { request } from 'node:http';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { createLog } from '../../src/log.ts';
import { createMetrics } from '../../src/ops/metrics.ts';
import type { Readiness } from '../../src/ops/status-page.ts';
import { type Ops, startOps } from '../../src/ops.ts';
import { holdConnections } from '../support/held-connections.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const log = createLog(
  { level: 'silent', format: 'json' },
  new Writable({ write: (_chunk, _encoding, done) => done() }),
);

describe('ops', () => {
  const metrics = createMetrics();
  let readiness: () => Readiness;
  let ops: Ops;

  beforeEach(async () => {
    readiness = () => ({ ready: true, waiting: [] });
    const started = await startOps({
      listen: { host: '127.0.0.1', port: 0 },
      readiness: () => readiness(),
      metrics,
      log,
    });
    if (!started.ok) throw new Error(started.fault.message);
    ops = started.value;
  });
  afterEach(() => ops.close());

  function ask(path: string, method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request(`${ops.url}${path}`, { method, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      });
      asked.on('error', reject);
      asked.end();
    });
  }

  it('/healthz says that the process lives, whatever else is wrong', async () => {
    readiness = () => ({ ready: false, waiting: ['everything'] });
    expect(await ask('/healthz')).to.include({ status: 200, body: 'ok\n' });
  });

  it('/readyz is 503 and says what it waits for, then 200', async () => {
    readiness = () => ({ ready: false, waiting: ['services are not listed yet'] });
    const before = await ask('/readyz?verbose');
    expect(before.status).to.equal(503);
    expect(JSON.parse(before.body)).to.deep.equal({ ready: false, waiting: ['services are not listed yet'] });
    readiness = () => ({ ready: true, waiting: [] });
    expect((await ask('/readyz')).status).to.equal(200);
  });

  it('/metrics is the text that Prometheus reads', async () => {
    const { status, headers, body } = await ask('/metrics');
    expect(status).to.equal(200);
    expect(headers['content-type']).to.match(/^text\/plain; version=0\.0\.4/);
    expect(body).to.contain('# TYPE warp_ingress_leader gauge');
  });

  it('/ lists the tunnels and escapes every name', async () => {
    metrics.telemetry.tunnelState('<script>alert("1")</script>', 'app.example.com', 'up');
    metrics.telemetry.tunnelConnections('app.example.com', 4);
    readiness = () => ({ ready: false, waiting: ['<b>'] });
    const { headers, body } = await ask('/');
    metrics.quarantineOf({ quarantined: () => new Map([['app.example.com', 'nobody']]) });
    expect((await ask('/')).body).to.contain('<td>up, in quarantine with nobody</td><td>4</td>');
    metrics.telemetry.tunnelState('<script>alert("1")</script>', 'app.example.com', null);
    expect(headers['content-type']).to.equal('text/html; charset=utf-8');
    expect(body).to.contain(
      '<td>app.example.com</td><td>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;</td>',
    );
    expect(body).to.contain('<td>up</td><td>4</td>').and.contain('&lt;b&gt;').and.not.contain('<script>');
  });

  it('answers HEAD like GET without a body', async () => {
    const { status, headers, body } = await ask('/healthz', 'HEAD');
    expect([status, headers['content-length'], body]).to.deep.equal([200, '3', '']);
  });

  it('answers every other method 405, and unknown paths 404', async () => {
    const refused = await ask('/metrics', 'POST');
    expect([refused.status, refused.headers.allow]).to.deep.equal([405, 'GET, HEAD']);
    expect((await ask('/', 'DELETE')).status).to.equal(405);
    expect((await ask('/nothing')).status).to.equal(404);
    expect((await ask('/healthz/')).status).to.equal(404);
  });

  it('answers probes while somebody holds more connections open than it keeps', async () => {
    const held = await holdConnections(Number(new URL(ops.url).port), 65);
    expect((await ask('/healthz')).status).to.equal(200);
    held.release();
  });

  it('survives a readiness that throws', async () => {
    readiness = () => {
      throw new Error('a bug');
    };
    expect(await ask('/readyz')).to.include({ status: 500, body: 'internal error\n' });
    expect((await ask('/healthz')).status).to.equal(200);
  });

  it('says in one sentence why it cannot listen', async () => {
    const { port } = new URL(ops.url);
    const second = await startOps({
      listen: { host: '127.0.0.1', port: Number(port) },
      readiness,
      metrics,
      log,
    });
    expect(!second.ok && second.fault.message).to.match(
      /^--metrics \(TUNNEL_METRICS\): cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });

  it('closes also while a client keeps its connection, and twice', async () => {
    const idle = await new Promise<Answer['status']>((resolve, reject) => {
      const asked = request(`${ops.url}/healthz`, { headers: { connection: 'keep-alive' } }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      asked.on('error', reject);
      asked.end();
    });
    expect(idle).to.equal(200);
    await Promise.all([ops.close(), ops.close()]);
    expect(await ask('/healthz').catch((error: NodeJS.ErrnoException) => error.code)).to.equal(
      'ECONNREFUSED',
    );
  });
});
