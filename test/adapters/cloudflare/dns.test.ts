import { expect } from 'chai';
import { createCloudflare } from '../../../src/cloudflare/adapter.ts';
import { burstCalls } from '../../../src/cloudflare/budget.ts';
import type { DnsRecords } from '../../../src/domain/ledger.ts';
import type { RecordContent } from '../../../src/sandbox/cloudflare-api/zone-store.ts';
import { eventually } from '../../support/eventually.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { codeOf, must, openStage, running, type Stage } from './stage.ts';

const tunnelId = '11111111-1111-4111-8111-111111111111';
const otherTunnel = '22222222-2222-4222-8222-222222222222';
const request = { host: 'app.example.com', tunnelId, identity: 'me', known: null };
const grants = { tunnels: true, dns: true, zones: true };

/** All records of a zone, one line each. */
function records(stage: Stage, zone = 'example.com'): string[] {
  const found = stage.api.zones.zones.find((candidate) => candidate.name === zone)!;
  return [...found.records.values()].map(
    ({ type, name, content, proxied }) => `${type} ${name} ${content}${proxied ? ' proxied' : ''}`,
  );
}

function seed(stage: Stage, content: Partial<RecordContent>, zone = stage.api.zones.zones[0]!): string {
  const base = {
    type: 'A',
    name: 'app.example.com',
    content: '192.0.2.1',
    proxied: false,
    ttl: 1,
    comment: null,
  };
  return stage.api.zones.put(zone, { ...base, tags: [], ...content }).id;
}

function published(known: DnsRecords, host = 'app.example.com', at = `_cloudflare-warp.${host}`): string[] {
  return [
    `CNAME ${host} ${tunnelId}.cfargotunnel.com proxied`,
    `TXT ${at} "heritage=cloudflare-warp-ingress,owner=me,host=${host},record=${known.cnameId}"`,
  ];
}

/** An adapter that may make one call at once, and then one each five minutes. */
function scarce({ api, mounted }: Stage) {
  const clock = new ManualClock();
  const made: string[] = [];
  const cloudflare = createCloudflare({
    credentials: () => ({ ok: true, value: mounted.now }),
    apiUrl: api.url,
    clock,
    processes: burstCalls,
    hooks: { called: (op) => made.push(op), tunnelsCounted: () => {} },
  });
  return {
    cloudflare,
    create: (name: string) => cloudflare.ensureTunnel({ host: name, name, identity: 'me' }, running()),
    /** The first so many calls, once they were made. */
    async calls(count: number): Promise<readonly string[]> {
      while (made.length < count) {
        const next = made.length + 1;
        await clock.advance(clock.nextTimerMs ?? 0);
        await eventually(`${next} calls`, () => made.length === next);
      }
      return made;
    },
  };
}

