import { expect } from 'chai';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';
import { keptLog } from '../support/kept-log.ts';

const host = 'app.example.com';
const name = `warp-me-${host}`;
const published = `id-of-${name}.cfargotunnel.com`;

describe('the ledger of a tunnel', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const serve = () => house.tell(service(), slice(), present(ingress('web', [host])), synced);

  it('cleans up an Ingress that was deleted while nobody watched', async () => {
    await serve();
    const next = house.successor();
    await next.tellLedger();
    await next.tell(service(), slice(), synced);
    expect([...next.cloudflare.tunnels.keys()]).to.deep.equal([]);
    expect([...next.cloudflare.records.keys()]).to.deep.equal([]);
    expect([...next.ledger.entries.keys()]).to.deep.equal([]);
    await next.stop();
  });

  it('leaves the ledger of another identity alone', async () => {
    await serve();
    const next = house.successor();
    const foreign = { ...house.ledger.entries.get(host)!, identity: 'somebody' };
    next.ledger.entries.set(host, foreign);
    await next.tell({ type: 'ledger.present', entry: foreign }, synced);
    expect(next.cloudflare.calls).to.deep.equal([]);
    await next.stop();
  });

  it('says once and in one line that another install has ledgers here, however often they are listed', async () => {
    const { log, lines } = keptLog();
    const next = new ActorHouse({ log });
    await serve();
    const foreign = { ...house.ledger.entries.get(host)!, identity: 'somebody' };
    const hosts = Array.from({ length: 30 }, (_, index) => `h${index}.example.com`);
    for (const list of ['first', 'second']) {
      for (const name of hosts)
        await next.tell({ type: 'ledger.present', entry: { ...foreign, host: name } });
      await next.tell(synced);
      await next.pass(1_000);
      const said = lines
        .filter(({ level }) => level === 'warn')
        .map(({ identity, ledgers }) => [identity, ledgers]);
      expect(said, `after the ${list} listing`).to.deep.equal([['somebody', 30]]);
    }
    await next.stop();
  });

  it('never runs or removes the tunnel of another identity, also when an Ingress of ours names its host', async () => {
    await serve();
    const next = house.successor();
    const foreign = { ...house.ledger.entries.get(host)!, identity: 'somebody' };
    next.ledger.entries.set(host, foreign);
    next.ledger.failNext('put', 'host-taken', 100);
    await next.tell(
      { type: 'ledger.present', entry: foreign },
      service(),
      slice(),
      present(ingress('web', [host])),
      synced,
    );
    expect(next.runner.started).to.deep.equal([]);
    expect(next.sink.take()).to.deep.equal(['web HostTaken']);
    await next.tell(removed('web'));
    await next.pass(60_000);
    expect(next.cloudflare.calls).to.deep.equal([]);
    expect(next.ledger.entries.get(host)).to.equal(foreign);
    await next.stop();
  });

  it('takes a host over as soon as the ledger of another install is gone, not minutes later', async () => {
    house.ledger.failNext('put', 'host-taken');
    await serve();
    expect(house.sink.take()).to.deep.equal(['web HostTaken']);
    await house.tell({ type: 'ledger.removed', host, resourceVersion: '99' });
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('serves again after a restart without one call to Cloudflare', async () => {
    await serve();
    const next = house.successor();
    await next.tellLedger();
    await next.tell(
      service(),
      slice(),
      present(ingress('web', [host], { publishedHostnames: [published] })),
      synced,
    );
    expect(next.runner.hosts()).to.deep.equal([host]);
    expect(next.cloudflare.calls).to.deep.equal([]);
    expect(next.sink.status.size, 'the status was right and is not written').to.equal(0);
    expect(next.sink.take(), 'nor is it news').to.deep.equal([]);
    await next.stop();
  });

  it('resumes a creation that was interrupted before the ledger knew its tunnel', async () => {
    house.ledger.failNext('put', 'kube-unreachable', 0);
    await serve();
    const half = { ...house.ledger.entries.get(host)!, tunnel: null, dns: null };
    const next = house.successor();
    next.ledger.entries.set(host, half);
    await next.tellLedger();
    await next.tell(service(), slice(), present(ingress('web', [host])), synced);
    expect(next.cloudflare.tunnels.size).to.equal(1);
    expect(next.states.get(host)).to.equal('up');
    await next.stop();
  });

  it('serves on, under the same name, when somebody deletes the ledger while Cloudflare is away', async () => {
    await serve();
    const [run] = house.runner.runs;
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable');
    house.ledger.entries.delete(host);
    await house.tell({ type: 'ledger.removed', host, resourceVersion: '99' });
    expect(house.runner.runs).to.deep.equal([run]);
    expect(house.sink.status.get('web')).to.deep.equal([published]);
    await house.pass(120_000);
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(`id-of-${name}`);
    expect(house.runner.started).to.deep.equal([host]);
    expect(house.runner.closed).to.deep.equal([]);
    expect(house.states.get(host)).to.equal('up');
    await house.tell(removed('web'));
    house.expectNothingLeft();
  });

  it('says nothing anew as a follower when somebody deletes the ledger of what serves', async () => {
    await serve();
    house.leadership.isLeading = false;
    await house.tell({ type: 'leadership.changed' });
    house.sink.take();
    await house.tell({ type: 'ledger.removed', host, resourceVersion: '99' });
    expect(house.states.get(host)).to.equal('up');
    expect(house.sink.take()).to.deep.equal([]);
  });
});
