import { expect } from 'chai';
import {
  ActorHouse,
  ingress,
  present,
  removed,
  rule,
  service,
  slice,
  synced,
} from '../support/actor-house.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const host = 'app.example.com';
const name = `warp-me-${host}`;
const published = `id-of-${name}.cfargotunnel.com`;

describe('several Ingresses', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const young = ingress('young', [host], { createdAtMs: 2 });
  const old = ingress('old', [host], { createdAtMs: 1 });

  it('with one Service are both served', async () => {
    await house.tell(
      service(),
      slice(),
      present(ingress('a', ['a.example.com'])),
      present(ingress('b', ['b.example.com'])),
      synced,
    );
    expect(house.runner.hosts()).to.deep.equal(['a.example.com', 'b.example.com']);
  });

  it('with one host: the oldest has it and the other is told', async () => {
    await house.tell(service(), slice(), present(young), present(old), synced);
    expect(house.runner.started).to.deep.equal([host]);
    expect(house.ledger.entries.get(host)?.ingress).to.equal('old');
    expect(house.sink.take()).to.have.members(['young HostTaken', 'old TunnelReady']);
  });

  it('with two hosts on a Service that is missing: one Event for it, and one when it is missing again', async () => {
    const both = ingress('web', ['a.example.com', 'b.example.com']);
    await house.tell(present(both), synced);
    expect(house.sink.take()).to.deep.equal(['web WaitingForService']);
    await house.tell(service(), slice());
    expect(house.sink.take().slice(1)).to.deep.equal(['web TunnelReady', 'web TunnelReady']);
    await house.tell({ type: 'service.removed', name: 'web' });
    expect(house.sink.take()).to.deep.equal(['web WaitingForService']);
    await house.tell(present({ ...both, hosts: both.hosts.slice(1) }));
    expect(house.sink.take(), 'the other host still waits for it').to.deep.equal([]);
  });

  const where = 'metadata.annotations[cloudflare-warp/replicas]';
  for (const [what, asks, reason] of [
    ['spec.tls', { asksForTls: true }, 'TlsAtEdge'],
    [
      'an annotation that changes nothing',
      { ignored: [{ where, message: 'changes nothing here' }] },
      'AnnotationIgnored',
    ],
  ] as const) {
    it(`with ${what}: served, told once, also over a restart, and again when it comes back`, async () => {
      const asking = ingress('web', [host], asks);
      const served = { publishedHostnames: [published] };
      await house.tell(service(), slice(), present(asking), synced);
      await house.tell(present({ ...asking, ...served }));
      expect(house.sink.take()).to.deep.equal([`web ${reason}`, 'web TunnelReady']);
      const next = house.successor();
      await next.tellLedger();
      await next.tell(service(), slice(), present({ ...asking, ...served }), synced);
      expect(next.sink.take()).to.deep.equal([]);
      await next.tell(present(ingress('web', [host], served)));
      await next.tell(present({ ...asking, ...served }));
      expect(next.sink.take()).to.deep.equal([`web ${reason}`]);
      await next.stop();
    });
  }

  const path = (at: string, backend = 'web') => ({ ...rule(backend), path: at });

  it("with one host: the younger hears which of its settings are the older one's to say", async () => {
    const settings = { ...plainSettings, mode: 'pod', replicas: 3, dns: 'off' } as const;
    const ofTunnel = ['mode', 'replicas', 'dns', 'ha-connections'] as const;
    const guest = { ...young, settings, ofTunnel, hosts: [{ host, paths: [path('/shop', 'shop')] }] };
    await house.tell(service(), slice(), service('shop'), slice('shop-1', 'shop'));
    await house.tell(present(old), present(guest), synced);
    const told = house.sink.take();
    expect(told.filter((text) => text === 'young AnnotationIgnored')).to.have.length(3);
    expect(told.filter((text) => text === 'young TunnelReady')).to.have.length(1);
    await house.tell(removed('old'));
    expect(house.sink.take().filter((text) => text.includes('AnnotationIgnored'))).to.deep.equal([]);
  });

  it('with one host and other paths share its tunnel, and both show its name', async () => {
    const shop = { ...young, hosts: [{ host, paths: [path('/shop', 'shop')] }] };
    await house.tell(service(), slice(), present(old), present(shop), synced);
    const missing = ['old TunnelReady', 'young TunnelReady', 'young WaitingForService'];
    expect(house.sink.take(), 'each is told of its own paths').to.have.members(missing);
    await house.tell(slice('shop-1', 'shop'), service('shop', 80, '10.0.0.9'));
    expect(house.sink.take()).to.deep.equal([]);
    expect(house.runner.started).to.deep.equal([host]);
    const routes = house.runner
      .of(host)!
      .routes.routes.map(({ path: at, target }) => [
        at,
        target.kind === 'origin' ? target.origin.addresses[0]!.host : target.status,
      ]);
    expect(routes).to.deep.equal([
      ['/shop', '10.0.0.9'],
      ['/', '10.0.0.1'],
    ]);
    expect(house.sink.status.get('old')).to.deep.equal([published]);
    expect(house.sink.status.get('young')).to.deep.equal([published]);
    await house.tell(removed('young'));
    expect(house.runner.of(host)!.routes.routes).to.have.length(1);
  });

  it('with one path in common: the oldest has that path, the rest is shared', async () => {
    const both = { ...young, hosts: [{ host, paths: [path('/'), path('/shop')] }] };
    await house.tell(service(), slice(), present(old), present(both), synced);
    expect(house.runner.of(host)!.routes.routes.map(({ path: at }) => at)).to.deep.equal(['/shop', '/']);
    expect(house.sink.take()).to.include('young HostTaken');
  });

  it('that ask for another Access protection do not share a host', async () => {
    const access = { team: 'team', audience: ['aud'] };
    const open = { ...young, hosts: [{ host, paths: [path('/open')] }] };
    const closed = { ...old, settings: { ...old.settings, access } };
    await house.tell(service(), slice(), present(closed), present(open), synced);
    expect(house.runner.of(host)?.routes.routes.map(({ path: at }) => at) ?? ['/']).to.deep.equal(['/']);
    expect(house.sink.take()).to.include('young HostTaken');
  });

  it('hand a host over when its owner goes, without losing tunnel or name', async () => {
    await house.tell(service(), slice(), present(young), present(old), synced);
    house.cloudflare.calls.length = 0;
    await house.tell(removed('old'));
    expect(house.ledger.entries.get(host)?.ingress).to.equal('young');
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.cloudflare.calls).to.deep.equal([]);
    expect(house.states.get(host)).to.equal('up');
  });

  it('hand a host over to an older Ingress that names it later', async () => {
    await house.tell(service(), slice(), present(young), synced);
    await house.tell(present({ ...young, publishedHostnames: [published] }));
    await house.tell(present(old));
    expect(house.ledger.entries.get(host)?.ingress).to.equal('old');
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.sink.status.get('old')).to.deep.equal([published]);
    expect(house.sink.status.get('young')).to.deep.equal([]);
  });
});

