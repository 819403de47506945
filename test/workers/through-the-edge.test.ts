import { once } from 'node:events';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { assert } from 'chai';
import type { RunFact } from '../../src/actors/ports.ts';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import { createThreadRunner, type ThreadRunner } from '../../src/runners/thread-runner.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { type Edge, startEdge } from '../../src/sandbox/edge/edge.ts';
import { systemClock } from '../../src/time/clock.ts';
import { eventually } from '../support/eventually.ts';
import { keptLog } from '../support/kept-log.ts';

const secret = Buffer.alloc(32, 5);
const hosts = ['one.example.com', 'two.example.com'];
const tunnelIds = ['11111111-2222-4333-8444-555555555555', '66666666-7777-4888-8999-aaaaaaaaaaaa'];

describe('threads behind the sandbox edge', () => {
  let edge: Edge;
  let origin: Server;
  let runner: ThreadRunner;

  beforeEach(async () => {
    origin = createServer((request, response) => response.end(`origin of ${request.headers.host}`));
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    edge = await startEdge({
      authority: createAuthority('edge'),
      checkTunnel: (_, tunnelId) => (tunnelIds.includes(tunnelId) ? { secret } : null),
      tunnelOf: (host) => tunnelIds[hosts.indexOf(host)] ?? null,
    });
    runner = createThreadRunner({
      clock: systemClock,
      log: keptLog().log,
      logLevel: 'error',
      accessCertsUrl: null,
      edge: { addresses: [edge.tunnelAddress], ca: edge.caPem },
      graceMs: 2000,
      cores: 2,
      maxThreads: 2,
      tunnelsPerThread: 1,
      workerFile: new URL('../support/misbehaving-thread.js', import.meta.url),
      onCounts: () => {},
      onThread: () => {},
    });
  });

  afterEach(async () => {
    await runner.close();
    await edge.stop();
    origin.closeAllConnections();
    origin.close();
  });

  function start(index: number) {
    const facts: RunFact[] = [];
    const fields = { a: 'account', t: tunnelIds[index], s: secret.toString('base64') };
    const addresses = [{ host: '127.0.0.1', port: (origin.address() as AddressInfo).port }];
    const run = runner.start(
      {
        host: hosts[index] as string,
        ingress: 'web',
        tunnel: {
          accountId: 'account',
          id: tunnelIds[index] as string,
          token: Buffer.from(JSON.stringify(fields)).toString('base64'),
        },
        haConnections: 4,
        place: { mode: 'worker' },
        routes: {
          host: hosts[index] as string,
          routes: [
            {
              path: '/',
              match: 'prefix',
              target: { kind: 'origin', origin: { addresses, settings: defaultOriginSettings, ca: null } },
            },
          ],
          access: null,
        },
      },
      (fact) => facts.push(fact),
    );
    return { run, facts };
  }

  function page(host: string): Promise<string> {
    return new Promise((resolve, reject) => {
      get(edge.frontUrl, { headers: { host } }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        resolve(`${response.statusCode} ${Buffer.concat(chunks).toString()}`);
      }).on('error', reject);
    });
  }

  it('carry requests over four connections; a dead thread fails not one request of another', async () => {
    const [one, two] = [start(0), start(1)];
    await eventually('all registered', () => edge.connections().length === 8);
    assert.strictEqual(await page(hosts[0] as string), '200 origin of one.example.com');
    const answers: string[] = [];
    let pulling = true;
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (pulling) answers.push(await page(hosts[1] as string));
      }),
    );
    await eventually('under load', () => answers.length > 20);
    one.run.updateRoutes({ host: 'exits.test', routes: [], access: null });
    await eventually('ended', () => one.facts.at(-1)?.type === 'ended');
    const before = answers.length;
    await eventually('still under load', () => answers.length > before + 20);
    pulling = false;
    await load;
    assert.deepEqual([...new Set(answers)], ['200 origin of two.example.com']);
    assert.isFalse(two.facts.some(({ type }) => type === 'ended' || type === 'lost'));
    await eventually('only its connections are gone', () => edge.connections().length === 4);
    start(0);
    await eventually('served again', () => edge.connections().length === 8);
    assert.strictEqual(await page(hosts[0] as string), '200 origin of one.example.com');
  });
});
