import { expect } from 'chai';
import type { Controller } from '../../src/controller.ts';
import { shardOf } from '../../src/domain/shard.ts';
import { ingress, pathOf, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';
import { visitors } from '../support/visitors.ts';

const haConnections = 2;
const candidates = Array.from({ length: 60 }, (_, index) => `app${index}.example.com`);
/** A host that goes from one shard to another when there are three instead of two, and so on: one of each kind. */
const hosts = [
  ...new Map(candidates.map((host) => [`${shardOf(host, 2)} ${shardOf(host, 3)}`, host])).values(),
];
const [left, right] = [0, 1].map(
  (shard) => candidates.find((host) => shardOf(host, 2) === shard && !hosts.includes(host))!,
);
const everyHost = [...hosts, left!, right!];

describe('hosts in shards', function () {
  this.timeout(90_000);
  let town: Town;
  const running: Controller[] = [];

  before(async () => {
    town = await startTown();
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    for (const host of hosts) await town.user.apply(ingress(host.split('.')[0]!, host));
    const both = [left!, right!].map((host) => ({ host, http: { paths: [pathOf({})] } }));
    await town.user.apply({ ...ingress('both', left!), spec: { rules: both } });
  });
  after(async () => {
    await stopAll(running.splice(0));
    await town.stop();
  });

  async function run(...shards: string[]): Promise<void> {
    for (const shard of shards)
      running.push(await town.runController(`--shard=${shard}`, '--grace-period=5s'));
  }

  async function stopAll(controllers: readonly Controller[]): Promise<void> {
    await Promise.all(controllers.map((controller) => controller.stop()));
  }

  const everyHostHas = (connectors: number): Promise<void> =>
    town.until(`every host has ${connectors} connectors`, () =>
      everyHost.every((host) => town.connections(host) === connectors * haConnections),
    );

  /** Requests to every host without a pause, until what is given back is called: what went wrong. */
  function visits(): () => Promise<readonly string[]> {
    const failures: string[] = [];
    let asked = 0;
    const end = visitors(
      everyHost.map((host) => async () => {
        const { status, body } = await town.get(host);
        asked++;
        if (status !== 200) failures.push(`${host}: ${status} ${body}`);
      }),
    );
    return async () => {
      const soFar = asked;
      await town.until('visited meanwhile', () => asked > soFar + 20);
      await end();
      return failures;
    };
  }

  it('each host has one of them, and an Ingress with hosts in several has all its tunnels in its status', async () => {
    expect(
      hosts.map((host) => shardOf(host, 2)),
      'hosts of both',
    ).to.include.members([0, 1]);
    await run('0/2', '1/2');
    await everyHostHas(1);
    await town.until('both tunnels are in the status', async () => (await town.status('both')).length === 2);
    for (const host of hosts) expect((await town.get(host)).body).to.equal('web');
  });

  it('go from two to three without a request that fails, a tunnel that is removed, or a call that changes anything', async () => {
    const tunnels = town.tunnelIds();
    const ledger = await versions();
    const status = await town.status('both');
    const callsBefore = town.cloudflare.calls.length;
    const failures = visits();
    const old = running.splice(0);
    await run('0/3', '1/3', '2/3');
    await everyHostHas(2);
    await stopAll(old);
    await everyHostHas(1);
    expect(await failures()).to.deep.equal([]);
    expect(town.tunnelIds()).to.have.members(tunnels);
    expect(await versions()).to.deep.equal(ledger);
    expect(await town.status('both')).to.have.members(status);
    const writes = town.cloudflare.calls.slice(callsBefore).filter(({ method }) => method !== 'GET');
    expect(writes).to.deep.equal([]);
  });

  it('serve on while the process of one is replaced, which writes nothing', async () => {
    const own = everyHost.filter((host) => shardOf(host, 3) === 1);
    const others = everyHost.filter((host) => shardOf(host, 3) !== 1);
    const ledger = await versions();
    const connections = others.flatMap((host) => town.connectionIds(host));
    const callsBefore = town.cloudflare.calls.length;
    const failures = visits();
    const [old] = running.splice(1, 1);
    await run('1/3');
    await town.until('both serve', () => own.every((host) => town.connections(host) === 2 * haConnections));
    await stopAll([old!]);
    await everyHostHas(1);
    expect(await failures()).to.deep.equal([]);
    expect(await versions()).to.deep.equal(ledger);
    expect(others.flatMap((host) => town.connectionIds(host))).to.have.members(connections);
    const writes = town.cloudflare.calls.slice(callsBefore).filter(({ method }) => method !== 'GET');
    expect(writes).to.deep.equal([]);
  });

  it('clean up what is theirs, all of them together everything', async () => {
    await town.user.remove('Ingress', 'both');
    for (const host of hosts) await town.user.remove('Ingress', host.split('.')[0]!);
    await town.nothingLeft();
  });

  async function versions(): Promise<readonly unknown[]> {
    return (await town.user.list('Secret')).map(({ metadata }) => [metadata.name, metadata.resourceVersion]);
  }
});
