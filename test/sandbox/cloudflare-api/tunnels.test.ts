import { expect } from 'chai';
import { type CloudflareApi, startCloudflareApi } from '../../../src/sandbox/cloudflare-api/server.ts';
import type { TunnelConnection } from '../../../src/sandbox/cloudflare-api/tunnel-store.ts';
import { ask } from './client.ts';

const secret = Buffer.alloc(32, 7).toString('base64');

function connection(id: string, clientId: string): TunnelConnection {
  const openedAtMs = Date.UTC(2026, 0, 1);
  const about = { coloName: 'SBX', originIp: '127.0.0.1', openedAtMs, version: '1', arch: 'linux_amd64' };
  return { id, clientId, ...about, features: ['serialized_headers'] };
}

describe('the imitated API: tunnels', () => {
  let api: CloudflareApi;
  let base: string;
  beforeEach(async () => {
    api = await startCloudflareApi({ port: 0, zones: ['example.com'], maxTunnels: 5 });
    base = `/accounts/${api.accountId}/cfd_tunnel`;
  });
  afterEach(() => api.stop());

  const create = (name: string) => ask(api, 'POST', base, { name, tunnel_secret: secret });

  it('are created with a token of account, id and secret', async () => {
    const { status, result, envelope } = await create('one');
    expect(status).to.equal(200);
    expect(envelope).to.include({ success: true });
    expect(envelope.messages, 'cloudflared decodes strings').to.deep.equal([]);
    expect(JSON.parse(Buffer.from(result.token, 'base64').toString())).to.deep.equal({
      a: api.accountId,
      t: result.id,
      s: secret,
    });
    expect((await ask(api, 'GET', `${base}/${result.id}/token`)).result).to.equal(result.token);
    expect(result).to.include({ name: 'one', deleted_at: null, config_src: 'local', status: 'inactive' });
  });

  it('are refused with a taken name, a UUID for a name, no name, or a short secret', async () => {
    await create('one');
    const twin = await create('one');
    expect([twin.status, ...twin.codes]).to.deep.equal([409, 1013]);
    expect(twin.headers.get('content-type'), 'cloudflared wants exactly this').to.equal('application/json');
    for (const body of [
      { name: '11111111-1111-4111-8111-111111111111' },
      { name: ' ' },
      {},
      [],
      { name: 'two', tunnel_secret: 'c2hvcnQ=' },
      { name: 'two', config_src: 'elsewhere' },
    ]) {
      expect((await ask(api, 'POST', base, body)).status, JSON.stringify(body)).to.equal(400);
    }
    expect((await ask(api, 'POST', base, '{"name":')).codes).to.deep.equal([9207]);
  });

  it('are refused beyond the account’s limit, which deleted ones do not count against', async () => {
    for (let index = 0; index < 5; index++) await create(`t${index}`);
    expect((await create('more')).status).to.equal(403);
    const [first] = api.tunnels.live(api.accountId);
    await ask(api, 'DELETE', `${base}/${first!.id}`);
    expect((await create('more')).status).to.equal(200);
  });

  it('are listed by filter and page', async () => {
    for (const name of ['a1', 'a2', 'b1']) await create(name);
    await ask(api, 'DELETE', `${base}/${(await create('a3')).result.id}`);
    const names = async (query: string): Promise<string[]> =>
      (await ask(api, 'GET', `${base}?${query}`)).result.map((tunnel: { name: string }) => tunnel.name);
    expect(await names('')).to.deep.equal(['a1', 'a2', 'b1', 'a3']);
    expect(await names('is_deleted=false')).to.deep.equal(['a1', 'a2', 'b1']);
    expect(await names('is_deleted=true')).to.deep.equal(['a3']);
    expect(await names('name=a2')).to.deep.equal(['a2']);
    expect(await names('include_prefix=a&is_deleted=false')).to.deep.equal(['a1', 'a2']);
    expect(await names('exclude_prefix=a')).to.deep.equal(['b1']);
    expect(await names(`uuid=${api.tunnels.list(api.accountId)[2]!.id}`)).to.deep.equal(['b1']);
    const second = await ask(api, 'GET', `${base}?is_deleted=false&per_page=2&page=2`);
    expect(second.info).to.deep.equal({ page: 2, per_page: 2, count: 1, total_count: 3, total_pages: 2 });
  });

  it('with connections are deleted only by cascade, and the edge hears of it', async () => {
    const { id } = (await create('one')).result;
    const revoked: (string | null)[] = [];
    api.tunnels.onRevoked((_, clientId) => revoked.push(clientId));
    expect(api.tunnels.connectionOpened(id, connection('c1', 'k1'))).to.equal(true);
    expect((await ask(api, 'DELETE', `${base}/${id}`)).codes).to.deep.equal([1022]);
    expect((await ask(api, 'DELETE', `${base}/${id}?cascade=true`)).status).to.equal(200);
    expect(revoked).to.deep.equal([null]);
    expect((await ask(api, 'GET', `${base}/${id}`)).result.deleted_at).to.be.a('string');
    expect((await ask(api, 'DELETE', `${base}/${id}`)).status).to.equal(404);
    expect(api.tunnels.connectionOpened(id, connection('c2', 'k1')), 'a deleted tunnel').to.equal(false);
  });

  it('show the connections that the edge reports, grouped by connector', async () => {
    const { id } = (await create('one')).result;
    api.tunnels.connectionOpened(id, connection('c1', 'k1'));
    api.tunnels.connectionOpened(id, connection('c2', 'k1'));
    api.tunnels.connectionOpened(id, connection('c3', 'k2'));
    const connectors = async (): Promise<string[]> =>
      (await ask(api, 'GET', `${base}/${id}/connections`)).result.map(
        (one: { id: string; conns: { id: string }[] }) => `${one.id}: ${one.conns.map((conn) => conn.id)}`,
      );
    expect(await connectors()).to.deep.equal(['k1: c1,c2', 'k2: c3']);
    expect((await ask(api, 'GET', `${base}/${id}`)).result.status).to.equal('healthy');
    api.tunnels.connectionClosed(id, 'c1');
    await ask(api, 'DELETE', `${base}/${id}/connections?client_id=k2`);
    expect(await connectors()).to.deep.equal(['k1: c2']);
    await ask(api, 'DELETE', `${base}/${id}/connections`);
    expect(await connectors()).to.deep.equal([]);
  });

  it('are routed by cloudflared’s own call', async () => {
    const zone = api.zones.zones[0]!;
    const [one, two] = [(await create('one')).result.id, (await create('two')).result.id];
    const route = async (id: string, host: string, overwrite = false) => {
      const body = { type: 'dns', user_hostname: host, overwrite_existing: overwrite };
      return ask(api, 'PUT', `/zones/${zone.id}/tunnels/${id}/routes`, body);
    };
    expect((await route(one, 'app.example.com')).result).to.deep.equal({
      cname: 'new',
      name: 'app.example.com',
    });
    expect((await route(one, 'app.example.com')).result.cname).to.equal('unchanged');
    expect((await route(two, 'app.example.com')).codes).to.deep.equal([1003]);
    expect(api.zones.tunnelForHost('app.example.com')).to.equal(one);
    expect((await route(two, 'app.example.com', true)).result.cname).to.equal('updated');
    expect(api.zones.tunnelForHost('App.Example.com')).to.equal(two);
    expect((await route(two, 'app.other.test')).result.name).to.equal('app.other.test.example.com');
    expect((await route('33333333-3333-4333-8333-333333333333', 'x.example.com')).status).to.equal(404);
  });
});
