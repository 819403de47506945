import { expect } from 'chai';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';

/** Somebody deletes or empties the Secret of a ledger: what is at Cloudflare only this process knows then. */
describe('a ledger that is lost', () => {
  let house: ActorHouse;
  beforeEach(async () => {
    house = new ActorHouse();
    house.ledger.version = 9_000;
    await house.tell(service(), slice(), present(ingress('web', [host])), synced);
    expect([house.cloudflare.records.size, house.cloudflare.tunnels.size]).to.deep.equal([1, 1]);
  });
  afterEach(() => house.stop());

  async function lose(): Promise<void> {
    house.ledger.lose(host);
    await house.quiet();
  }

  function expectNothingLeft(): void {
    expect([...house.cloudflare.records.keys()], 'records').to.deep.equal([]);
    expect([...house.cloudflare.tunnels.keys()], 'tunnels').to.deep.equal([]);
    expect([...house.ledger.entries.keys()], 'ledger').to.deep.equal([]);
    expect(house.rows(host)).to.deep.equal([]);
  }

  it('with the cluster’s newest history, whose versions begin lower again, is removed once and for all', async () => {
    house.ledger.entries.clear();
    house.ledger.version = 100;
    house.cloudflare.calls.length = 0;
    await house.tell(removed('web'));
    await house.pass(60_000);
    expectNothingLeft();
    expect(house.cloudflare.calls.map((call) => call.split(' ')[0])).to.deep.equal([
      'removeDns',
      'removeTunnel',
    ]);
  });

  it('while the records are being removed keeps nothing from being removed', async () => {
    const letGo = house.cloudflare.hold();
    await house.tell(removed('web'));
    await lose();
    letGo();
    await house.quiet();
    expectNothingLeft();
  });

  it('while the last requests are answered is there again, and the tunnel goes after them', async () => {
    house.runner.autoEnd = false;
    await house.tell(removed('web'));
    await lose();
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(
      house.cloudflare.tunnels.values().next().value,
    );
    house.runner.endAll();
    await house.quiet();
    expectNothingLeft();
  });

  it('while others are connected to the tunnel keeps it from going no longer than they do', async () => {
    house.cloudflare.inUse.add(`warp-me-${host}`);
    await house.tell(removed('web'));
    await lose();
    house.cloudflare.inUse.clear();
    await house.pass(10_000);
    expectNothingLeft();
  });

  it('and cannot be written while it is wanted is known all the same when it is not wanted any more', async () => {
    house.ledger.failNext('put', 'kube-unreachable', 3);
    await lose();
    await house.tell(removed('web'));
    expect(house.ledger.entries.size).to.equal(0);
    await house.pass(20_000);
    expectNothingLeft();
  });

  it('while its Ingress cannot be read is known all the same when that goes', async () => {
    const problems = [{ where: 'mode', message: 'bad' }];
    await house.tell(present(ingress('web', [host], { problems, refused: true })));
    await lose();
    expect(house.runner.isServed(host)).to.equal(true);
    await house.tell(removed('web'));
    expectNothingLeft();
  });

  it('once nothing is left of what it tells is not written again: its removal was ours, and the answer was lost', async () => {
    house.ledger.failNext('remove', 'kube-unreachable');
    await house.tell(removed('web'));
    expect(house.ledger.entries.size).to.equal(1);
    const calls = house.cloudflare.calls.length;
    await lose();
    expectNothingLeft();
    expect(house.cloudflare.calls).to.have.length(calls);
  });

  it('goes over to the Ingress that the host moves to', async () => {
    house.ledger.failNext('put', 'kube-unreachable', 1);
    await lose();
    await house.tell(removed('web'), present(ingress('other', [host])));
    await house.pass(70_000);
    expect(house.ledger.entries.get(host)).to.deep.include({ ingress: 'other' });
    expect(house.cloudflare.tunnels.size).to.equal(1);
    expect(house.runner.isServed(host)).to.equal(true);
  });
});
