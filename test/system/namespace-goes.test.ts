import { expect } from 'chai';
import { warpIngress } from '../support/command.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';
const identity = 'gone';

describe('a namespace that is deleted', function () {
  this.timeout(90_000);
  let town: Town;
  before(async () => {
    town = await startTown();
  });
  after(() => town.stop());

  it('goes while the controller runs, which puts nothing back and goes on', async () => {
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')), ingress('web', host));
    await town.startController(`--identity=${identity}`);
    await town.answers(host, '/', 'web');
    await town.user.remove('Namespace', 'town');
    await town.until(
      'the namespace is gone',
      async () => (await town.user.get('Namespace', 'town')) === null,
    );
    await town.until('the tunnel is closed', () => town.connectionIds().length === 0);
    expect(await town.user.list('Secret')).to.deep.equal([]);
    expect((await town.ops('/healthz')).status).to.equal(200);
    await town.stopController();
  });

  it('leaves at Cloudflare nothing that cleanup does not find by the identity', async () => {
    const cleanup = ['cleanup', ...town.accessFlags, `--identity=${identity}`, '--namespace=default'];
    const { code, stderr } = await warpIngress([...cleanup, '--delete']);
    expect(code, stderr).to.equal(0);
    await town.nothingLeft();
  });
});