describe('DNS at Cloudflare', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('gets a proxied CNAME and the owner mark in two calls, once the zone and its marks are known', async () => {
    stage = await openStage();
    const { cloudflare, counted } = stage;
    const known = must(await cloudflare.ensureDns(request, running()));
    expect(records(stage)).to.deep.equal(published(known));
    expect(counted()).to.deep.equal(['zones.list 200', 'dns.list 200', 'dns.create 200', 'dns.create 200']);
    must(await cloudflare.ensureDns({ ...request, host: 'two.example.com' }, running()));
    expect(counted()).to.deep.equal(['dns.create 200', 'dns.create 200']);
  });

  it('is looked after in its turn where the ledger has records: the host may be without them', async () => {
    stage = await openStage();
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    const { cloudflare, create, calls } = scarce(stage);
    must(await create('warp-first'));
    const before = create('warp-before');
    const ensured = cloudflare.ensureDns({ ...request, known }, running());
    const after = create('warp-after');
    const made = await calls(5);
    expect(made).to.deep.equal(['tunnels.create', 'tunnels.create', 'dns.get', 'tunnels.create', 'dns.get']);
    must(await ensured);
    cloudflare.close();
    await Promise.all([before, after]);
  });

  it('costs two calls when the ledger’s records are as they should be, three when the one leads elsewhere', async () => {
    stage = await openStage();
    const { cloudflare, counted } = stage;
    const before = must(await cloudflare.ensureDns({ ...request, tunnelId: otherTunnel }, running()));
    counted();
    const known = must(await cloudflare.ensureDns({ ...request, known: before }, running()));
    expect(counted()).to.deep.equal(['dns.get 200', 'dns.get 200', 'dns.update 200']);
    must(await cloudflare.ensureDns({ ...request, known }, running()));
    expect(counted()).to.deep.equal(['dns.get 200', 'dns.get 200']);
    expect(records(stage)).to.deep.equal(published(known));
  });

  it('is the same again for a wildcard, an apex, and a host in the longer of two zones', async () => {
    stage = await openStage();
    const { cloudflare } = stage;
    const wild = must(await cloudflare.ensureDns({ ...request, host: '*.example.com' }, running()));
    const apex = must(await cloudflare.ensureDns({ ...request, host: 'example.com' }, running()));
    const deep = must(await cloudflare.ensureDns({ ...request, host: 'app.sub.example.com' }, running()));
    expect(records(stage)).to.deep.equal([
      ...published(wild, '*.example.com', '_cloudflare-warp._wildcard.example.com'),
      ...published(apex, 'example.com'),
    ]);
    expect(records(stage, 'sub.example.com')).to.deep.equal(published(deep, 'app.sub.example.com'));
    expect(stage.api.zones.tunnelForHost('any.example.com')).to.equal(tunnelId);
  });

  it('of somebody else is a conflict that names it, and stays as it is', async () => {
    stage = await openStage();
    seed(stage, {});
    const before = records(stage);
    const result = await stage.cloudflare.ensureDns(request, running());
    expect(codeOf(result)).to.equal('dns-conflict');
    expect(!result.ok && result.fault.message).to.include('app.example.com has a record A 192.0.2.1');
    expect(records(stage)).to.deep.equal(before);
  });

  it('is a conflict when the other record only shows at the write, and still does after a look', async () => {
    stage = await openStage();
    stage.api.faults.failNext({ count: 1, status: 400, code: 81053, matches: (method) => method === 'POST' });
    must(await stage.cloudflare.ensureDns(request, running()));
    const host = 'two.example.com';
    stage.api.faults.failNext({ count: 2, status: 400, code: 81053, matches: (method) => method === 'POST' });
    const before = records(stage);
    expect(codeOf(await stage.cloudflare.ensureDns({ ...request, host }, running()))).to.equal(
      'dns-conflict',
    );
    expect(records(stage)).to.deep.equal(before);
  });

  it('is finished by the next attempt when an answer was lost, at either write', async () => {
    for (const lost of ['CNAME', 'TXT']) {
      if (lost === 'TXT') await stage.close();
      stage = await openStage();
      let posts = 0;
      const isIt = (method: string): boolean => method === 'POST' && ++posts === (lost === 'CNAME' ? 1 : 2);
      stage.api.faults.loseAnswers(1, isIt);
      expect(codeOf(await stage.cloudflare.ensureDns(request, running()))).to.equal('cloudflare-unreachable');
      const known = must(await stage.cloudflare.ensureDns(request, running()));
      expect(records(stage)).to.deep.equal(published(known));
    }
  });

  it('comes back when somebody deleted it, and leaves alone what somebody put in its place', async () => {
    stage = await openStage();
    const zone = stage.api.zones.zones[0]!;
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    zone.records.delete(known.cnameId);
    const again = must(await stage.cloudflare.ensureDns({ ...request, known }, running()));
    expect(records(stage)).to.have.members(published(again));
    zone.records.delete(again.cnameId);
    seed(stage, { type: 'CNAME', content: 'theirs.example.net' });
    expect(codeOf(await stage.cloudflare.ensureDns({ ...request, known: again }, running()))).to.equal(
      'dns-conflict',
    );
    expect(records(stage)).to.include('CNAME app.example.com theirs.example.net');
  });

  it('gets its mark again when somebody deleted that', async () => {
    stage = await openStage();
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    stage.api.zones.zones[0]!.records.delete(known.txtId);
    const again = must(await stage.cloudflare.ensureDns({ ...request, known }, running()));
    expect(again.cnameId).to.equal(known.cnameId);
    expect(records(stage)).to.have.members(published(again));
  });

  it('is removed in three calls, as often as asked, and nothing else with it', async () => {
    stage = await openStage();
    const { cloudflare, counted } = stage;
    seed(stage, { name: 'other.example.com' });
    seed(stage, { type: 'TXT', name: '_cloudflare-warp.app.example.com', content: '"something else"' });
    const foreign = records(stage);
    const known = must(await cloudflare.ensureDns(request, running()));
    const removal = { host: request.host, tunnelId, identity: 'me', known };
    counted();
    must(await cloudflare.removeDns(removal, running()));
    expect(records(stage)).to.deep.equal(foreign);
    expect(counted()).to.deep.equal(['dns.list 200', 'dns.list 200', 'dns.batch 200']);
    must(await cloudflare.removeDns(removal, running()));
    must(await cloudflare.removeDns({ ...removal, known: null }, running()));
  });

  it('is removed with the CNAME first where a batch is refused, and whatever of it is gone already', async () => {
    stage = await openStage();
    const { api, cloudflare, counted } = stage;
    const zone = api.zones.zones[0]!;
    const known = must(await cloudflare.ensureDns(request, running()));
    counted();
    api.faults.failNext({
      count: 1,
      status: 404,
      code: 81044,
      matches: (_, path) => {
        if (!path.endsWith('/batch')) return false;
        return zone.records.delete(known.txtId);
      },
    });
    must(await cloudflare.removeDns({ host: request.host, tunnelId, identity: 'me', known }, running()));
    expect(records(stage)).to.deep.equal([]);
    expect(counted().slice(2)).to.deep.equal(['dns.batch 404', 'dns.delete 200', 'dns.delete 404']);
    expect(api.calls.at(-2)?.path.split('/').at(-1)).to.equal(known.cnameId);
  });

  it('of a hundred hosts at once costs two calls each and one look at the zone', async () => {
    stage = await openStage();
    const { cloudflare, counted } = stage;
    const hosts = Array.from({ length: 100 }, (_, index) => `h${index}.example.com`);
    const results = await Promise.all(
      hosts.map((host) => cloudflare.ensureDns({ ...request, host }, running())),
    );
    expect(results.filter((result) => !result.ok)).to.deep.equal([]);
    const calls = counted();
    expect(calls.filter((call) => call === 'dns.create 200')).to.have.length(200);
    expect(calls).to.have.length(202);
  });

  it('takes a full zone for full only after a look', async () => {
    stage = await openStage({ maxRecords: 2 });
    const { api, cloudflare } = stage;
    const full = { count: 1, status: 400, code: 81045, matches: (method: string) => method === 'POST' };
    const known = must(await cloudflare.ensureDns(request, running()));
    api.faults.failNext(full);
    expect(must(await cloudflare.ensureDns(request, running()))).to.deep.equal(known);
    const another = await cloudflare.ensureDns({ ...request, host: 'two.example.com' }, running());
    expect(codeOf(another)).to.equal('quota-exceeded');
  });

  it('is a conflict where another install’s mark stands alone, and finds its own such mark', async () => {
    for (const identity of ['me', 'you']) {
      if (identity === 'you') await stage.close();
      stage = await openStage();
      const content = `"heritage=cloudflare-warp-ingress,owner=${identity},host=app.example.com,record=gone"`;
      seed(stage, { type: 'TXT', name: '_cloudflare-warp.app.example.com', content });
      const before = records(stage);
      const result = await stage.cloudflare.ensureDns(request, running());
      expect(codeOf(result)).to.equal(identity === 'me' ? 'ok' : 'dns-conflict');
      expect(records(stage)).to.have.members(result.ok ? published(result.value) : before);
    }
  });

  it('is found by name and mark when the ledger had not learned of it yet', async () => {
    stage = await openStage();
    must(await stage.cloudflare.ensureDns(request, running()));
    must(
      await stage.cloudflare.removeDns(
        { host: request.host, tunnelId, identity: 'me', known: null },
        running(),
      ),
    );
    expect(records(stage)).to.deep.equal([]);
  });

  it('of another install is neither taken over nor removed', async () => {
    stage = await openStage();
    must(await stage.cloudflare.ensureDns(request, running()));
    const before = records(stage);
    const theirs = { ...request, identity: 'you', tunnelId: otherTunnel };
    const result = await stage.cloudflare.ensureDns(theirs, running());
    expect(codeOf(result)).to.equal('dns-conflict');
    expect(!result.ok && result.fault.message).to.include('of the install "me"');
    must(await stage.cloudflare.removeDns(theirs, running()));
    expect(records(stage)).to.deep.equal(before);
  });
});

