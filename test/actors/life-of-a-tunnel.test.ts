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

const host = 'app.example.com';
const name = `warp-me-${host}`;
const published = `id-of-${name}.cfargotunnel.com`;

describe('life of a tunnel', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const serve = () => house.tell(service(), slice(), present(ingress('web', [host])), synced);

  it('opens when the Service and a ready endpoint exist, and says so', async () => {
    await serve();
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.cloudflare.records.get(host)).to.equal(`id-of-${name}`);
    expect(house.sink.status.get('web')).to.deep.equal([published]);
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
    expect(house.states.get(host)).to.equal('up');
  });

  it('says to an Ingress that was made anew what the one before had been told, as its Events are its own', async () => {
    await serve();
    house.sink.take();
    for (const told of [['web TunnelReady'], []]) {
      await house.tell(present({ ...ingress('web', [host]), uid: 'second' }));
      expect(house.sink.take()).to.deep.equal(told);
    }
  });

  it('writes the ledger before anything exists at Cloudflare', async () => {
    const open = house.cloudflare.hold();
    await serve();
    expect(house.ledger.entries.get(host)).to.include({ tunnel: null, tunnelName: name });
    expect(house.cloudflare.tunnels.size).to.equal(0);
    open();
    await house.quiet();
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(`id-of-${name}`);
  });

  it('does nothing before all caches are filled', async () => {
    await house.tell(present(ingress('web', [host])));
    expect(house.cloudflare.calls).to.deep.equal([]);
    await house.tell(service(), slice(), synced);
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('waits for the Service, then for an endpoint, with one Event each', async () => {
    await house.tell(present(ingress('web', [host])), synced);
    expect(house.runner.hosts()).to.deep.equal([]);
    expect(house.states.get(host)).to.equal('waiting');
    await house.tell(service());
    expect(house.runner.hosts()).to.deep.equal([]);
    await house.tell(slice('web-1', 'web', []));
    await house.tell(slice());
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.sink.take()).to.deep.equal([
      'web WaitingForService',
      'web WaitingForEndpoints',
      'web TunnelReady',
    ]);
  });

  it('closes when the last endpoint goes, keeps tunnel and name, and reopens', async () => {
    await serve();
    house.sink.take();
    await house.tell({ type: 'slice.removed', name: 'web-1' });
    expect(house.runner.hosts()).to.deep.equal([]);
    expect(house.cloudflare.records.size).to.equal(1);
    expect(house.sink.status.get('web')).to.deep.equal([]);
    await house.tell(slice());
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.sink.take()).to.deep.equal(['web WaitingForEndpoints', 'web TunnelReady']);
    expect(house.cloudflare.calls).to.have.length(2);
  });

  it('closes when the Service goes', async () => {
    await serve();
    await house.tell({ type: 'service.removed', name: 'web' });
    expect(house.runner.hosts()).to.deep.equal([]);
    expect(house.states.get(host)).to.equal('waiting');
  });

  it('stays up for 503 answers where the Ingress asks for it', async () => {
    const spec = ingress('web', [host]);
    await house.tell(present({ ...spec, settings: { ...spec.settings, noBackend: '503' } }), synced);
    expect(house.runner.of(host)?.routes.routes[0]?.target).to.deep.equal({ kind: 'status', status: 503 });
  });

  it('opens again without waiting for what still drains', async () => {
    await serve();
    house.runner.autoEnd = false;
    await house.tell({ type: 'slice.removed', name: 'web-1' });
    expect(house.runner.of(host)?.stopping).to.equal(true);
    await house.tell(slice());
    expect(house.runner.runs.map(({ stopping }) => stopping)).to.deep.equal([true, false]);
    expect(house.states.get(host)).to.equal('up');
  });

  it('is replaced without a gap when a setting needs another connector', async () => {
    await serve();
    house.runner.autoRegister = false;
    const spec = ingress('web', [host]);
    await house.tell(present({ ...spec, settings: { ...spec.settings, haConnections: 2 } }));
    expect(
      house.runner.runs.map(({ stopping }) => stopping),
      'both run',
    ).to.deep.equal([false, false]);
    expect(house.sink.status.get('web')).to.deep.equal([published]);
    house.runner.runs[1]!.hear({ type: 'connections', registered: 1 });
    await house.quiet();
    expect(house.runner.runs.map(({ request }) => request.haConnections)).to.deep.equal([2]);
    expect(house.states.get(host)).to.equal('up');
  });

  it('says once that what should replace it cannot start, and again when it could meanwhile', async () => {
    await serve();
    house.sink.take();
    house.runner.autoRegister = false;
    const spec = ingress('web', [host]);
    const changed = present({ ...spec, settings: { ...spec.settings, haConnections: 2 } });
    const refuse = async (): Promise<void> => {
      house.runner.end(house.runner.runs[1]!, { code: 'thread-exited', message: 'no thread' });
      await house.pass(30_000);
    };
    await house.tell(changed);
    for (let time = 0; time < 3; time++) await refuse();
    expect(house.sink.take()).to.deep.equal(['web TunnelRestarted']);
    expect(house.states.get(host)).to.equal('up');
    await house.tell(present(spec));
    await house.tell(changed);
    await refuse();
    expect(house.sink.take()).to.deep.equal(['web TunnelRestarted']);
  });

  it('keeps the tunnel up while one of two slices is left', async () => {
    await house.tell(service(), slice('a'), slice('b'), present(ingress('web', [host])), synced);
    await house.tell({ type: 'slice.removed', name: 'a' });
    expect(house.runner.hosts()).to.deep.equal([host]);
  });

  it('follows a change of Service and port in place, without a new connector', async () => {
    await serve();
    await house.tell(service('other', 8080, '10.0.0.2'), slice('other-1', 'other'));
    const spec = ingress('web', [host]);
    const hosts = [{ host, paths: [rule('other', { by: 'number', number: 8080 })] }];
    await house.tell(present({ ...spec, hosts }));
    const target = house.runner.of(host)?.routes.routes[0]?.target;
    expect(target?.kind === 'origin' && target.origin.addresses).to.deep.equal([
      { host: '10.0.0.2', port: 8080 },
    ]);
    expect(house.runner.started).to.have.length(1);
  });

  it('goes by the last of what changed while its actor waited to begin again', async () => {
    await serve();
    house.sink.publish = async () => {
      throw new Error('a bug');
    };
    house.runner.of(host)!.hear({ type: 'connections', registered: 0 });
    await house.quiet();
    delete (house.sink as { publish?: unknown }).publish;
    await house.tell(service('web', 80, '10.0.0.2'));
    await house.tell(present(ingress('web', [host], { createdAtMs: 2 })));
    await house.tell(service('web', 80, '10.0.0.3'));
    house.runner.endAll();
    await house.pass(10_000);
    const target = house.runner.of(host)?.routes.routes[0]?.target;
    expect(target?.kind === 'origin' && target.origin.addresses).to.deep.equal([
      { host: '10.0.0.3', port: 80 },
    ]);
  });

  it('replaces a changed host: the new one serves before the old one goes', async () => {
    await serve();
    house.runner.autoRegister = false;
    await house.tell(present(ingress('web', ['new.example.com'])));
    expect(house.runner.hosts()).to.deep.equal([host, 'new.example.com']);
    expect(house.cloudflare.records.has(host)).to.equal(true);
    await house.pass(60_000);
    expect(house.runner.hosts()).to.deep.equal([host, 'new.example.com']);
    house.runner.of('new.example.com')!.hear({ type: 'connections', registered: 1 });
    await house.quiet();
    expect(house.runner.hosts()).to.deep.equal(['new.example.com']);
    expect([...house.cloudflare.records.keys()]).to.deep.equal(['new.example.com']);
    expect([...house.ledger.entries.keys()]).to.deep.equal(['new.example.com']);
  });

  it('does not hold the old host for a new one that cannot come', async () => {
    await serve();
    house.cloudflare.failNext('ensureDns', 'zone-unknown');
    await house.tell(present(ingress('web', ['new.example.org'])));
    await house.pass(5_000);
    expect([...house.cloudflare.records.keys()]).to.deep.equal([]);
    expect(house.runner.hosts()).to.deep.equal(['new.example.org']);
    expect(house.sink.take()).to.include('web ZoneUnknown');
  });

  it('cleans up when the Ingress is deleted: name, connector, tunnel, ledger', async () => {
    await serve();
    house.runner.autoEnd = false;
    await house.tell(removed('web'));
    expect(house.cloudflare.records.size).to.equal(0);
    expect(house.cloudflare.tunnels.size, 'the connector still drains').to.equal(1);
    house.runner.endAll();
    await house.quiet();
    house.expectNothingLeft();
  });

  it('takes the newest state when an Ingress is deleted and made again in the middle of its removal', async () => {
    await serve();
    const open = house.cloudflare.hold();
    await house.tell(removed('web'));
    await house.tell(present(ingress('web', [host], { uid: 'second' })));
    open();
    await house.pass(10_000);
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(house.cloudflare.records.size).to.equal(1);
    expect(house.cloudflare.tunnels.size).to.equal(1);
    expect(house.states.get(host)).to.equal('up');
  });

  it('is made again when the Ingress comes back right after everything was removed', async () => {
    await serve();
    await house.tell(removed('web'));
    house.expectNothingLeft();
    await house.tell(present(ingress('web', [host], { uid: 'second' })));
    expect(house.states.get(host)).to.equal('up');
    expect(house.cloudflare.records.size).to.equal(1);
  });

  it('tries a failed step again with backoff and tells the user once', async () => {
    house.cloudflare.failNext('ensureTunnel', 'credentials-invalid', 2);
    await serve();
    expect(house.sink.take()).to.deep.equal(['web CredentialsInvalid']);
    expect(house.states.get(host)).to.equal('failed');
    await house.tell({ type: 'credentials.changed' });
    expect(house.sink.take()).to.deep.equal([]);
    await house.tell({ type: 'credentials.changed' });
    expect(house.states.get(host)).to.equal('up');
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  for (const [operation, code, reason] of [
    ['ensureTunnel', 'cloudflare-unreachable', 'CloudflareFailed'],
    ['put', 'kube-unreachable', 'LedgerRefused'],
    ['put', 'kube-forbidden', 'LedgerRefused'],
  ] as const) {
    it(`says once, and not of the first try, why a new host is not served: ${reason} of ${code}`, async () => {
      // Each failure of an outage has other words.
      const wordsOf = code === 'kube-forbidden' ? undefined : (attempt: number) => `no answer to ${attempt}`;
      (operation === 'put' ? house.ledger : house.cloudflare).failNext(operation, code, 6, wordsOf);
      await serve();
      expect(house.sink.take()).to.deep.equal([]);
      await house.pass(10_000);
      expect(house.sink.take()).to.deep.equal([`web ${reason}`]);
      await house.pass(240_000);
      expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
    });
  }

  it('says nothing of Cloudflare being away while the host is served', async () => {
    await serve();
    house.sink.take();
    house.cloudflare.failNext('ensureDns', 'cloudflare-unreachable', 9);
    await house.pass(10 * 3_600_000);
    expect(house.cloudflare.calls.filter((call) => call.startsWith('ensureDns')).length).to.be.greaterThan(9);
    expect(house.sink.take()).to.deep.equal([]);
  });

  it('says once what is wrong with the credentials, of all hosts or of the first that meets it', async () => {
    const fault = { code: 'credentials-invalid', message: 'the token has expired' } as const;
    house.cloudflare.failNext('ensureTunnel', 'credentials-invalid', 4);
    const hosts = [host, 'also.example.com'];
    await house.tell(service(), slice(), present(ingress('web', hosts)), synced);
    expect(house.sink.take()).to.deep.equal(['web CredentialsInvalid']);
    await house.tell({ type: 'credentials.checked', fault });
    expect(house.sink.take()).to.deep.equal([]);
    await house.tell({ type: 'credentials.changed' });
    await house.pass(600_000);
    expect(house.sink.take()).to.deep.equal(['web TunnelReady', 'web TunnelReady']);
    await house.tell({ type: 'credentials.checked', fault });
    expect(house.sink.take()).to.deep.equal(['web CredentialsInvalid']);
  });

  it('restarts a connector that ended, with backoff, for ever, and says so', async () => {
    await serve();
    house.sink.take();
    for (let round = 0; round < 12; round++) {
      house.runner.end(house.runner.of(host)!, { code: 'thread-exited', message: 'thread exited' });
      await house.quiet();
      expect(house.runner.hosts(), 'not at once').to.deep.equal([]);
      await house.pass(30_000);
      expect(house.runner.hosts()).to.deep.equal([host]);
    }
    expect(house.sink.take().slice(0, 2)).to.deep.equal(['web TunnelRestarted', 'web TunnelReady']);
  });

  it('says that it is kept apart once for each stay, also of the connectors that it has in it', async () => {
    await serve();
    house.sink.take();
    const keptApart = async (isApart: boolean): Promise<void> => {
      house.runner.of(host)!.hear({ type: 'quarantine', isApart });
      await house.quiet();
    };
    await keptApart(true);
    expect(house.sink.take()).to.deep.equal(['web TunnelQuarantined']);
    house.runner.end(house.runner.of(host)!, { code: 'thread-exited', message: 'thread exited' });
    await house.pass(30_000);
    await keptApart(true);
    expect(house.sink.take()).to.deep.equal(['web TunnelRestarted', 'web TunnelReady']);
    await keptApart(false);
    await keptApart(true);
    expect(house.sink.take()).to.deep.equal(['web TunnelQuarantined']);
  });

  it('a crash of one tunnel touches no other', async () => {
    await house.tell(
      service(),
      slice(),
      present(ingress('web', [host])),
      present(ingress('b', ['b.example.com'])),
      synced,
    );
    house.runner.end(house.runner.of(host)!, { code: 'thread-threw', message: 'boom' });
    await house.pass(60_000);
    expect(house.runner.started.filter((started) => started === 'b.example.com')).to.have.length(1);
  });

  it('says when the edge is lost, takes the status back, and says when it is there again', async () => {
    await serve();
    house.sink.take();
    house.runner.of(host)!.hear({ type: 'connections', registered: 0 });
    await house.quiet();
    expect(house.sink.status.get('web')).to.deep.equal([]);
    house.runner.of(host)!.hear({ type: 'connections', registered: 1 });
    await house.quiet();
    expect(house.sink.take()).to.deep.equal(['web TunnelLost', 'web TunnelReady']);
    expect(house.sink.status.get('web')).to.deep.equal([published]);
  });

  it('looks after its records now and then and puts back what somebody deleted', async () => {
    await serve();
    house.cloudflare.records.clear();
    await house.pass(10 * 3_600_000);
    expect(house.cloudflare.records.get(host)).to.equal(`id-of-${name}`);
    expect(house.cloudflare.calls.filter((call) => call.startsWith('ensureDns'))).to.have.length(2);
  });

  it('writes the status again until it is written', async () => {
    house.sink.failNext('publish', 'kube-unreachable', 2);
    await serve();
    expect(house.sink.status.size).to.equal(0);
    await house.pass(10_000);
    expect(house.sink.status.get('web')).to.deep.equal([published]);
  });

  it('puts back a status that somebody changed before the answer to our own write was here', async () => {
    const answer = Promise.withResolvers<void>();
    house.sink.answer = answer.promise;
    await serve();
    house.sink.status.set('web', ['by-hand']);
    await house.tell(present(ingress('web', [host], { publishedHostnames: ['by-hand'] })));
    answer.resolve();
    await house.quiet();
    expect(house.sink.status.get('web')).to.deep.equal([published]);
  });

  it('takes a name out of the status that was written although the write seemed to fail', async () => {
    house.sink.failNext('publish', 'kube-unreachable');
    const answer = Promise.withResolvers<void>();
    house.sink.answer = answer.promise;
    await serve();
    house.sink.status.set('web', [published]);
    await house.tell(present(ingress('web', [host], { publishedHostnames: [published] })));
    house.runner.of(host)!.hear({ type: 'connections', registered: 0 });
    answer.resolve();
    await house.pass(10_000);
    expect(house.sink.status.get('web')).to.deep.equal([]);
  });

  it('drains every tunnel when the controller stops, and removes nothing', async () => {
    await serve();
    await house.stop();
    expect(house.runner.hosts()).to.deep.equal([]);
    expect(house.cloudflare.tunnels.size).to.equal(1);
    expect(house.ledger.entries.size).to.equal(1);
  });
});
