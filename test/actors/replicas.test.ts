import { expect } from 'chai';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';
const name = `warp-me-${host}`;

describe('two replicas', () => {
  let leader: ActorHouse;
  let follower: ActorHouse;

  beforeEach(async () => {
    leader = new ActorHouse();
    follower = leader.replica();
    await both(service(), slice(), synced);
  });
  afterEach(async () => {
    expect([...leader.trespasses, ...follower.trespasses], 'written while not leading').to.deep.equal([]);
    await leader.stop();
    await follower.stop();
  });

  async function both(...messages: Parameters<ActorHouse['tell']>): Promise<void> {
    for (const house of [leader, follower]) await house.tell(...messages);
    await leader.quiet();
  }

  async function handOver(): Promise<void> {
    leader.leadership.isLeading = false;
    follower.leadership.isLeading = true;
    [leader, follower] = [follower, leader];
    await leader.quiet();
  }

  it('the leader makes the tunnel, both serve it, and a follower is not unready before', async () => {
    const answer = leader.cloudflare.hold();
    await both(present(ingress('app', [host])));
    expect([leader.states.get(host), follower.states.get(host)]).to.deep.equal(['provisioning', 'waiting']);
    answer();
    await leader.quiet();
    expect([leader.runner.hosts(), follower.runner.hosts()]).to.deep.equal([[host], [host]]);
    expect([leader.states.get(host), follower.states.get(host)]).to.deep.equal(['up', 'up']);
    expect([leader.sink.status.size, follower.sink.status.size]).to.deep.equal([1, 0]);
  });

  it('a follower serves what is in the ledger although nobody leads', async () => {
    await both(present(ingress('app', [host])));
    const calls = leader.cloudflare.calls.length;
    leader.leadership.isLeading = false;
    const third = leader.replica();
    await third.tellLedger();
    await third.tell(service(), slice(), present(ingress('app', [host])), synced);
    expect(third.runner.hosts()).to.deep.equal([host]);
    expect(third.states.get(host)).to.equal('up');
    expect(leader.cloudflare.calls.length).to.equal(calls);
    expect(third.trespasses).to.deep.equal([]);
    await third.stop();
  });

  it('leadership that goes from one to the other changes nothing where nothing is to be changed', async () => {
    await both(present(ingress('app', [host])));
    const published = [...leader.sink.status.values()].flat();
    await both(present(ingress('app', [host], { publishedHostnames: published })));
    const [calls, version] = [leader.cloudflare.calls.length, leader.ledger.version];
    await handOver();
    await leader.pass(60_000);
    expect(leader.cloudflare.calls.length).to.equal(calls);
    expect(leader.ledger.version).to.equal(version);
    expect(leader.sink.status.size).to.equal(0);
  });

  it('a step that is in flight when leadership goes is given up, and carried out by the next leader', async () => {
    const answer = leader.cloudflare.hold();
    await both(present(ingress('app', [host])));
    expect(leader.cloudflare.calls).to.deep.equal([`ensureTunnel ${name}`]);
    await handOver();
    answer();
    await leader.pass(5_000);
    expect(leader.cloudflare.calls.filter((call) => call.startsWith('ensureTunnel'))).to.have.length(2);
    expect(leader.cloudflare.records.get(host)).to.equal(`id-of-${name}`);
    expect([leader.runner.hosts(), follower.runner.hosts()]).to.deep.equal([[host], [host]]);
    expect(follower.sink.take(), 'that it was given up is no news').to.deep.equal(['app TunnelReady']);
  });

  it('records that a leader removed before it went are there again when the host is', async () => {
    await both(present(ingress('app', [host])));
    leader.cloudflare.failNext('removeTunnel', 'cloudflare-unreachable');
    await both(removed('app'));
    expect(leader.cloudflare.records.has(host)).to.equal(false);
    leader.leadership.isLeading = false;
    await both(present(ingress('app', [host])));
    await handOver();
    await leader.pass(5_000);
    expect(leader.cloudflare.records.get(host)).to.equal(`id-of-${name}`);
    expect(leader.states.get(host)).to.equal('up');
  });

  it('a follower closes what the Ingress does not want any more, and forgets it with the ledger', async () => {
    await both(present(ingress('app', [host])));
    leader.leadership.isLeading = false;
    await both(removed('app'));
    expect(follower.runner.hosts()).to.deep.equal([]);
    expect(leader.ledger.entries.has(host)).to.equal(true);
    expect(follower.states.get(host)).to.equal('closing');
    leader.leadership.isLeading = true;
    await leader.pass(1_000);
    await follower.quiet();
    expect(leader.ledger.entries.has(host)).to.equal(false);
    expect(follower.states.has(host)).to.equal(false);
  });

  it('the leader leaves a tunnel to others while they may finish requests there, and no longer', async () => {
    await both(present(ingress('app', [host])));
    const { cloudflare } = leader;
    const removals = () => cloudflare.calls.filter((call) => call === `removeTunnel ${name}`).length;
    cloudflare.inUse.add(name);
    await both(removed('app'));
    expect(cloudflare.records.has(host), 'visitors come no more').to.equal(false);
    await leader.pass(30_000);
    expect(cloudflare.tunnels.has(name)).to.equal(true);
    expect(removals()).to.be.within(3, 8);
    await leader.pass(5_000);
    expect(cloudflare.tunnels.has(name)).to.equal(false);
    expect(leader.ledger.entries.has(host)).to.equal(false);

    await both(present(ingress('app', [host])));
    await both(removed('app'));
    await leader.pass(1_000);
    cloudflare.inUse.delete(name);
    await leader.pass(10_000);
    expect(cloudflare.tunnels.has(name), 'as soon as they are through').to.equal(false);
    expect(leader.sink.take(), 'nothing that a user has to know').not.to.include('app InvalidIngress');
  });

  it('a tunnel that others are connected to is the same when its host is wanted again', async () => {
    await both(present(ingress('app', [host])));
    leader.cloudflare.inUse.add(name);
    await both(removed('app'));
    await both(present(ingress('app', [host])));
    await leader.pass(60_000);
    expect([...leader.cloudflare.tunnels.keys()]).to.deep.equal([name]);
    expect([leader.states.get(host), follower.states.get(host)]).to.deep.equal(['up', 'up']);
  });

  it('a tunnel that the leader made anew is taken up without a gap', async () => {
    await both(present(ingress('app', [host])));
    const [run] = leader.runner.runs;
    leader.cloudflare.tunnels.delete(name);
    leader.cloudflare.idSuffix = '-anew';
    for (const house of [follower, leader]) {
      const own = house.runner.of(host)!;
      own.hear({ type: 'connections', registered: 0 });
      for (let refusal = 0; refusal < 4; refusal++) {
        own.hear({ type: 'lost', connIndex: 0, fault: { code: 'edge-unauthorized', message: 'refused' } });
      }
      await house.quiet();
    }
    await leader.pass(1_000);
    await follower.quiet();
    for (const house of [leader, follower]) {
      expect(house.runner.runs.map(({ request }) => request.tunnel.id)).to.deep.equal([`id-of-${name}-anew`]);
    }
    expect(leader.runner.runs).not.to.include(run);
  });
});