describe('zones at Cloudflare', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('that do not cover a host are named; removing there is success', async () => {
    stage = await openStage();
    const host = 'app.elsewhere.org';
    const result = await stage.cloudflare.ensureDns({ ...request, host }, running());
    expect(!result.ok && result.fault).to.deep.equal({
      code: 'zone-unknown',
      message: `there is no zone for ${host}; the credentials see example.com, sub.example.com`,
    });
    must(await stage.cloudflare.removeDns({ ...request, host }, running()));
  });

  it('that another replica has found since are looked for before a removal believes that they are gone', async () => {
    const clock = new LeapingClock();
    stage = await openStage({}, clock);
    const { api, cloudflare } = stage;
    const host = 'app.example.net';
    must(await cloudflare.ensureDns(request, running()));
    const zone = api.zones.addZone(api.accountId, 'example.net');
    const cnameId = seed(stage, { type: 'CNAME', name: host, content: `${tunnelId}.cfargotunnel.com` }, zone);
    const known = { zoneId: zone.id, cnameId, txtId: 'gone' };
    clock.leap(30_000);
    must(await cloudflare.removeDns({ ...request, host, known }, running()));
    expect(records(stage, 'example.net')).to.deep.equal([]);
  });

  it('are read once for hosts that start together, over as many pages as there are', async () => {
    const zones = Array.from({ length: 60 }, (_, index) => `zone${index}.example.net`);
    stage = await openStage({ zones });
    const hosts = ['a.zone0.example.net', 'b.zone59.example.net', 'c.zone30.example.net'];
    const results = await Promise.all(
      hosts.map((host) => stage.cloudflare.ensureDns({ ...request, host }, running())),
    );
    expect(results.map(codeOf)).to.deep.equal(['ok', 'ok', 'ok']);
    expect(stage.counted().filter((call) => call.startsWith('zones.list'))).to.have.length(2);
  });

  it('are looked up for a removal before what waits to be created', async () => {
    stage = await openStage();
    const { cloudflare, create, calls } = scarce(stage);
    must(await create('warp-first'));
    const waiting = Array.from({ length: 20 }, (_, index) => create(`warp-${index}`));
    const removal = cloudflare.removeDns(request, running());
    const made = await calls(4);
    expect(made).to.deep.equal(['tunnels.create', 'zones.list', 'dns.list', 'dns.list']);
    must(await removal);
    cloudflare.close();
    await Promise.all(waiting);
  });

  it('that the token may not list leave the one of the cert.pem, if it may be read', async () => {
    stage = await openStage();
    const { api, mounted, cloudflare } = stage;
    api.setToken('narrow', { ...grants, zones: false });
    mounted.now = { ...mounted.now, apiToken: 'narrow', zoneId: api.zones.zones[0]!.id };
    const refused = await cloudflare.ensureDns(request, running());
    expect(codeOf(refused)).to.equal('credentials-invalid');
    expect(!refused.ok && refused.fault.message).to.include('Zone / Zone / Read');
    api.faults.failNext({ count: 1, status: 403, code: 9109, matches: (_, path) => path === '/zones' });
    mounted.now = { ...mounted.now, apiToken: api.token };
    must(await cloudflare.ensureDns(request, running()));
    expect(records(stage)).to.have.length(2);
  });

  it('without permission for their records are a matter of the credentials', async () => {
    stage = await openStage();
    stage.api.setToken('reader', { ...grants, dns: false });
    stage.mounted.now = { ...stage.mounted.now, apiToken: 'reader' };
    expect(codeOf(await stage.cloudflare.ensureDns(request, running()))).to.equal('credentials-invalid');
    const removal = await stage.cloudflare.removeDns(request, running());
    expect(codeOf(removal), 'not being allowed to look is not the same as gone').to.equal(
      'credentials-invalid',
    );
  });
});
