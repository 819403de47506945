import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type Authority, createAuthority } from '../../src/sandbox/certificates.ts';
import type { KubeObject } from '../support/kube-user.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

function secret(name: string, authority: Authority): KubeObject {
  const data = { 'ca.crt': Buffer.from(authority.cert).toString('base64') };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, data };
}

function httpsIngress(caSecret: string | null): KubeObject {
  const annotations: Record<string, string> = {
    'cloudflare-warp/backend-protocol': 'https',
    'cloudflare-warp/origin-server-name': 'origin.test',
  };
  if (caSecret !== null) annotations['cloudflare-warp/ca-secret'] = caSecret;
  return ingress('web', host, { annotations });
}

describe('an https origin whose CA is in a Secret', function () {
  this.timeout(60_000);
  const authority = createAuthority('private');
  let town: Town;
  let origin: Server;

  beforeEach(async () => {
    town = await startTown();
    origin = createServer(authority.issue({ dnsNames: ['origin.test'] }), (_request, response) =>
      response.end('private'),
    );
    await new Promise<void>((resolve) => origin.listen(0, '0.0.0.0', resolve));
    await town.user.apply(service(), slice('web-1', 'web', (origin.address() as AddressInfo).port));
    await town.startController();
  });
  afterEach(async () => {
    await town.stop();
    origin.closeAllConnections();
    origin.close();
  });

  const answersStatus = (status: number) =>
    town.until(`${host} answers ${status}`, async () => (await town.get(host)).status === status);

  it('is served, and is not without the Secret named', async () => {
    await town.user.apply(secret('my-ca', authority), httpsIngress('my-ca'));
    await town.answers(host, '/', 'private');
    await town.user.apply(httpsIngress(null));
    await answersStatus(502);
  });

  it('is not served while the Secret is missing, which an Event says, and is once it exists', async () => {
    await town.user.apply(httpsIngress('my-ca'));
    await answersStatus(503);
    let [message] = await town.messages('web', 'InvalidIngress');
    await town.until('the Event', async () => {
      [message] = await town.messages('web', 'InvalidIngress');
      return message !== undefined;
    });
    expect(message).to.contain('Secret "my-ca" does not exist').and.contain('"ca.crt"');
    await town.user.apply(secret('my-ca', authority));
    await town.answers(host, '/', 'private');
  });

  it('is not served with the CA of somebody else, and is as soon as the Secret has the right one', async () => {
    await town.user.apply(secret('my-ca', createAuthority('another')), httpsIngress('my-ca'));
    await answersStatus(502);
    await town.user.apply(secret('my-ca', authority));
    await town.answers(host, '/', 'private');
  });
});
