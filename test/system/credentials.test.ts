import { expect } from 'chai';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

describe('a cert.pem', function () {
  this.timeout(60_000);
  const towns: Town[] = [];

  async function found(): Promise<Town> {
    const town = await startTown();
    towns.push(town);
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')), ingress('web', host));
    return town;
  }
  afterEach(() => Promise.all(towns.splice(0).map((town) => town.stop())));

  async function whatIsTold(town: Town, why: string): Promise<string> {
    const messages = () => town.messages('web', 'CredentialsInvalid');
    await town.hastened(
      town.until(`${why}: CredentialsInvalid is told`, async () => (await messages()).length > 0),
    );
    return (await messages()).join('\n');
  }

  const label = 'ARGO TUNNEL TOKEN';
  const pem = (content: string, of = label): string =>
    `-----BEGIN ${of}-----\n${Buffer.from(content).toString('base64')}\n-----END ${of}-----\n`;
  const serviceKey = { zoneID: 'z', accountID: 'a', serviceKey: 'v1.0-secret' };
  const unusable: readonly [what: string, text: string | null][] = [
    ['missing', null],
    ['empty', ''],
    ['truncated', `-----BEGIN ${label}-----\neyJ6b25lSUQiOiJ`],
    ['of the era of service keys', pem(JSON.stringify(serviceKey))],
    ['with an unknown block', pem('x', 'RSA PRIVATE KEY')],
  ];

  // Each in a town of its own, at once: all that they wait for is the next look at the file.
  it(`that is ${unusable.map(([what]) => what).join(', ')} is told on the Ingress, and a good one is picked up`, async () => {
    const lives = unusable.map(async ([what, text]) => {
      const town = await found();
      const good = town.cloudflare.certPem();
      await town.writeCert(text);
      await town.startController();
      expect(await whatIsTold(town, what), what).to.not.include('v1.0-secret');
      await town.writeCert(good);
      await town.hastened(town.answers(host, '/', 'web'));
    });
    await Promise.all(lives);
  });

  it('without permission is told on the Ingress', async () => {
    const town = await found();
    town.cloudflare.setToken(town.cloudflare.token, { tunnels: false, dns: true, zones: true });
    await town.startController();
    expect(await whatIsTold(town, 'no permission')).to.not.include(town.cloudflare.token);
    expect(town.log.join('')).to.not.include(town.cloudflare.token);
  });

  it('that goes bad later is told on every Ingress, until the same one is back, and what runs goes on', async () => {
    const town = await found();
    const good = town.cloudflare.certPem();
    await town.startController();
    await town.answers(host, '/', 'web');
    await town.writeCert('');
    expect(await whatIsTold(town, 'empty')).to.include('What runs goes on');
    await town.answers(host, '/', 'web');
    const checks = () => town.log.join('').split('credentials checked').length;
    const before = checks();
    await town.writeCert(good);
    await town.hastened(town.until('it is looked at', () => checks() > before));
    await town.user.apply(ingress('later', 'later.example.com'));
    await town.answers('later.example.com', '/', 'web');
    expect(await town.reasons('later')).to.not.include('CredentialsInvalid');
  });
});
