import { expect } from 'chai';
import { sandboxImage } from '../../src/sandbox/node/node.ts';
import { AccessKey, certsOf } from '../support/access-key.ts';
import { answersWith, CertsServer } from '../support/certs-server.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';
const annotations = {
  'cloudflare-warp/access-team': 'acme.cloudflareaccess.com',
  'cloudflare-warp/access-aud': 'app-1',
};

describe('an Ingress that asks for Access', function () {
  this.timeout(60_000);
  const key = new AccessKey('one');
  let town: Town;
  let certs: CertsServer;

  beforeEach(async () => {
    certs = await CertsServer.start(answersWith(certsOf(key)));
    town = await startTown();
    await town.startController(`--access-certs-url=${certs.url}`, `--pod-image=${sandboxImage}`);
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
  });
  afterEach(async () => {
    await town.stop();
    await certs.close();
  });

  const nowS = () => Math.floor(Date.now() / 1_000);
  const token = (claims: object = {}) =>
    key.token({ iss: 'https://acme.cloudflareaccess.com', aud: ['app-1'], exp: nowS() + 600, ...claims });
  const statusWith = async (text: string | null): Promise<number> =>
    (await town.get(host, '/', text === null ? {} : { 'cf-access-jwt-assertion': text })).status;

  it('is served to those with a token, and follows an edit of the annotations while it runs', async () => {
    await town.user.apply(ingress('app', host, { annotations }));
    await town.until('it is served', async () => (await statusWith(token())) === 200);
    expect(await statusWith(null)).to.equal(403);
    expect(await statusWith(token({ aud: ['app-2'] }))).to.equal(403);
    expect(await statusWith(token({ exp: nowS() - 1 }))).to.equal(502);
    expect(await statusWith(new AccessKey('two').token({}))).to.equal(502);

    await town.user.apply(ingress('app', host));
    await town.until('it is open', async () => (await statusWith(null)) === 200);
    await town.user.apply(ingress('app', host, { annotations }));
    await town.until('it is closed', async () => (await statusWith(null)) === 403);
  });

  it('is closed as long as the keys cannot be had', async () => {
    certs.answer = answersWith('', 500);
    await town.user.apply(ingress('app', host, { annotations }));
    await town.until('it is asked about', async () => (await statusWith(null)) === 403);
    expect(await statusWith(token())).to.equal(502);
    await town.until('an Event says so', async () =>
      (await town.messages('app', 'InvalidIngress')).some((text) =>
        text.includes('"acme" cannot be had: HTTP status 500'),
      ),
    );
    certs.answer = answersWith(certsOf(key));
    await town.until('it is served', async () => (await statusWith(token())) === 200);
  });

  it('is told by its pods, too, that the keys cannot be had', async () => {
    certs.answer = answersWith('', 500);
    const inPods = { ...annotations, 'cloudflare-warp/mode': 'pod' };
    await town.user.apply(ingress('app', host, { annotations: inPods }));
    await town.until('an Event says so', async () =>
      (await town.messages('app', 'InvalidIngress')).some((text) =>
        text.includes('"acme" cannot be had: HTTP status 500'),
      ),
    );
    expect(await statusWith(token())).to.equal(502);
  });

  it('stays closed when an edit of its team is not understood', async () => {
    await town.user.apply(ingress('app', host, { annotations }));
    await town.until('it is served', async () => (await statusWith(token())) === 200);
    const broken = { ...annotations, 'cloudflare-warp/access-team': 'acme/evil' };
    await town.user.apply(ingress('app', host, { annotations: broken }));
    await town.until('it is told', async () => (await town.messages('app', 'InvalidIngress')).length > 0);
    expect(await statusWith(null)).to.equal(403);
    expect(await statusWith(token())).to.equal(200);
  });
});
