import { expect } from 'chai';
import type { KubeObject } from '../support/kube-user.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

describe('what somebody changed behind our back', function () {
  this.timeout(90_000);
  let town: Town;

  beforeEach(async () => {
    town = await startTown();
    await town.startController();
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')), ingress('web', host));
    await town.answers(host, '/', 'web');
  });
  afterEach(() => town.stop());

  it('a tunnel that was deleted in the dashboard is made again and served', async () => {
    const [tunnel] = town.cloudflare.tunnels.live(town.cloudflare.accountId);
    town.cloudflare.tunnels.delete(tunnel!);
    await town.hastened(town.until('there is another one', () => town.tunnelIds().length === 1));
    await town.hastened(town.answers(host, '/', 'web'));
    expect(town.tunnelIds()).to.not.include(tunnel!.id);
    const [id] = town.tunnelIds();
    await town.until(
      'the status names it',
      async () => (await town.status('web'))[0] === `${id}.cfargotunnel.com`,
    );
  });

  it('a ledger Secret that was deleted is written again, with the same tunnel', async () => {
    const before = town.tunnelIds();
    const [secret] = await town.user.list('Secret');
    await town.user.remove('Secret', secret!.metadata.name);
    await town.until('it is there again', async () => (await town.user.list('Secret')).length === 1);
    expect(town.tunnelIds()).to.deep.equal(before);
    await town.answers(host, '/', 'web');
    await town.user.remove('Ingress', 'web');
    await town.nothingLeft();
  });

  it('a ledger Secret that was emptied is written again, also when that was while no controller ran', async () => {
    const before = town.tunnelIds();
    const [secret] = (await town.user.list('Secret')) as readonly (KubeObject & { data: object })[];
    const { name } = secret!.metadata;
    const empty = Object.fromEntries(Object.keys(secret!.data).map((key) => [key, '']));
    const emptied = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data: empty };
    const isWritten = async (): Promise<boolean> => {
      const now = (await town.user.get('Secret', name)) as unknown as { data: { token: string } };
      return (now.data.token ?? '') !== '' && town.hosts().includes(host);
    };
    await town.user.apply(emptied);
    await town.until('it is written again', isWritten);
    await town.answers(host, '/', 'web');
    await town.stopController();
    await town.user.apply(emptied);
    await town.startController();
    await town.until('it is written again after a start', isWritten);
    await town.answers(host, '/', 'web');
    expect(town.tunnelIds()).to.deep.equal(before);
    await town.user.remove('Ingress', 'web');
    await town.nothingLeft();
  });

  it('routes that were set in the dashboard are refused, and ours stay', async () => {
    const [id] = town.tunnelIds();
    const config = { ingress: [{ service: 'http_status:418' }] };
    const answers = await town.edge.pushConfiguration(id!, 1, config);
    expect(answers.map(({ status, body }) => [status, JSON.parse(body).lastAppliedVersion])).to.deep.equal([
      [200, -1],
    ]);
    expect(JSON.parse(answers[0]!.body).err.message).to.contain('not by remote configuration');
    expect(await town.get(host)).to.deep.equal({ status: 200, body: 'web' });
  });
});
