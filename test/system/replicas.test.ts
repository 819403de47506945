import { request } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ControllerReplica, HousedReplica, ReplicaProcess } from '../support/controller-replica.ts';
import { HoldingOrigin } from '../support/holding-origin.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { deployFolder, installedIn, objectsIn } from '../support/manifests-of.ts';
import { startTown, type Town } from '../support/town.ts';

const hosts = ['app.example.com', 'api.example.com'] as const;
/** Service accounts of replicas, so that one of them can be cut off and the user not. */
const [one, other] = ['cloudflare-warp-ingress', 'other'];

/**
 * Several controllers, one world, and requests all the while. They are processes where it counts how a process ends or what
 * it brings along, and in this one where they wait for a Lease, whose clock then goes faster.
 */
describe('several replicas of the controller', function () {
  this.timeout(120_000);
  let town: Town;
  const replicas = new Set<ControllerReplica>();
  /** Ends whatever load a test that failed has left. */
  let endLoad = (): void => {};

  before(async () => {
    town = await startTown();
    const base = installedIn('town', objectsIn(join(deployFolder, 'base')));
    await town.user.apply(...base.filter(({ kind }) => /^(ServiceAccount|Role|RoleBinding)$/.test(kind)));
    await town.user.apply(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: other } },
      {
        ...base.find(({ kind }) => kind === 'RoleBinding')!,
        metadata: { name: other },
        subjects: [{ kind: 'ServiceAccount', name: other, namespace: 'town' }],
      },
    );
    await town.actAs(one);
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    for (const host of hosts) await town.user.apply(ingress(host.split('.', 1)[0]!, host));
  });
  afterEach(() => endLoad());
  after(async () => {
    for (const replica of replicas)
      await (replica instanceof ReplicaProcess ? replica.kill() : replica.stop());
    await town.stop();
  });

  async function started<R extends ControllerReplica>(replica: R): Promise<R> {
    replicas.add(replica);
    await town.until('the replica is ready', () => replica.isReady());
    return replica;
  }

  const readyProcess = () => started(new ReplicaProcess(town.controllerFlags));
  const readyHere = async () => started(new HousedReplica(await town.runController()));

  /** Requests without a pause, of these methods, until what is given back is called: what went wrong. */
  function load(methods: readonly string[]): () => Promise<readonly string[]> {
    const failures: string[] = [];
    let requests = 0;
    let isOver = false;
    endLoad = () => {
      isOver = true;
    };
    const client = async (index: number): Promise<void> => {
      while (!isOver) {
        const method = methods[index % methods.length]!;
        const host = hosts[index % hosts.length]!;
        const seen = await send(town.edge.frontUrl, method, host);
        requests += 1;
        if (seen !== '200 web') failures.push(`${method} ${host}: ${seen}`);
      }
    };
    const clients = [0, 1, 2, 3].map(client);
    return async () => {
      isOver = true;
      await Promise.all(clients);
      expect(requests).to.be.above(50);
      return failures;
    };
  }

  const writes = () => town.cloudflare.calls.filter(({ method }) => method !== 'GET').length;
  const connections = () => hosts.map((host) => town.connections(host));
  const isServing = (count: number) => () => connections().every((seen) => seen === count);

  /** Leads until it is killed. */
  let leadingProcess: ReplicaProcess;
  /** Leads from then on. */
  let leader: ControllerReplica;

  it('begins with one, which leads', async () => {
    leadingProcess = await readyProcess();
    for (const host of hosts) await town.answers(host, '/', 'web');
    expect(await leadingProcess.leads()).to.equal(true);
    expect(await town.user.get('Lease', 'cloudflare-warp-leader')).to.have.nested.property(
      'spec.holderIdentity',
    );
  });

  it('a rolling upgrade loses no request: the new one is ready once it serves, and leads when the old one goes', async () => {
    const [before, status] = [writes(), await town.status('app')];
    const failures = load(['GET', 'POST']);
    const next = await readyProcess();
    for (const count of connections()) expect(count, 'of both, once the new one is ready').to.be.above(2);
    expect(await next.leads()).to.equal(false);
    expect(await leadingProcess.stop()).to.equal(0);
    await town.until('the new one leads', () => next.leads());
    expect(await failures()).to.deep.equal([]);
    await town.until('its connections are left', isServing(2));
    expect(writes() - before, 'nothing was to be changed').to.equal(0);
    expect(await town.status('app')).to.deep.equal(status);
    leadingProcess = next;
  });

  it('a follower serves what the leader makes, and lets go of what its user deletes', async () => {
    const follower = await readyProcess();
    await town.user.apply(ingress('late', 'late.example.com'));
    await town.until('both serve it', () => town.connections('late.example.com') === 4);
    expect(await follower.isReady()).to.equal(true);
    await town.user.remove('Ingress', 'late');
    await town.until('nothing is left of it', () => !town.hosts().includes('late.example.com'));
    await town.until(
      'no ledger either',
      async () => (await town.user.list('Secret')).length === hosts.length,
    );
    expect(await follower.stop()).to.equal(0);
    expect(await leadingProcess.leads()).to.equal(true);
  });

  it('a request that runs on a follower when its Ingress is deleted comes to its end', async () => {
    const host = 'slow.example.com';
    const origin = await HoldingOrigin.start();
    await town.user.apply(service('slow'), slice('slow-1', 'slow', origin.port));
    await town.user.apply(ingress('slow', host, { paths: [{ service: 'slow' }] }));
    const ofTunnel = () => town.edge.connections().filter(({ tunnelId }) => tunnelId === town.tunnelOf(host));
    await town.until('the leader serves it', () => town.connections(host) === 2);
    const ofLeader = new Set(ofTunnel().map(({ clientId }) => clientId));
    const follower = await readyProcess();
    await town.until('both serve it', () => town.connections(host) === 4);
    const isOnFollower = () =>
      ofTunnel().some(({ clientId, openStreams }) => openStreams > 0 && !ofLeader.has(clientId));
    let answer = send(town.edge.frontUrl, 'GET', host, '/hold');
    await town.until('it is held', () => origin.held === 1);
    while (!isOnFollower()) {
      origin.finish();
      await answer;
      answer = send(town.edge.frontUrl, 'GET', host, '/hold');
      await town.until('it is held', () => origin.held === 1);
    }
    const tunnel = town.tunnelOf(host);
    await town.user.remove('Ingress', 'slow');
    const refused = ({ method, path, status }: { method: string; path: string; status: number }): boolean =>
      method === 'DELETE' && path.includes(`cfd_tunnel/${tunnel}`) && status === 400;
    await town.until('its removal has begun', () => town.cloudflare.calls.filter(refused).length > 1);
    origin.finish();
    expect(await answer).to.equal('200 part and end');
    await town.until('the tunnel is gone', () => !town.tunnelIds().includes(tunnel!));
    await town.until('its ledger, too', async () => (await town.user.list('Secret')).length === hosts.length);
    expect(await follower.stop()).to.equal(0);
    await origin.close();
  });

  it('the leader is killed: no request that may be sent again is lost, and another leads', async () => {
    const follower = await readyHere();
    const failures = load(['GET']);
    await leadingProcess.kill();
    await town.hastened(town.until('the other leads', () => follower.leads()));
    expect(await failures()).to.deep.equal([]);
    await town.user.apply(ingress('after', 'after.example.com'));
    await town.answers('after.example.com', '/', 'web');
    await town.user.remove('Ingress', 'after');
    await town.until('it is gone', async () => (await town.user.list('Secret')).length === hosts.length);
    leader = follower;
  });

  it('a restart serves everything that is known without one call to Cloudflare', async () => {
    expect(await leader.stop()).to.equal(0);
    const before = town.cloudflare.calls.length;
    leader = await readyHere();
    await town.until('it leads', () => leader.leads());
    for (const host of hosts) await town.answers(host, '/', 'web');
    await town.until('all connections are there', isServing(2));
    expect(town.cloudflare.calls.length - before).to.equal(0);
  });

  it('a replica that has not heard of changes does not lead before it has', async () => {
    await town.actAs(other);
    const follower = await readyHere();
    await town.actAs(one);
    const brief = 'brief.example.com';
    const said = town.log.length;
    town.cloudflare.faults.outage = true;
    await town.user.apply(ingress('brief', brief));
    await town.until('the follower has heard of it', async () =>
      (await follower.ops('/')).body.includes(brief),
    );
    for (const verb of ['list', 'watch']) town.kubeFaults.add({ account: other, verb, cut: true });
    town.kubeFaults.dropWatches({ account: other });
    await town.user.remove('Ingress', 'brief');
    expect(await leader.stop()).to.equal(0);
    await town.until('it says why it does not lead', () =>
      town.log.slice(said).some((line) => line.includes('our view is not up to date')),
    );
    expect(await follower.leads()).to.equal(false);
    town.cloudflare.faults.clear();
    town.kubeFaults.heal();
    await town.hastened(town.until('it leads', () => follower.leads()));
    await town.until(
      'nothing is left of it',
      async () => (await town.user.list('Secret')).length === hosts.length,
    );
    const { tunnels, accountId } = town.cloudflare;
    expect(tunnels.list(accountId).filter(({ name }) => name.includes(brief))).to.deep.equal([]);
    leader = follower;
  });

  describe('static stability', () => {
    afterEach(async () => {
      town.cloudflare.faults.clear();
      town.kubeFaults.heal();
      await town.hastened(town.until('somebody leads', () => leader.leads()));
    });

    it("Cloudflare's API is down: what runs goes on, and so does a restart", async () => {
      town.cloudflare.faults.outage = true;
      const failures = load(['GET', 'POST']);
      const next = await readyHere();
      expect(await leader.stop()).to.equal(0);
      leader = next;
      await town.until('the new one leads', () => next.leads());
      expect(await failures()).to.deep.equal([]);
    });

    it('the Kubernetes API is down: what runs goes on, and what has changed meanwhile is followed', async () => {
      const failures = load(['GET', 'POST']);
      for (const account of [one, other]) {
        town.kubeFaults.add({ account, cut: true });
        town.kubeFaults.dropWatches({ account });
      }
      await town.hastened(town.until('it has given up to lead', async () => !(await leader.leads())));
      expect(await leader.isReady()).to.equal(true);
      await town.user.apply(ingress('late', 'late.example.com'));
      await town.user.apply(service('next'), slice('next-1', 'next', await town.origin('next')));
      expect(isServing(2)()).to.equal(true);
      town.kubeFaults.heal();
      await town.answers('late.example.com', '/', 'web');
      await town.user.apply(ingress('late', 'late.example.com', { paths: [{ service: 'next' }] }));
      await town.answers('late.example.com', '/', 'next');
      expect(await failures()).to.deep.equal([]);
      await town.user.remove('Ingress', 'late');
      await town.until('it is gone', async () => (await town.user.list('Secret')).length === hosts.length);
    });

    it('the Kubernetes API is down, and Cloudflare too: what runs goes on and stays ready', async () => {
      const failures = load(['GET', 'POST']);
      town.kubeFaults.outage(true);
      town.cloudflare.faults.outage = true;
      await town.hastened(town.until('it has given up to lead', async () => !(await leader.leads())));
      expect(await leader.isReady()).to.equal(true);
      expect(await failures()).to.deep.equal([]);
      expect(isServing(2)()).to.equal(true);
    });

    it('one that starts meanwhile stays, says what it waits for, and serves as soon as Kubernetes is back', async () => {
      expect(await leader.stop()).to.equal(0);
      town.cloudflare.faults.outage = true;
      town.kubeFaults.outage(true);
      const starting = new ReplicaProcess(town.controllerFlags);
      replicas.add(starting);
      leader = starting;
      await town.until('it says why', async () =>
        /the namespace town: .+/.test((await leader.ops('/readyz')).body),
      );
      expect((await leader.ops('/readyz')).status).to.equal(503);
      expect((await leader.ops('/healthz')).status).to.equal(200);
      town.kubeFaults.outage(false);
      await town.until('it is ready', () => leader.isReady());
      for (const host of hosts) await town.answers(host, '/', 'web');
    });
  });
});

/** Status and body of one request on a connection of its own, or what became of it. */
function send(url: string, method: string, host: string, path = '/'): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(new URL(path, url), { method, headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
      response.on('error', (error) => resolve(error.message));
    });
    sent.on('error', (error) => resolve(error.message));
    sent.end(method === 'POST' ? 'a body' : undefined);
  });
}
