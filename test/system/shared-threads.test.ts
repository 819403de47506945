import { expect } from 'chai';
import { visit } from '../support/eyeball.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';
import { visitors } from '../support/visitors.ts';

const hosts = ['a.example.com', 'b.example.com', 'c.example.com', 'd.example.com'];
const haConnections = 4;
const clientsPerHost = 2;

describe('tunnels that share threads, as is the default', function () {
  this.timeout(90_000);
  let town: Town;

  beforeEach(async () => {
    town = await startTown();
    await town.startController(`--ha-connections=${haConnections}`);
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    for (const host of hosts) await town.user.apply(ingress(host.split('.')[0]!, host));
    await allConnected();
  });
  afterEach(() => town.stop());

  function allConnected(): Promise<void> {
    return town.until('every host has all its connections', () =>
      hosts.every((host) => town.connections(host) === haConnections),
    );
  }

  /** Each client has one request open at a time. Gives what it asked and what failed, by client. */
  async function underLoad(
    during: (answered: () => number) => Promise<void>,
  ): Promise<readonly { host: string; failed: number }[]> {
    let answered = 0;
    const clients = hosts.flatMap((host) =>
      Array.from({ length: clientsPerHost }, () => ({ host, failed: 0 })),
    );
    const end = visitors(
      clients.map((client) => async () => {
        const { host } = client;
        // No edge may try a POST again, so each one that was open on a dead connection fails.
        const answer = await visit(town.edge.frontUrl, { host, method: 'POST' }).catch(() => null);
        if (answer?.status === 200) answered++;
        else client.failed++;
      }),
      2,
    );
    await during(() => answered).finally(end);
    return clients;
  }

  const deaths: readonly [what: string, expression: string, code: string][] = [
    ['exits', 'process.exit(3)', 'thread-exited'],
    ['throws', 'setTimeout(() => { throw new Error("boom") })', 'thread-threw'],
    ['spins for ever', 'for (;;);', 'thread-unresponsive'],
  ];
  for (const [what, expression, code] of deaths) {
    it(`a thread that ${what} fails nothing but requests that were open on it, and ends no tunnel`, async () => {
      const threads = await town.threads.list();
      expect(threads, 'few tunnels need few threads').to.have.length(2);
      const clients = await underLoad(async (answered) => {
        await town.until('under load', () => answered() > 200);
        await town.threads.evaluate(threads[0]!, expression);
        await town.hastened(
          town.until('the thread is lost', () => town.log.some((line) => line.includes('thread lost'))),
        );
        for (const host of hosts) expect(town.connections(host)).to.be.at.least(haConnections / 2);
        await allConnected();
        const soFar = answered();
        await town.until('still under load', () => answered() > soFar + 200);
      });
      for (const { host, failed } of clients) expect(failed, host).to.be.at.most(1);
      const log = town.log.join('');
      expect(log).to.include(code);
      expect(log.match(/"edge connection lost"/g), 'half of all').to.have.length(
        (hosts.length * haConnections) / 2,
      );
      expect(log).to.not.include('tunnel restarting');
      for (const host of hosts) expect(await town.reasons(host.split('.')[0]!)).to.not.include('TunnelLost');
    });
  }

  it('a tunnel that kills two threads is alone from then on: its third crash is nobody else’s', async () => {
    const [first] = await town.threads.list();
    await town.threads.evaluate(first!, 'process.exit(3)');
    await town.until('lost', () => town.log.some((line) => line.includes('thread lost')));
    await allConnected();
    const [second] = await town.threads.list();
    await town.threads.evaluate(second!, 'process.exit(3)');
    await town.until('each tunnel is in a thread of its own', async () => {
      const metrics = (await town.ops('/metrics')).body;
      const loads = metrics.match(/^warp_ingress_thread_tunnels\{.*$/gm) ?? [];
      const { length } = await town.threads.list();
      return (
        [loads.length, length].every((count) => count === hosts.length) &&
        loads.every((load) => load.endsWith(' 1'))
      );
    });
    await allConnected();
    expect(town.log.filter((line) => line.includes('tunnel put into quarantine'))).to.have.length(
      hosts.length,
    );
    for (const host of hosts) {
      await town.until('its Ingress says so, once', async () => {
        const [ingress = ''] = host.split('.');
        return (await town.messages(ingress, 'TunnelQuarantined')).length === 1;
      });
    }

    const failures = new Map<string, number>();
    const threads = await town.threads.list();
    expect(threads).to.have.length(hosts.length);
    const clients = await underLoad(async (answered) => {
      await town.until('under load', () => answered() > 200);
      await town.threads.evaluate(threads[0]!, 'process.exit(3)');
      await town.until('restarted', () => town.log.some((line) => line.includes('tunnel restarting')));
      await allConnected();
    });
    for (const { host, failed } of clients) failures.set(host, (failures.get(host) ?? 0) + failed);
    expect([...failures.values()].filter((failed) => failed > 0).length, 'hosts that were hit').to.be.at.most(
      1,
    );
  });
});
