import { expect } from 'chai';
import { tunnelHostname } from '../../src/domain/host.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

/** Through the whole, with requests all the while. */
describe('a host that moves from one Ingress to another', function () {
  this.timeout(90_000);
  let town: Town;

  before(async () => {
    town = await startTown();
    await town.startController();
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    await town.user.apply(ingress('first', host));
    await town.answers(host, '/', 'web');
  });
  after(() => town.stop());

  /** What other answers than "200 web" came while `move` was made and until its connectors were exchanged. */
  async function failuresDuring(move: () => Promise<void>, owner: string): Promise<readonly string[]> {
    const failures: string[] = [];
    let requests = 0;
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const { status, body } = await town.get(host);
        requests += 1;
        if (status !== 200 || body !== 'web') failures.push(`${status} ${body}`);
      }
    };
    const clients = Array.from({ length: 4 }, client);
    const before = town.connectionIds(host);
    await move();
    await town.until(`${owner} serves, on connections of its own`, async () => {
      const now = town.connectionIds(host);
      const exchanged = now.length === 2 && now.every((id) => !before.includes(id));
      return exchanged && (await town.status(owner)).length === 1;
    });
    await town.until('enough was asked meanwhile', () => requests > 20);
    isOver = true;
    await Promise.all(clients);
    return failures;
  }

  it('because the old one is deleted: not one request fails, and tunnel and records stay', async () => {
    await town.user.apply(ingress('second', host));
    const [tunnels, records] = [town.tunnelIds(), town.hosts()];
    const failures = await failuresDuring(() => town.user.remove('Ingress', 'first'), 'second');
    expect(failures).to.deep.equal([]);
    expect([town.tunnelIds(), town.hosts()]).to.deep.equal([tunnels, records]);
    expect(await town.reasons('second')).to.include('TunnelReady');
  });

  it('because the old one names another host now: not one request fails', async () => {
    await town.user.apply(ingress('third', host));
    const failures = await failuresDuring(
      () => town.user.apply(ingress('second', 'elsewhere.example.com')),
      'third',
    );
    expect(failures).to.deep.equal([]);
  });

  it('because two Ingresses exchange their hosts, one written after the other: not one request fails', async () => {
    const [tunnels, records] = [town.tunnelIds(), town.hosts()];
    const other = 'elsewhere.example.com';
    const failures = await failuresDuring(async () => {
      await town.user.apply(ingress('third', other));
      await town.user.apply(ingress('second', host));
      await town.until('the other host has moved too', async () => {
        return (await town.status('third')).join() === tunnelHostname(town.tunnelOf(other) ?? '');
      });
    }, 'second');
    expect(failures).to.deep.equal([]);
    expect([town.tunnelIds(), town.hosts()]).to.deep.equal([tunnels, records]);
  });
});
