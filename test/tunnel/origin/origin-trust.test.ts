import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, getCACertificates, type Server, setDefaultCACertificates } from 'node:tls';
import { expect } from 'chai';
import { createAuthority } from '../../../src/sandbox/certificates.ts';
import { cloudflareRoots } from '../../../src/tunnel/cloudflare-roots.ts';
import { rootsWith, trustIn } from '../../../src/tunnel/origin/origin-trust.ts';

describe('what is trusted beside the roots of Node.js', () => {
  const own = createAuthority('own');
  const known = createAuthority('known to everybody');
  const roots = getCACertificates('default');
  let server: Server;
  before(async () => {
    const { key, cert } = known.issue({ dnsNames: ['localhost'], ipAddresses: [] });
    server = createServer({ key, cert }).listen(0, '127.0.0.1');
    server.on('tlsClientError', () => {});
    await once(server, 'listening');
  });
  after(() => void server.close());
  afterEach(() => setDefaultCACertificates([...roots]));

  const isTrusted = (ca: string): Promise<boolean> =>
    new Promise((resolve) => {
      const { port } = server.address() as AddressInfo;
      const socket = connect({ port, servername: 'localhost', secureContext: trustIn(ca) });
      const settle = (trusted: boolean): void => {
        socket.destroy();
        resolve(trusted);
      };
      socket.once('secureConnect', () => settle(true)).once('error', () => settle(false));
    });

  it('takes nothing from those', async () => {
    expect(await isTrusted(`${own.cert}\n`)).to.equal(false);
    setDefaultCACertificates([...roots, known.cert]);
    expect(await isTrusted(own.cert)).to.equal(true);
  });

  it("are Cloudflare's roots, also where no CA is named: many origins have a certificate of its origin CA", () => {
    for (const ca of [null, own.cert])
      expect(rootsWith(ca)).to.include.members([...getCACertificates('default'), ...cloudflareRoots]);
    expect(rootsWith(own.cert)).to.include(own.cert);
    expect(trustIn(null)).to.not.equal(trustIn(own.cert));
  });

  it('is read once for many connections, and not kept for ever', () => {
    const first = trustIn(own.cert);
    expect(trustIn(own.cert)).to.equal(first);
    for (let other = 1; other <= 32; other += 1) trustIn(own.cert + '\n'.repeat(other));
    expect(trustIn(own.cert)).to.not.equal(first);
  });
});
