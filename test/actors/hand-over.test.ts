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

/** A host that moves from one Ingress to another: both connectors serve its tunnel until the new one has come. */
describe('a host that moves to another Ingress', () => {
  let house: ActorHouse;
  beforeEach(async () => {
    house = new ActorHouse();
    await house.tell(service(), slice(), present(old), synced);
    house.cloudflare.calls.length = 0;
    house.runner.autoRegister = false;
  });
  afterEach(() => house.stop());

  const old = ingress('old', [host], { createdAtMs: 2 });
  const young = ingress('young', [host], { createdAtMs: 3 });
  const older = ingress('older', [host], { createdAtMs: 1 });

  const runs = () =>
    house.runner.runs.map(({ stopping, registered }) =>
      stopping ? 'stops' : registered > 0 ? 'serves' : 'starts',
    );

  const comesUp = async () => {
    for (const run of house.runner.runs) house.runner.register(run);
    await house.quiet();
  };

  const ways = {
    'because its Ingress is deleted': [present(young), removed('old')],
    'because its Ingress names another host': [
      present(young),
      present({ ...old, hosts: ingress('old', ['b.example.com']).hosts }),
    ],
    'because an older Ingress names it': [present(older)],
  };
  for (const [why, messages] of Object.entries(ways)) {
    it(`${why}, is served from where it was until it is served from there`, async () => {
      await house.tell(...messages);
      expect(house.runner.runs.filter((run) => run.request.host === host)).to.have.length(2);
      expect(house.runner.isServed(host)).to.equal(true);
      expect(house.runner.closed).to.deep.equal([]);
      await comesUp();
      expect(house.runner.hosts().filter((name) => name === host)).to.deep.equal([host]);
      expect(house.runner.closed).to.deep.equal([]);
      expect(house.cloudflare.calls.filter((call) => call.endsWith(host))).to.deep.equal([]);
      expect(house.cloudflare.records.has(host)).to.equal(true);
    });
  }

  it('is its new Ingress’ at once, also in the ledger, and one row more for the while', async () => {
    await house.tell(present(older));
    expect(house.ledger.entries.get(host)?.ingress).to.equal('older');
    expect(house.rows(host)).to.deep.equal(['old closing', 'older starting']);
    await comesUp();
    expect(house.rows(host)).to.deep.equal(['older up']);
  });

  it('is not waited for where it has no backend, which is not to be served', async () => {
    await house.tell(present({ ...older, hosts: [{ host, paths: [rule('none')] }] }));
    expect(house.runner.runs).to.deep.equal([]);
    expect(house.sink.take()).to.include('older WaitingForService');
  });

  it('is not waited for where no thread is free for a second connector', async () => {
    await house.tell(present(older));
    house.runner.end(house.runner.runs[1]!, { code: 'threads-exhausted', message: 'all threads are full' });
    await house.quiet();
    expect(runs()).to.deep.equal([]);
    house.runner.autoRegister = true;
    await house.pass(5_000);
    expect(runs()).to.deep.equal(['serves']);
  });

  it('is waited for when its new connector fails at first', async () => {
    await house.tell(present(older));
    house.runner.end(house.runner.runs[1]!, { code: 'thread-exited', message: 'exited' });
    await house.pass(5_000);
    expect(runs()).to.deep.equal(['serves', 'starts']);
    await comesUp();
    expect(runs()).to.deep.equal(['serves']);
  });

  it('is waited for no longer than a minute: its rules may have been a protection', async () => {
    await house.tell(present(older));
    await house.pass(59_000);
    expect(runs()).to.deep.equal(['serves', 'starts']);
    await house.pass(2_000);
    expect(runs()).to.deep.equal(['starts']);
  });

  it('and comes back before it has arrived was never away', async () => {
    const [first] = house.runner.runs;
    await house.tell(present(older), removed('older'));
    await house.tell(present(older));
    await house.tell(removed('older'));
    expect(house.runner.runs).to.deep.equal([first]);
    expect(runs()).to.deep.equal(['serves']);
    await house.pass(120_000);
    expect(runs()).to.deep.equal(['serves']);
    expect(house.ledger.entries.get(host)?.ingress).to.equal('old');
  });

  it('and further to a third is served by whoever has it until that comes up', async () => {
    await house.tell(present(older));
    await house.tell(present(ingress('oldest', [host], { createdAtMs: 0 })));
    expect(runs()).to.deep.equal(['serves', 'starts']);
    await comesUp();
    expect(runs()).to.deep.equal(['serves']);
    expect(house.rows(host)).to.deep.equal(['oldest up']);
  });

  it('and is then deleted: its tunnel goes only after every connector has ended', async () => {
    house.runner.autoEnd = false;
    await house.tell(present(young), removed('old'));
    await house.tell(removed('young'));
    expect(house.cloudflare.records.size, 'records go at once').to.equal(0);
    expect(runs()).to.deep.equal(['stops', 'stops']);
    house.runner.end(house.runner.runs[1]!, null);
    await house.pass(10_000);
    expect(house.cloudflare.tunnels.size).to.equal(1);
    house.runner.endAll();
    await house.quiet();
    expect(house.cloudflare.tunnels.size).to.equal(0);
    expect(house.ledger.entries.size).to.equal(0);
  });

  it('while a step of its old Ingress is in flight goes on after that step, from where it came', async () => {
    await house.tell(removed('old'));
    house.runner.autoRegister = true;
    const open = house.cloudflare.hold();
    await house.tell(present(old));
    await house.tell(present(older));
    expect(house.ledger.entries.get(host)?.ingress).to.equal('old');
    open();
    await house.quiet();
    expect(house.ledger.entries.get(host)?.ingress).to.equal('older');
    expect(house.cloudflare.calls.filter((call) => call.startsWith('ensureTunnel'))).to.have.length(1);
    expect(house.rows(host)).to.deep.equal(['older up']);
  });

  const names = (key: string, hosts: string[]) => present(ingress(key, hosts, { createdAtMs: 2 }));

  it('because its Ingress is written before the one that names it next is served all the while', async () => {
    await house.tell(names('old', ['b.example.com']));
    await comesUp();
    await house.pass(4_000);
    expect(house.runner.isServed(host)).to.equal(true);
    house.cloudflare.calls.length = 0;
    await house.tell(names('next', [host]));
    expect(house.runner.isServed(host)).to.equal(true);
    await comesUp();
    await house.pass(60_000);
    expect(house.cloudflare.calls).to.deep.equal([]);
    expect(house.rows(host)).to.deep.equal(['next up']);
  });

  for (const [which, createdAtMs] of [
    ['older', 1],
    ['younger', 3],
  ] as const) {
    it(`in exchange for that of an Ingress that is ${which} keeps its tunnel and its records, as the other one does`, async () => {
      const other = (hosts: string[]) => present(ingress('other', hosts, { createdAtMs }));
      await house.tell(other(['b.example.com']));
      await comesUp();
      house.cloudflare.calls.length = 0;
      await house.tell(names('old', ['b.example.com']));
      await house.tell(other([host]));
      expect([host, 'b.example.com'].filter((name) => house.runner.isServed(name))).to.have.length(2);
      await comesUp();
      await house.pass(60_000);
      expect(house.rows(host)).to.deep.equal(['other up']);
      expect(house.rows('b.example.com')).to.deep.equal(['old up']);
      expect(house.cloudflare.calls).to.deep.equal([]);
    });
  }

  it('or might is removed after five seconds in which no Ingress has come to name it', async () => {
    await house.tell(names('old', ['b.example.com']));
    await comesUp();
    await house.pass(2_500);
    await house.tell(names('old', ['b.example.com']));
    await house.pass(2_400);
    expect([house.runner.isServed(host), house.cloudflare.records.has(host)]).to.deep.equal([true, true]);
    await house.pass(200);
    expect(house.runner.hosts()).to.deep.equal(['b.example.com']);
    expect([...house.cloudflare.records.keys()]).to.deep.equal(['b.example.com']);
  });

  it('or might is removed by a controller that is started, or that leads, only meanwhile', async () => {
    const lost = names('old', ['b.example.com']);
    const next = house.successor();
    await next.tell(service(), slice(), lost);
    await next.tellLedger();
    next.leadership.isLeading = false;
    await next.tell(synced);
    await next.pass(2_500);
    await house.stop();
    next.leadership.isLeading = true;
    await next.pass(2_600);
    expect(next.runner.hosts()).to.deep.equal(['b.example.com']);
    expect([...next.cloudflare.records.keys()]).to.deep.equal(['b.example.com']);
    expect([...next.cloudflare.tunnels.keys()]).to.have.length(1);
    await next.stop();
  });

  it('or might is removed at once when its Ingress is deleted, or is not ours any more', async () => {
    await house.tell(names('old', ['b.example.com']));
    await house.tell(names('old', []));
    expect(house.cloudflare.tunnels.size).to.equal(0);
    await house.tell(names('old', [host]));
    await comesUp();
    await house.tell(names('old', ['b.example.com']), removed('old'));
    house.expectNothingLeft();
  });

  it('that nobody wants any more when it has been given up is removed by who had it', async () => {
    await house.tell(present(young));
    await house.tell(removed('old'), removed('young'));
    await comesUp();
    expect([
      house.ledger.entries.size,
      house.cloudflare.tunnels.size,
      house.runner.runs.length,
    ]).to.deep.equal([0, 0, 0]);
  });

  it('leaves no connector behind when the actor that lingers fails', async () => {
    house.sink.publish = async ({ name }) => {
      throw new Error(`status of ${name}`);
    };
    const elsewhere = ingress('old', ['b.example.com'], { publishedHostnames: ['written.example.com'] });
    await house.tell(present(older), present(elsewhere));
    expect(house.runner.hosts()).to.deep.equal([host]);
    expect(runs()).to.deep.equal(['starts']);
    delete (house.sink as { publish?: unknown }).publish;
    house.runner.autoRegister = true;
    await house.tellLedger();
    await house.pass(10_000);
    expect(house.runner.hosts()).to.deep.equal([host, 'b.example.com']);
    expect(house.rows(host)).to.deep.equal(['older starting']);
    await house.tell(removed('older'), removed('old'));
    expect(house.cloudflare.tunnels.size).to.equal(0);
  });
});
