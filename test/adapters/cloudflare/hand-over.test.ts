import { expect } from 'chai';
import { must, openStage, running, type Stage } from './stage.ts';

const tunnelId = '11111111-1111-4111-8111-111111111111';
const otherTunnel = '22222222-2222-4222-8222-222222222222';
const ours = (host: string) => ({ host, tunnelId, identity: 'me', known: null });

function put(stage: Stage, type: string, name: string, content: string, zoneIndex = 0): void {
  const zone = stage.api.zones.zones[zoneIndex]!;
  const base = { proxied: false, ttl: 1, comment: null, tags: [] };
  stage.api.zones.put(zone, { ...base, type, name, content });
}

function lines(stage: Stage): string[] {
  return stage.api.zones.zones.flatMap((zone) =>
    [...zone.records.values()].map(({ type, name, content }) => `${zone.name}: ${type} ${name} ${content}`),
  );
}

describe('records that are handed over, or share their zone with others', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('leave a record to its user who has led it elsewhere: only our mark goes', async () => {
    stage = await openStage();
    const request = ours('app.example.com');
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    const zone = stage.api.zones.zones[0]!;
    for (const content of ['www.example.net', `${otherTunnel}.cfargotunnel.com`]) {
      stage.api.zones.put(
        zone,
        { ...zone.records.get(known.cnameId)!, content },
        zone.records.get(known.cnameId),
      );
      must(await stage.cloudflare.removeDns({ ...request, known }, running()));
      expect(zone.records.get(known.cnameId)?.content).to.equal(content);
    }
    expect(lines(stage)).to.deep.equal([
      `example.com: CNAME app.example.com ${otherTunnel}.cfargotunnel.com`,
    ]);
  });

  it('leave what a user has put in the place of ours, also with the old mark beside it', async () => {
    stage = await openStage();
    const request = ours('app.example.com');
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    stage.api.zones.zones[0]!.records.delete(known.cnameId);
    put(stage, 'A', 'app.example.com', '192.0.2.1');
    must(await stage.cloudflare.removeDns({ ...request, known }, running()));
    expect(lines(stage)).to.deep.equal(['example.com: A app.example.com 192.0.2.1']);
  });

  it('stand at an apex beside NS, MX and TXT, which stay when they go', async () => {
    stage = await openStage();
    put(stage, 'NS', 'example.com', 'ns.example.net');
    put(stage, 'MX', 'example.com', 'mx.example.net');
    put(stage, 'TXT', 'example.com', '"v=spf1 -all"');
    const before = lines(stage);
    const request = ours('example.com');
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    expect(lines(stage)).to.include(`example.com: CNAME example.com ${tunnelId}.cfargotunnel.com`);
    must(await stage.cloudflare.removeDns({ ...request, known }, running()));
    expect(lines(stage)).to.deep.equal(before);
  });

  it('of a wildcard go without those of the hosts that it covers', async () => {
    stage = await openStage();
    const single = must(await stage.cloudflare.ensureDns(ours('app.example.com'), running()));
    const before = lines(stage);
    for (const known of [true, false]) {
      const wild = must(await stage.cloudflare.ensureDns(ours('*.example.com'), running()));
      const removal = { ...ours('*.example.com'), known: known ? wild : null };
      must(await stage.cloudflare.removeDns(removal, running()));
      expect(lines(stage)).to.deep.equal(before);
    }
    must(await stage.cloudflare.removeDns({ ...ours('app.example.com'), known: single }, running()));
    expect(lines(stage)).to.deep.equal([]);
  });

  it('are removed in the zone where they were made, also when a longer one has been added since', async () => {
    stage = await openStage({ zones: ['example.com'] });
    const request = ours('app.new.example.com');
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    stage.api.zones.addZone(stage.api.accountId, 'new.example.com');
    put(stage, 'CNAME', 'app.new.example.com', 'theirs.example.net', 1);
    stage.restart();
    must(await stage.cloudflare.removeDns({ ...request, known }, running()));
    expect(lines(stage)).to.deep.equal(['new.example.com: CNAME app.new.example.com theirs.example.net']);
  });

  it('of hosts in several zones are each in their own, and go from there alone', async () => {
    stage = await openStage({ zones: ['example.com', 'example.org', 'ample.com'] });
    const hosts = ['app.example.com', 'app.example.org', 'app.ample.com'];
    for (const host of hosts) must(await stage.cloudflare.ensureDns(ours(host), running()));
    expect(lines(stage).filter((line) => line.includes('CNAME'))).to.deep.equal([
      `example.com: CNAME app.example.com ${tunnelId}.cfargotunnel.com`,
      `example.org: CNAME app.example.org ${tunnelId}.cfargotunnel.com`,
      `ample.com: CNAME app.ample.com ${tunnelId}.cfargotunnel.com`,
    ]);
    must(await stage.cloudflare.removeDns(ours('app.ample.com'), running()));
    expect(lines(stage).filter((line) => line.includes('ample.com: CNAME'))).to.have.length(1);
    expect(lines(stage)).to.have.length(4);
  });

  it('of a zone that the account has no longer are gone with it', async () => {
    stage = await openStage();
    const request = ours('app.sub.example.com');
    const known = must(await stage.cloudflare.ensureDns(request, running()));
    stage.api.zones.zones.splice(1, 1);
    stage.restart();
    must(await stage.cloudflare.removeDns({ ...request, known }, running()));
  });
});