describe('an Ingress that cannot be acted on', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const problems = [
    { where: 'metadata.annotations[cloudflare-warp/mode]', message: 'expected worker or pod' },
  ];

  it('keeps its last good state and is told why', async () => {
    await house.tell(service(), slice(), present(ingress('web', [host])), synced);
    await house.tell(present(ingress('web', [], { refused: true, problems })));
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.cloudflare.records.size).to.equal(1);
    expect(house.sink.take()).to.deep.equal(['web TunnelReady', 'web InvalidIngress']);
  });

  it('keeps tunnel and name also when the controller was restarted meanwhile', async () => {
    await house.tell(service(), slice(), present(ingress('web', [host])), synced);
    const next = house.successor();
    await next.tellLedger();
    await next.tell(present(ingress('web', [], { refused: true, problems })), synced);
    expect(next.cloudflare.calls).to.deep.equal([]);
    expect(next.ledger.entries.size).to.equal(1);
    await next.stop();
  });

  it('keeps a host whose paths cannot be read while its other hosts change', async () => {
    await house.tell(service(), slice(), present(ingress('web', [host, 'b.example.com'])), synced);
    await house.tell(present(ingress('web', ['c.example.com'], { unservable: [host], problems })));
    await house.pass(5_000);
    expect(house.runner.hosts()).to.deep.equal([host, 'c.example.com']);
    expect([...house.cloudflare.records.keys()].sort()).to.deep.equal([host, 'c.example.com']);
  });

  it('with a host that never could be served makes nothing for it', async () => {
    await house.tell(
      service(),
      slice(),
      present(ingress('web', ['c.example.com'], { unservable: [host] })),
      synced,
    );
    expect(house.runner.hosts()).to.deep.equal(['c.example.com']);
    expect([...house.ledger.entries.keys()]).to.deep.equal(['c.example.com']);
  });

  it('disturbs nobody else', async () => {
    const bad = ingress('bad', [], { refused: true, problems });
    await house.tell(service(), slice(), present(bad), present(ingress('web', [host])), synced);
    expect(house.states.get(host)).to.equal('up');
  });

  it('is cleaned up all the same when it is deleted', async () => {
    await house.tell(service(), slice(), present(ingress('web', [host])), synced);
    await house.tell(present(ingress('web', [], { refused: true, problems })));
    await house.tell(removed('web'));
    expect(house.ledger.entries.size).to.equal(0);
    expect(house.cloudflare.tunnels.size).to.equal(0);
  });
});
