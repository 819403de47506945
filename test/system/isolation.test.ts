import { expect } from 'chai';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';
import { visitors } from '../support/visitors.ts';

const hosts = ['a.example.com', 'b.example.com', 'c.example.com', 'd.example.com'];

describe('one tunnel and its neighbours, each in a thread of its own', function () {
  this.timeout(90_000);
  let town: Town;
  /** Requests of the load so far. */
  let asked = 0;

  before(async () => {
    town = await startTown();
    await town.startController('--tunnels-per-thread=1');
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    for (const host of hosts) await town.user.apply(ingress(host.split('.')[0]!, host));
    for (const host of hosts) await town.answers(host, '/', 'web');
  });
  after(() => town.stop());

  /** Asks all hosts without pause while `during` runs; answers how many requests failed by host. */
  async function underLoad(during: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
    const failures = new Map(hosts.map((host) => [host, 0]));
    asked = 0;
    const end = visitors(
      hosts.map((host) => async () => {
        const answer = await town.get(host).catch(() => null);
        asked++;
        if (answer?.status !== 200) failures.set(host, failures.get(host)! + 1);
      }),
      2,
    );
    await during().finally(end);
    return failures;
  }

  const deaths: readonly [what: string, expression: string, code: string][] = [
    ['exits', 'process.exit(3)', 'thread-exited'],
    ['throws', 'setTimeout(() => { throw new Error("boom") })', 'thread-threw'],
    ['spins for ever', 'for (;;);', 'thread-unresponsive'],
    [
      'runs out of memory',
      'const all = []; for (;;) all.push(new Array(1e5).fill(all.length))',
      'thread-out-of-memory',
    ],
  ];
  for (const [what, expression, code] of deaths) {
    it(`a thread that ${what} fails no request of another host and is replaced`, async () => {
      const before = town.log.length;
      const restarting = () => town.log.slice(before).find((line) => line.includes('tunnel restarting'));
      // The one that has lived longest: each time another host's, whose tunnel has not been restarted yet.
      const [thread] = await town.threads.list();
      const failures = await underLoad(async () => {
        await town.threads.evaluate(thread!, expression);
        const restarted = town.until('the tunnel is restarted', () => restarting() !== undefined);
        // Silence alone is a matter of the clock: to fill a heap takes as long as it takes, on a busy machine some seconds.
        await (code === 'thread-unresponsive' ? town.hastened(restarted) : restarted);
        for (const host of hosts) await town.answers(host, '/', 'web');
        await town.until('there was some load', () => asked > 200);
      });
      const restarted = JSON.parse(restarting()!);
      expect(restarted).to.include({ code }).and.to.have.property('host').that.is.oneOf(hosts);
      for (const host of hosts) if (host !== restarted.host) expect(failures.get(host), host).to.equal(0);
    });
  }

  it('status and readiness say what is', async () => {
    const ids = town.tunnelIds().map((id) => [`${id}.cfargotunnel.com`]);
    const status = await Promise.all(hosts.map((host) => town.status(host.split('.')[0]!)));
    expect(status).to.have.deep.members(ids);
    expect((await town.ops('/readyz')).status).to.equal(200);
    town.edge.faults.newConnections = 'reset';
    town.edge.faults.cut();
    await town.until('not ready', async () => (await town.ops('/readyz')).status === 503);
    expect((await town.ops('/healthz')).status).to.equal(200);
    await town.until('no status', async () => (await town.status('a')).length === 0);
    town.edge.faults.clear();
    await town.until('ready', async () => (await town.ops('/readyz')).status === 200);
    for (const sample of [
      'warp_ingress_tunnels{state="up"} 4',
      'warp_ingress_requests_total{host="a.example.com",code_class="2xx"}',
      'warp_ingress_leader 1',
    ]) {
      await town.until(sample, async () => (await town.ops('/metrics')).body.includes(sample));
    }
  });

  it('outlives a cut edge, an API that is away and a restart, and leaves nothing when all is deleted', async () => {
    town.cloudflare.faults.outage = true;
    town.edge.faults.cut();
    for (const host of hosts) await town.answers(host, '/', 'web');
    await town.stopController();
    await town.startController();
    for (const host of hosts) await town.answers(host, '/', 'web');
    town.cloudflare.faults.clear();

    town.kubeFaults.outage(true);
    for (const host of hosts) expect((await town.get(host)).status).to.equal(200);
    town.kubeFaults.outage(false);

    for (const host of hosts) await town.user.remove('Ingress', host.split('.')[0]!);
    await town.nothingLeft();
    await town.until('no thread is left', async () => (await town.threads.list()).length === 0);
  });
});
