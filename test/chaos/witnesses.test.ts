import { expect } from 'chai';
import { type Arena, openArena } from '../../chaos/arena.ts';
import { Foreign, othersHost, takenHost } from '../../chaos/foreign.ts';
import { serviceOf } from '../../chaos/hosts.ts';
import { heldBack, misplaced, piledUp } from '../../chaos/leftovers.ts';
import { Relisting } from '../../chaos/relisting.ts';
import { Secrecy } from '../../chaos/secrecy.ts';
import { Sight } from '../../chaos/sight.ts';
import { ask, openWatch } from '../sandbox/kube-api/http.ts';

describe('those who look on while there is chaos', () => {
  let arena: Arena;

  beforeEach(async () => {
    // Its controller is never started: whatever happens here, the test did.
    arena = await openArena({ hosts: 1, pods: 0, replicas: 1, haConnections: 4, flags: [] });
  });
  afterEach(() => arena.stop());

  it('see when something foreign is touched, and not when something of ours is', () => {
    const { accountId, tunnels, zones } = arena.world.cloudflare;
    const [zone] = zones.zones;
    const foreign = new Foreign(arena);
    const own = tunnels.create({
      accountId,
      name: 'warp-arena-h0.example.com',
      secret: null,
      configSrc: 'local',
    });
    tunnels.delete(own);
    arena.owner.remove('Ingress', 'taken');
    expect(foreign.verdict()).to.deep.equal([]);
    const taken = [...zone!.records.values()].find(({ name }) => name === takenHost)!;
    const changed = zones.put(zone!, { ...taken, content: 'elsewhere.example.com' }, taken);
    foreign.look();
    zones.put(zone!, taken, changed);
    expect(foreign.verdict(), 'also when it is put back').to.have.length(1);
  });

  it('see when the ledger of another identity goes', () => {
    const foreign = new Foreign(arena);
    const isTheirs = ({ metadata }: { metadata: { annotations?: Record<string, string> } }): boolean =>
      metadata.annotations?.['cloudflare-warp/host'] === othersHost;
    arena.owner.remove('Secret', arena.owner.list('Secret').find(isTheirs)!.metadata.name);
    expect(foreign.verdict()).to.have.length(1);
  });

  it('see a watch that asks again for a past that is gone, and none that lists first', async () => {
    const { kubernetes } = arena.world;
    const services = '/api/v1/namespaces/arena/services';
    const list = async (): Promise<string> => (await ask(kubernetes, services)).body.metadata.resourceVersion;
    const watch = (from: string) => openWatch(kubernetes, `${services}?watch=1&resourceVersion=${from}`);
    const relisting = new Relisting(arena);
    const past = await list();
    const streams = [await watch(past)];
    arena.owner.apply(serviceOf(arena.hosts[0]!));
    kubernetes.faults.expireHistory();
    streams.push(await watch(await list()));
    kubernetes.faults.expireHistory();
    expect(relisting.violations).to.deep.equal([]);
    streams.push(await watch(past));
    expect(relisting.violations).to.have.length(1);
    for (const stream of streams) stream.close();
    relisting.stop();
  });

  it('see for how long the cluster is seen as a whole', async () => {
    const { kubernetes } = arena.world;
    const services = '/api/v1/namespaces/arena/services?watch=1';
    const first = await openWatch(kubernetes, services);
    const sight = new Sight(arena);
    kubernetes.faults.dropWatches();
    await arena.until('it sees nothing', 5_000, () => sight.sinceMs === Number.POSITIVE_INFINITY);
    const second = await openWatch(kubernetes, services);
    await arena.until('it sees all again', 5_000, () => sight.hasLasted(0, 1));
    const changedMs = arena.now();
    expect(sight.hasLasted(changedMs, 50), 'a change of now').to.equal(false);
    await arena.until('it has seen it for a while', 5_000, () => sight.hasLasted(changedMs, 50));
    sight.stop();
    for (const stream of [first, second]) stream.close();
  });

  it('see a secret in an Event, however it is written, and in the log', async () => {
    const { accountId, tunnels } = arena.world.cloudflare;
    const secrecy = new Secrecy(arena);
    const { secret } = tunnels.create({ accountId, name: 'any', secret: null, configSrc: 'local' });
    arena.owner.apply({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'telltale' },
      involvedObject: { kind: 'Ingress', name: 'h0', namespace: 'arena' },
      message: `what the edge was told: ${secret.toString('hex')}`,
    });
    await secrecy.look();
    await arena.stopControllers();
    expect(await secrecy.verdict()).to.have.length(1);
  });

  it('see what is left over and what is missing', () => {
    const { accountId, tunnels } = arena.world.cloudflare;
    tunnels.create({ accountId, name: 'warp-arena-gone.example.com', secret: null, configSrc: 'local' });
    const said = misplaced(arena, arena.hosts);
    expect(said).to.include.members([
      'tunnels left over: gone.example.com',
      'tunnels missing: h0.example.com',
      'CNAME records missing: h0.example.com',
      'ledger Secrets missing: h0.example.com',
      'h0.example.com has 0 connections instead of 4',
    ]);
  });

  it('see what a process holds back', () => {
    const before = {
      threads: 0,
      sockets: 10,
      timers: 10,
      heapBytes: 1e6,
      threadTimers: 0,
      threadHeapBytes: 0,
    };
    const more = {
      threads: 1,
      sockets: 40,
      timers: 30,
      heapBytes: 1e8,
      threadTimers: 30,
      threadHeapBytes: 1e8,
    };
    expect(heldBack(before, { ...before, sockets: 12 })).to.deep.equal([]);
    expect(heldBack(before, more)).to.have.length(4);
    expect(piledUp(before, { ...before, threads: 1 }), "threads are quarantine's").to.deep.equal([]);
    expect(piledUp(before, more)).to.have.length(5);
  });
});
