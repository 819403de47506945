import { expect } from 'chai';
import { ingress, pathOf, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

describe('bad input', function () {
  this.timeout(60_000);
  let town: Town;

  beforeEach(async () => {
    town = await startTown();
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
  });
  afterEach(() => town.stop());

  const message = async (name: string, reason: string): Promise<string> => {
    let found = '';
    await town.until(`${name} is told ${reason}`, async () => {
      found = (await town.messages(name, reason)).join('\n');
      return found !== '';
    });
    return found;
  };

  it('one malformed Ingress among a hundred good ones disturbs none of them', async () => {
    await town.startController('--ha-connections=1');
    const good = Array.from({ length: 100 }, (_, index) => `h${index}.example.com`);
    await Promise.all(good.map((host, index) => town.user.apply(ingress(`good-${index}`, host))));
    await town.user.apply(
      ingress('bad', 'bad.example.com', { annotations: { 'cloudflare-warp/ha-connections': 'many' } }),
    );
    expect(await message('bad', 'InvalidIngress'))
      .to.include('ha-connections')
      .and.include('many');
    await Promise.all(good.map((host) => town.answers(host, '/', 'web')));
    expect(town.hosts()).to.not.include('bad.example.com');
  });

  it('a Service and a port that do not exist are named', async () => {
    await town.startController();
    await town.user.apply(
      ingress('no-service', 'a.example.com', { paths: [{ service: 'nowhere' }] }),
      ingress('no-port', 'b.example.com', { paths: [{ port: 81 }] }),
    );
    expect(await message('no-service', 'WaitingForService')).to.include('"nowhere"');
    expect(await message('no-port', 'InvalidIngress')).to.include('has no TCP port 81; it has 8080 ("http")');
  });

  it('a host of no zone is named, with the zones there are', async () => {
    await town.startController();
    await town.user.apply(ingress('web', 'app.example.net'));
    expect(await message('web', 'ZoneUnknown'))
      .to.include('app.example.net')
      .and.include('example.com');
  });

  it('a record that is not ours stays, and is named', async () => {
    await town.startController();
    const [zone] = town.cloudflare.zones.zones;
    const record = {
      type: 'A',
      name: 'app.example.com',
      content: '192.0.2.1',
      proxied: true,
      ttl: 1,
      comment: null,
    };
    const foreign = town.cloudflare.zones.put(zone!, record as never);
    await town.user.apply(ingress('web', 'app.example.com'));
    expect(await message('web', 'DnsConflict')).to.include('app.example.com');
    expect(zone!.records.get(foreign.id)?.content).to.equal('192.0.2.1');
  });

  it('an edit that cannot be understood leaves the last good state', async () => {
    await town.startController();
    await town.user.apply(ingress('web', 'app.example.com'));
    await town.answers('app.example.com', '/', 'web');
    const annotations = { 'cloudflare-warp/no-backend': 'maybe' };
    await town.user.apply(ingress('web', 'new.example.com', { annotations }));
    expect(await message('web', 'InvalidIngress'))
      .to.include('no-backend')
      .and.include('maybe');
    await town.answers('app.example.com', '/', 'web');
    expect(town.hosts()).to.deep.equal(['app.example.com']);
    const problem = /ingress_problems{ingress="web",where="[^"]+no-backend]",message="[^}]+maybe[^}]+} 1/;
    expect((await town.ops('/metrics')).body).to.match(problem);
    await town.user.apply(ingress('web', 'app.example.com'));
    await town.until('it is mended', async () => !problem.test((await town.ops('/metrics')).body));
  });

  it('an Ingress with one bad rule serves the others', async () => {
    await town.startController();
    const rules = [
      { host: 'no-http.example.com' },
      { host: 'app.example.com', http: { paths: [pathOf({})] } },
    ];
    await town.user.apply({ ...ingress('web', ''), spec: { rules } });
    await town.answers('app.example.com', '/', 'web');
    expect(await message('web', 'InvalidIngress')).to.include('no-http.example.com');
  });
});
