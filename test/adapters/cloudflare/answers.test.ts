import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type CloudflareAdapter, createCloudflare } from '../../../src/cloudflare/adapter.ts';
import { maxAnswerBytes } from '../../../src/cloudflare/envelope-fetch.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { codeOf, running } from './stage.ts';

const request = { host: 'app.example.com', name: 'warp-me-app.example.com', identity: 'me' };

describe('answers that are not what Cloudflare says they are', () => {
  let server: Server;
  let cloudflare: CloudflareAdapter;
  let calls: number;

  async function answering(listener: RequestListener): Promise<void> {
    calls = 0;
    server = createServer((incoming, response) => {
      calls++;
      listener(incoming, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const credentials = {
      accountId: 'account',
      apiToken: 'hidden-token',
      zoneId: null,
      apiUrl: null,
    };
    cloudflare = createCloudflare({
      credentials: () => ({ ok: true, value: credentials }),
      apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      clock: systemClock,
      random: () => 0,
    });
  }

  afterEach(async () => {
    cloudflare.close();
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  });

  const json = { 'content-type': 'application/json' };
  const cases: readonly [string, RequestListener, string][] = [
    ['a page of HTML', (_, response) => response.end('<html>'), 'cloudflare-refused'],
    [
      'JSON that is cut off',
      (_, response) => response.writeHead(200, json).end('{"result": ['),
      'cloudflare-refused',
    ],
    ['nothing at all', (_, response) => response.writeHead(204).end(), 'cloudflare-refused'],
    ['null', (_, response) => response.writeHead(200, json).end('null'), 'cloudflare-refused'],
    [
      'a success that says it is none',
      (_, response) =>
        response
          .writeHead(200, json)
          .end('{"success":false,"errors":[{"code":10000,"message":"no"}],"result":null}'),
      'credentials-invalid',
    ],
    [
      'errors of a strange shape',
      (_, response) => response.writeHead(400, json).end('{"success":false,"errors":[null,{"code":"x"},7]}'),
      'cloudflare-refused',
    ],
    [
      'an error page',
      (_, response) => response.writeHead(403).end('<html>blocked</html>'),
      'credentials-invalid',
    ],
  ];
  for (const [what, listener, code] of cases) {
    it(`${what}: ${code}`, async () => {
      await answering(listener);
      const result = await cloudflare.ensureTunnel(request, running());
      expect(codeOf(result)).to.equal(code);
      expect(JSON.stringify(result)).not.to.include('hidden-token');
    });
  }

  it('without an end are cut off, not collected', async () => {
    await answering((_, response) => {
      response.writeHead(200, json);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1 << 20)));
      };
      response.on('drain', more);
      more();
    });
    const removal = { name: 'x', tunnel: null, force: false };
    const result = await cloudflare.removeTunnel(removal, running());
    expect(codeOf(result)).to.equal('cloudflare-unreachable');
    expect(!result.ok && result.fault.message).to.include(`larger than ${maxAnswerBytes} bytes`);
  });

  it('that ignore filters and pages lead to nothing foreign and to no endless reading', async () => {
    const foreign = Array.from({ length: 150 }, (_, index) => ({ id: `id${index}`, name: `other${index}` }));
    await answering((incoming, response) => {
      const result = incoming.method === 'GET' ? foreign : { id: 'made', name: 'x' };
      response.writeHead(200, json).end(JSON.stringify({ success: true, errors: [], messages: [], result }));
    });
    expect(
      codeOf(await cloudflare.removeTunnel({ name: request.name, tunnel: null, force: false }, running())),
    ).to.equal('ok');
    expect(calls, 'one look, no deletion').to.equal(1);
  });

  it('that hold records of other names neither are conflicts nor are removed', async () => {
    const tunnelId = '11111111-1111-4111-8111-111111111111';
    const records = [
      { id: 'r1', type: 'A', name: 'other.example.com', content: '192.0.2.1' },
      {
        id: 'r2',
        type: 'CNAME',
        name: 'two.example.com',
        content: `${tunnelId}.cfargotunnel.com`,
        proxied: true,
      },
    ];
    const writes: string[] = [];
    await answering((incoming, response) => {
      if (incoming.method !== 'GET') writes.push(`${incoming.method} ${incoming.url?.split('?')[0]}`);
      const zones = incoming.url?.startsWith('/zones?');
      const list = zones ? [{ id: 'zone', name: 'example.com' }] : records;
      const result = incoming.method === 'POST' ? { id: `w${writes.length}`, type: 'X', name: 'x' } : list;
      response.writeHead(200, json).end(JSON.stringify({ success: true, errors: [], messages: [], result }));
    });
    const wish = { host: request.host, tunnelId, identity: 'me', known: null };
    const published = await cloudflare.ensureDns(wish, running());
    expect(published).to.deep.equal({ ok: true, value: { zoneId: 'zone', cnameId: 'w1', txtId: 'w2' } });
    expect(codeOf(await cloudflare.removeDns(wish, running()))).to.equal('ok');
    expect(writes).to.deep.equal(['POST /zones/zone/dns_records', 'POST /zones/zone/dns_records']);
  });
});
