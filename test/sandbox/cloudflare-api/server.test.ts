import { expect } from 'chai';
import { parseCertPem } from '../../../src/cloudflare/cert-pem.ts';
import {
  type CloudflareApi,
  type CloudflareApiSettings,
  startCloudflareApi,
} from '../../../src/sandbox/cloudflare-api/server.ts';
import { eventually } from '../../support/eventually.ts';
import { ask } from './client.ts';

describe('the imitated API', () => {
  let api: CloudflareApi;
  afterEach(() => api.stop());

  async function start(settings: Partial<CloudflareApiSettings> = {}): Promise<void> {
    api = await startCloudflareApi({ port: 0, zones: ['example.com', 'example.org'], ...settings });
  }

  it('answers only who has a token, and each as far as it is granted', async () => {
    await start();
    const none = await ask(api, 'GET', '/zones', undefined, null);
    expect([none.status, ...none.codes]).to.deep.equal([400, 6003]);
    const wrong = await ask(api, 'GET', '/zones', undefined, 'wrong');
    expect([wrong.status, ...wrong.codes]).to.deep.equal([403, 10000]);
    expect((await ask(api, 'GET', '/user/tokens/verify', undefined, 'wrong')).status).to.equal(401);
    expect((await ask(api, 'GET', '/user/tokens/verify')).result.status).to.equal('active');

    api.setToken('narrow', { tunnels: false, dns: false, zones: false });
    const zone = api.zones.zones[0]!.id;
    const denied = [`/accounts/${api.accountId}/cfd_tunnel`, `/zones/${zone}`, `/zones/${zone}/dns_records`];
    for (const path of denied) {
      expect((await ask(api, 'GET', path, undefined, 'narrow')).codes, path).to.deep.equal([10000]);
    }
    expect((await ask(api, 'GET', '/zones', undefined, 'narrow')).result).to.deep.equal([]);
    api.setToken('narrow', null);
    expect((await ask(api, 'GET', '/zones', undefined, 'narrow')).status).to.equal(403);
  });

  it('lists zones by name and account, and knows which account is its own', async () => {
    await start();
    const names = async (query: string): Promise<string[]> =>
      (await ask(api, 'GET', `/zones${query}`)).result.map((zone: { name: string }) => zone.name);
    expect(await names('')).to.deep.equal(['example.com', 'example.org']);
    expect(await names('?name=example.org')).to.deep.equal(['example.org']);
    expect(await names('?account.id=other')).to.deep.equal([]);
    expect((await ask(api, 'GET', '/accounts')).result[0].id).to.equal(api.accountId);
    expect((await ask(api, 'GET', '/accounts/other/cfd_tunnel')).status).to.equal(403);
    expect((await ask(api, 'GET', '/zones/unknown/dns_records')).codes).to.deep.equal([7003]);
    expect((await ask(api, 'GET', '/nowhere')).codes).to.deep.equal([7000]);
  });

  it('blocks a credential for five minutes after its calls are used up, and no other', async () => {
    let nowMs = 0;
    await start({ callsPerFiveMinutes: 3, now: () => nowMs });
    api.setToken('other', { tunnels: true, dns: true, zones: true });
    for (let call = 0; call < 3; call++) {
      nowMs += 1_000;
      expect((await ask(api, 'GET', '/zones')).headers.get('ratelimit')).to.match(
        new RegExp(`r=${2 - call};`),
      );
    }
    const over = await ask(api, 'GET', '/zones');
    expect([over.status, ...over.codes, over.headers.get('retry-after')]).to.deep.equal([429, 971, '300']);
    nowMs += 299_500;
    expect((await ask(api, 'GET', '/zones')).headers.get('retry-after')).to.equal('1');
    expect((await ask(api, 'GET', '/zones', undefined, 'other')).status).to.equal(200);
    nowMs += 500;
    expect((await ask(api, 'GET', '/zones')).status).to.equal(200);
  });

  it('fails as it is told to, and then no more', async () => {
    await start();
    const posts = (method: string): boolean => method === 'POST';
    api.faults.failNext({ count: 2, status: 503, retryAfterSeconds: 9 });
    api.faults.failNext({ count: 1, status: 400, code: 81053, matches: posts });
    for (let call = 0; call < 2; call++) {
      const reply = await ask(api, 'GET', '/zones');
      expect([reply.status, reply.headers.get('retry-after')]).to.deep.equal([503, '9']);
    }
    expect((await ask(api, 'GET', '/zones')).status).to.equal(200);
    const records = `/zones/${api.zones.zones[0]!.id}/dns_records`;
    const txt = { type: 'TXT', name: 'x', content: '"x"' };
    expect((await ask(api, 'POST', records, txt)).codes).to.deep.equal([81053]);
    api.faults.loseAnswers(1, posts);
    const lost = await ask(api, 'POST', records, txt).catch(() => 'cut');
    expect(lost).to.equal('cut');
    expect((await ask(api, 'GET', records)).info.total_count, 'it was done all the same').to.equal(1);
    api.faults.outage = true;
    expect(await ask(api, 'GET', '/zones').catch(() => 'cut')).to.equal('cut');
    api.faults.clear();
    expect((await ask(api, 'GET', '/zones')).status).to.equal(200);
    expect(api.calls.map((call) => call.status)).to.deep.equal([503, 503, 200, 400, 0, 200, 0, 200]);
  });

  it('hears calls and never answers them while it hangs', async () => {
    await start();
    api.faults.hang = true;
    const hanging = ask(api, 'GET', '/zones').then(
      () => 'answered',
      () => 'cut',
    );
    await eventually('heard', () => api.calls.length === 1);
    api.faults.clear();
    expect((await ask(api, 'GET', '/zones')).status, 'the next one is answered').to.equal(200);
    await api.stop();
    expect(await hanging, 'and the one before never was').to.equal('cut');
  });

  it('refuses a body that is too large', async () => {
    await start();
    const path = `/accounts/${api.accountId}/cfd_tunnel`;
    expect((await ask(api, 'POST', path, { name: 'x'.repeat(1 << 20) })).status).to.equal(413);
  });

  it('writes a cert.pem for any of its zones', async () => {
    await start();
    const cert = parseCertPem(api.certPem('example.org'));
    expect(cert.ok && cert.value).to.deep.equal({
      accountId: api.accountId,
      zoneId: api.zones.zones[1]!.id,
      apiToken: api.token,
      endpoint: '',
    });
  });

  it('stops at once, even in the middle of a delayed answer', async () => {
    await start();
    api.faults.delayMs = 3_600_000;
    const hanging = ask(api, 'GET', '/zones').catch(() => 'cut');
    await new Promise((resolve) => setImmediate(resolve));
    await api.stop();
    expect(await hanging).to.equal('cut');
  });
});
