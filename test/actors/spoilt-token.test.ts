import { expect } from 'chai';
import type { KnownTunnel } from '../../src/domain/ledger.ts';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';

/** The token of a tunnel is no token any more in its ledger Secret (`kube/ledger-secret` says so by none). */
describe('a ledger whose token somebody has spoilt', () => {
  let house: ActorHouse;
  afterEach(() => house.stop());

  const serve = () => house.tell(service(), slice(), present(ingress('web', [host])), synced);
  const tunnel = (): KnownTunnel => house.ledger.entries.get(host)!.tunnel!;

  async function spoil(): Promise<void> {
    const entry = house.ledger.entries.get(host)!;
    await house.ledger.put({ ...entry, tunnel: { ...entry.tunnel!, token: null } });
    await house.quiet();
  }

  beforeEach(async () => {
    house = new ActorHouse();
    await serve();
    house.cloudflare.calls.length = 0;
  });

  it('is mended at once, and nothing begins to run with what is none', async () => {
    await spoil();
    expect(house.cloudflare.calls).to.deep.equal([`ensureTunnel warp-me-${host}`]);
    expect(tunnel().token).to.equal('token');
    expect(house.runner.started).to.deep.equal([host]);
    expect(house.runner.closed).to.deep.equal([]);
  });

  it('is mended when Cloudflare is back, and what serves goes on under its name', async () => {
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 3);
    await spoil();
    expect(tunnel().token).to.equal(null);
    expect(house.runner.started).to.deep.equal([host]);
    expect(house.sink.status.get('web')).to.deep.equal([`${tunnel().id}.cfargotunnel.com`]);
    await house.pass(10_000);
    expect(tunnel().token).to.equal('token');
    expect(house.runner.closed).to.deep.equal([]);
  });

  it('is mended before anything runs after a restart', async () => {
    const next = house.successor();
    next.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable');
    await house.stop();
    const entry = next.ledger.entries.get(host)!;
    next.ledger.entries.set(host, { ...entry, tunnel: { ...entry.tunnel!, token: null } });
    house = next;
    await house.tellLedger();
    await serve();
    expect(house.runner.started).to.deep.equal([]);
    await house.pass(2_000);
    expect(house.runner.of(host)?.request.tunnel).to.deep.equal(tunnel());
    expect(tunnel().token).to.equal('token');
  });

  it('still names the tunnel and the records that are to be removed', async () => {
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable');
    await spoil();
    await house.tell(removed('web'));
    await house.pass(2_000);
    expect([house.cloudflare.records.size, house.cloudflare.tunnels.size]).to.deep.equal([0, 0]);
    expect(house.ledger.entries.size).to.equal(0);
  });
});
