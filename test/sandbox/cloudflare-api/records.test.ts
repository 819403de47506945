import { expect } from 'chai';
import { type CloudflareApi, startCloudflareApi } from '../../../src/sandbox/cloudflare-api/server.ts';
import { ask } from './client.ts';

describe('the imitated API: records', () => {
  let api: CloudflareApi;
  let base: string;
  beforeEach(async () => {
    api = await startCloudflareApi({ port: 0, zones: ['example.com', 'sub.example.com'], maxRecords: 6 });
    base = `/zones/${api.zones.zones[0]!.id}/dns_records`;
  });
  afterEach(() => api.stop());

  const post = (body: object) => ask(api, 'POST', base, body);
  const a = { type: 'A', name: 'app.example.com', content: '192.0.2.1' };
  const cname = { type: 'CNAME', name: 'app.example.com', content: 'x.cfargotunnel.com', proxied: true };

  it('are created, read, changed, replaced and deleted', async () => {
    const made = (await post({ ...cname, comment: 'by hand' })).result;
    expect(made).to.include({
      name: 'app.example.com',
      proxied: true,
      proxiable: true,
      ttl: 1,
      comment: 'by hand',
    });
    const patched = (await ask(api, 'PATCH', `${base}/${made.id}`, { content: 'y.example.net' })).result;
    expect(patched).to.include({ id: made.id, content: 'y.example.net', proxied: true, comment: 'by hand' });
    const put = (await ask(api, 'PUT', `${base}/${made.id}`, a)).result;
    expect(put).to.include({ id: made.id, type: 'A', proxied: false, comment: null });
    expect((await ask(api, 'GET', `${base}/${made.id}`)).result).to.deep.equal(put);
    expect((await ask(api, 'DELETE', `${base}/${made.id}`)).result).to.deep.equal({ id: made.id });
    expect((await ask(api, 'DELETE', `${base}/${made.id}`)).codes).to.deep.equal([81044]);
    expect((await ask(api, 'GET', `${base}/${made.id}`)).status).to.equal(404);
  });

  const refused: readonly [string, object, object, number][] = [
    ['a CNAME beside an A', a, cname, 81053],
    ['a CNAME beside another', cname, { ...cname, content: 'other.example.net' }, 81053],
    ['an A beside a CNAME', cname, a, 81054],
    ['the same record twice', a, a, 81058],
    ['a CNAME beside a delegation', { ...a, type: 'NS', content: 'ns.example.net' }, cname, 81056],
    ['an A that is no address', cname, { ...a, name: 'b', content: 'nowhere' }, 1004],
    ['a record without content', cname, { type: 'TXT', name: 'b' }, 1004],
    ['a CNAME to itself', a, { ...cname, name: 'b', content: 'b.example.com' }, 1004],
    ['an unknown type', a, { ...a, type: 'WORD' }, 9004],
    ['a name that is none', a, { ...a, name: 'a b' }, 9000],
    ['a TTL of 7 seconds', a, { ...a, name: 'b', ttl: 7 }, 9021],
    ['a proxied TXT', a, { type: 'TXT', name: 'b', content: '"x"', proxied: true }, 9041],
    ['a comment of 101 characters', a, { ...a, name: 'b', comment: 'x'.repeat(101) }, 9208],
    ['no object', a, [], 9207],
  ];
  for (const [what, before, body, code] of refused) {
    it(`refuse ${what} (${code})`, async () => {
      await post(before);
      const reply = await post(body);
      expect([reply.status, ...reply.codes]).to.deep.equal([400, code]);
      expect(api.zones.zones[0]!.records.size).to.equal(1);
    });
  }

  it('are changed by a batch in the order deletes, patches, puts, posts', async () => {
    const old = (await post(cname)).result;
    const kept = (await post({ ...a, name: 'b', comment: 'by hand' })).result;
    const whole = (await post({ ...a, name: 'c', comment: 'by hand' })).result;
    const reply = await ask(api, 'POST', `${base}/batch`, {
      posts: [a, { ...a, content: '192.0.2.2' }],
      puts: [{ id: whole.id, type: 'A', name: 'c.example.com', content: '192.0.2.3' }],
      patches: [{ id: kept.id, content: '192.0.2.4' }],
      deletes: [{ id: old.id }],
    });
    expect(reply.status).to.equal(200);
    expect(reply.result.deletes).to.deep.equal([old]);
    expect(reply.result.patches[0]).to.include({ id: kept.id, content: '192.0.2.4', comment: 'by hand' });
    expect(reply.result.puts[0]).to.include({ id: whole.id, content: '192.0.2.3', comment: null });
    expect(reply.result.posts.map((record: { content: string }) => record.content)).to.deep.equal([
      '192.0.2.1',
      '192.0.2.2',
    ]);
    expect((await ask(api, 'GET', base)).result).to.deep.equal([
      ...reply.result.patches,
      ...reply.result.puts,
      ...reply.result.posts,
    ]);
  });

  it('are as before after a batch of which one change is refused, whose error is the answer', async () => {
    const first = (await post(a)).result;
    const second = (await post({ ...a, content: '192.0.2.2' })).result;
    const refusals: readonly [object, number, number][] = [
      [{ deletes: [{ id: first.id }, { id: 'unknown' }] }, 404, 81044],
      [{ deletes: [{ id: first.id }], patches: [{ id: first.id, ttl: 60 }] }, 404, 81044],
      [{ deletes: [{ id: first.id }], posts: [cname] }, 400, 81053],
      [{ patches: [{ id: first.id, content: '192.0.2.3' }], posts: [{ ...a, ttl: 7 }] }, 400, 9021],
      [{ deletes: { id: first.id } }, 400, 9207],
      [{ deletes: [{ id: first.id }], posts: Array(200).fill(a) }, 400, 9207],
    ];
    for (const [body, status, code] of refusals) {
      const reply = await ask(api, 'POST', `${base}/batch`, body);
      expect([reply.status, ...reply.codes]).to.deep.equal([status, code]);
      expect((await ask(api, 'GET', base)).result).to.deep.equal([first, second]);
    }
  });

  it('may stand beside each other where DNS at Cloudflare allows it', async () => {
    await post(cname);
    for (const body of [
      { type: 'TXT', name: cname.name, content: '"x"' },
      { type: 'MX', name: cname.name, content: 'mx.example.net', priority: 1 },
    ]) {
      expect((await post(body)).status).to.equal(200);
    }
  });

  it('get the zone appended to a name outside of it', async () => {
    expect((await post({ ...a, name: '@' })).result.name).to.equal('example.com');
    expect((await post({ ...a, name: '*' })).result.name).to.equal('*.example.com');
    expect((await post({ ...a, name: 'app.notexample.com' })).result.name).to.equal(
      'app.notexample.com.example.com',
    );
  });

  it('end at the zone’s quota', async () => {
    for (let index = 0; index < 6; index++) await post({ ...a, name: `h${index}` });
    expect((await post({ ...a, name: 'more' })).codes).to.deep.equal([81045]);
  });

  it('are listed by filter and page', async () => {
    await post(a);
    await post({ ...a, name: 'b.example.com', content: '192.0.2.2', comment: 'Mine' });
    await post({ type: 'TXT', name: 'b.example.com', content: '"Heritage=x"' });
    const ids = async (query: string): Promise<string[]> =>
      (await ask(api, 'GET', `${base}?${query}`)).result.map(
        (record: { type: string; name: string }) => `${record.type} ${record.name.split('.')[0]}`,
      );
    expect(await ids('')).to.deep.equal(['A app', 'A b', 'TXT b']);
    expect(await ids('type=TXT')).to.deep.equal(['TXT b']);
    expect(await ids('name=B.example.com')).to.deep.equal(['A b', 'TXT b']);
    expect(await ids('name.exact=app.example.com')).to.deep.equal(['A app']);
    expect(await ids('name.startswith=b.&type=A')).to.deep.equal(['A b']);
    expect(await ids('content.contains=heritage')).to.deep.equal(['TXT b']);
    expect(await ids('comment.endswith=ine')).to.deep.equal(['A b']);
    expect(await ids('match=any&type=TXT&name.exact=app.example.com')).to.deep.equal(['A app', 'TXT b']);
    expect(await ids('order=name&direction=desc&type=A')).to.deep.equal(['A b', 'A app']);
    expect(await ids('per_page=2&page=2')).to.deep.equal(['TXT b']);
  });

  it('lead a public name to its tunnel by the closest proxied record', async () => {
    const to = (id: string) => ({ type: 'CNAME', content: `${id}.cfargotunnel.com`, proxied: true });
    await post({ ...to('wild'), name: '*.example.com' });
    await post({ ...to('app'), name: 'app.example.com' });
    await post({ ...to('grey'), name: 'grey.example.com', proxied: false });
    await post({ ...a, name: 'a.example.com', proxied: true });
    const lead = Object.fromEntries(
      ['app', 'any', 'grey', 'a'].map((label) => [label, api.zones.tunnelForHost(`${label}.example.com`)]),
    );
    expect(lead).to.deep.equal({ app: 'app', any: 'wild', grey: null, a: null });
    expect(api.zones.tunnelForHost('example.com')).to.equal(null);
    expect(api.zones.tunnelForHost('any.sub.example.com'), 'another zone').to.equal(null);
    expect(api.zones.tunnelForHost('elsewhere.org')).to.equal(null);
  });
});
