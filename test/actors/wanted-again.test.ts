import { expect } from 'chai';
import { failed } from '../../src/fault.ts';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';
const name = `warp-me-${host}`;

/** A host that is wanted again while Cloudflare does not answer to its removal. */
describe('a removal in flight of what is wanted again', () => {
  let house: ActorHouse;
  afterEach(() => house.stop());

  const web = ingress('web', [host]);
  const withoutDns = { ...web, settings: { ...web.settings, dns: 'off' as const } };

  async function serve(spec = web): Promise<void> {
    house = new ActorHouse();
    await house.tell(service(), slice(), present(spec), synced);
    expect(house.states.get(host)).to.equal('up');
    house.cloudflare.calls.length = 0;
    house.sink.take();
  }

  function expectServed(records = 1): void {
    expect(house.states.get(host)).to.equal('up');
    expect(house.runner.hosts()).to.deep.equal([host]);
    const id = house.cloudflare.tunnels.get(name);
    expect(house.runner.runs.map(({ request }) => request.tunnel.id)).to.deep.equal([id]);
    expect([...house.cloudflare.records.values()]).to.deep.equal(Array(records).fill(id));
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(id);
  }

  for (const arrives of [true, false]) {
    const whatBecomes = arrives ? 'was carried out unheard' : 'never arrived';

    it(`is given up, and its records are looked at before they are believed in; it ${whatBecomes}`, async () => {
      await serve();
      house.cloudflare.givenUpArrives = arrives;
      const answer = house.cloudflare.hold();
      await house.tell(removed('web'));
      expect(house.cloudflare.calls).to.deep.equal([`removeDns ${host}`]);
      await house.tell(present({ ...web, uid: 'second' }));
      expect(house.cloudflare.calls, 'at once').to.deep.equal([`removeDns ${host}`, `ensureDns ${host}`]);
      answer();
      await house.quiet();
      expectServed();
      expect(house.ledger.entries.get(host)?.dns).to.not.have.property('leaving', true);
      expect(house.sink.take().filter((note) => !note.endsWith('TunnelReady'))).to.deep.equal([]);
      expect(house.cloudflare.calls, 'nothing is repeated').to.have.length(2);
    });

    it(`is given up when it is the tunnel’s, which is looked for; it ${whatBecomes}`, async () => {
      await serve(withoutDns);
      house.cloudflare.givenUpArrives = arrives;
      house.cloudflare.idSuffix = '-2';
      const answer = house.cloudflare.hold();
      await house.tell(removed('web'));
      await house.tell(present({ ...withoutDns, uid: 'second' }));
      expect(house.cloudflare.calls).to.deep.equal([`removeTunnel ${name}`, `ensureTunnel ${name}`]);
      answer();
      await house.quiet();
      expectServed(0);
    });

    it(`is given up when it is the ledger’s; it ${whatBecomes}`, async () => {
      await serve();
      const { ledger } = house;
      const remove = ledger.remove.bind(ledger);
      ledger.remove = async (entry, signal) => {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        if (arrives) await remove(entry);
        return failed('kube-unreachable', 'given up');
      };
      await house.tell(removed('web'));
      expect(house.cloudflare.tunnels.size).to.equal(0);
      await house.tell(present({ ...web, uid: 'second' }));
      await house.pass(5_000);
      expectServed();
    });
  }

  it('is noticed within minutes when it was carried out after the records were looked at', async () => {
    await serve();
    const answer = house.cloudflare.hold();
    await house.tell(removed('web'));
    await house.tell(present({ ...web, uid: 'second' }));
    answer();
    await house.quiet();
    expectServed();
    house.cloudflare.records.delete(host);
    await house.pass(120_000);
    expectServed();
  });

  it('is given up for another Ingress that names the host, which goes on from what is left', async () => {
    await serve();
    house.cloudflare.givenUpArrives = true;
    const answer = house.cloudflare.hold();
    await house.tell(removed('web'));
    await house.tell(present(ingress('other', [host])));
    expect(house.cloudflare.calls).to.deep.equal([`removeDns ${host}`, `ensureDns ${host}`]);
    answer();
    await house.quiet();
    expectServed();
    expect(house.ledger.entries.get(host)?.ingress).to.equal('other');
  });

  it('is given up when only its records were not wanted for a while', async () => {
    await serve();
    house.cloudflare.givenUpArrives = true;
    const answer = house.cloudflare.hold();
    await house.tell(present(withoutDns));
    await house.tell(present(web));
    expect(house.cloudflare.calls).to.deep.equal([`removeDns ${host}`, `ensureDns ${host}`]);
    answer();
    await house.quiet();
    expectServed();
  });

  it('and then not wanted once more is carried out', async () => {
    await serve();
    const answer = house.cloudflare.hold();
    await house.tell(removed('web'));
    await house.tell(present({ ...web, uid: 'second' }));
    await house.tell(removed('web'));
    answer();
    await house.pass(5_000);
    const { cloudflare, ledger, runner } = house;
    expect([
      cloudflare.records.size,
      cloudflare.tunnels.size,
      ledger.entries.size,
      runner.runs.length,
    ]).to.deep.equal([0, 0, 0, 0]);
  });
});
