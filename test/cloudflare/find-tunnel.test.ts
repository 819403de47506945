import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { findTunnelToken, type TunnelWish } from '../../src/cloudflare/find-tunnel.ts';
import { tunnelName } from '../../src/domain/host.ts';
import { tokenClaims } from '../../src/domain/tunnel-token.ts';
import { type CloudflareApi, startCloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import { systemClock } from '../../src/time/clock.ts';

const host = 'app.example.com';

describe('the tunnel of a connector that has the certificate alone', () => {
  let api: CloudflareApi;
  let directory: string;
  let ids: ReadonlyMap<string, string>;
  const twice = 'twice.example.com';
  const ours = tunnelName('a', host);
  const uid = '6f1d2c3b-0a4e-4d5f-8a9b-0c1d2e3f4a5b';
  const shared = 'shared.example.com';
  const alone = 'alone.example.com';
  const unclear = 'unclear.example.com';

  before(async () => {
    api = await startCloudflareApi({ port: 0, zones: ['example.com'] });
    directory = await mkdtemp(join(tmpdir(), 'find-tunnel-'));
    await writeFile(join(directory, 'cert.pem'), api.certPem(), { mode: 0o600 });
    const names = [
      ours,
      'by-hand',
      tunnelName('a', twice),
      tunnelName('b', twice),
      tunnelName('a', `x.${host}`),
      tunnelName(uid, `my-${shared}`),
      tunnelName(uid, `other-${alone}`),
      tunnelName(`${uid}.blue`, alone),
      tunnelName('prod', `my-${unclear}`),
    ];
    ids = new Map(names.map((name) => [name, make(name)]));
  });
  after(async () => {
    await api.stop();
    await rm(directory, { recursive: true, force: true });
  });

  function make(name: string): string {
    const { accountId } = api;
    return api.tunnels.create({ accountId, name, secret: null, configSrc: 'local' }).id;
  }

  /** The tunnel that the token is of, or why there is none. */
  async function found(wish: Partial<TunnelWish>): Promise<string> {
    const certPath = join(directory, 'cert.pem');
    const all = { certPath, tunnel: null, host, apiUrl: api.url, clock: systemClock, ...wish };
    const before = api.calls.length;
    const token = await findTunnelToken(all, new AbortController().signal);
    const methods = new Set(api.calls.slice(before).map(({ method }) => method));
    expect([...methods].filter((method) => method !== 'GET')).to.deep.equal([]);
    return token.ok ? tokenClaims(token.value)!.tunnelId : token.fault.message;
  }

  it('is that of its host, whoever made it', async () => {
    expect(await found({})).to.equal(ids.get(ours));
  });

  it('is the one named, by name or by id in any case', async () => {
    expect(await found({ tunnel: 'by-hand' })).to.equal(ids.get('by-hand'));
    const id = ids.get('by-hand')!;
    expect(await found({ tunnel: id.toUpperCase() })).to.equal(id);
  });

  it('has to be named when several are for the host', async () => {
    const message = await found({ host: twice });
    expect(message).to.contain(tunnelName('a', twice)).and.to.contain(tunnelName('b', twice));
    expect(message).to.contain('expected --tunnel');
    const named = tunnelName('b', twice);
    expect(await found({ host: twice, tunnel: named })).to.equal(ids.get(named));
  });

  it('is not that of a host whose name ends as this one', async () => {
    expect(await found({ host: shared })).to.contain(`no tunnel for ${shared}`);
    expect(await found({ host: `my-${shared}` })).to.equal(ids.get(tunnelName(uid, `my-${shared}`)));
    expect(await found({ host: alone })).to.equal(ids.get(tunnelName(`${uid}.blue`, alone)));
  });

  it('has to be named when its name may be for another host, too', async () => {
    const name = tunnelName('prod', `my-${unclear}`);
    for (const either of [unclear, `my-${unclear}`]) {
      const message = await found({ host: either });
      expect(message).to.contain(name).and.to.contain('expected --tunnel');
    }
    expect(await found({ host: `my-${unclear}`, tunnel: name })).to.equal(ids.get(name));
  });

  it('is not made when there is none', async () => {
    expect(await found({ host: 'other.example.com' })).to.contain('no tunnel for other.example.com');
    expect(await found({ tunnel: 'app' })).to.contain('no tunnel named "app"');
  });

  it('is missed with a certificate that is not there, which is said', async () => {
    const certPath = join(directory, 'missing.pem');
    expect(await found({ certPath })).to.contain('missing.pem');
  });
});
