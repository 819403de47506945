import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect } from 'chai';
import { createAuthority } from '../../src/sandbox/certificates.ts';

describe('sandbox certificates', () => {
  const authority = createAuthority('sandbox');
  const issued = authority.issue({
    dnsNames: ['localhost', '*.example.test'],
    ipAddresses: ['127.0.0.1', '::1', '2001:db8::12:0:0:1'],
  });

  it('are read by OpenSSL as what was asked for', () => {
    const leaf = new X509Certificate(issued.cert);
    const root = new X509Certificate(authority.cert);
    expect(root.ca).to.equal(true);
    expect(leaf.ca).to.equal(false);
    expect(leaf.checkIssued(root)).to.equal(true);
    expect(leaf.verify(root.publicKey)).to.equal(true);
    expect(leaf.subjectAltName).to.equal(
      'DNS:localhost, DNS:*.example.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:12:0:0:1',
    );
    expect(leaf.validFromDate.getTime()).to.be.below(Date.now());
    expect(leaf.validToDate.getTime()).to.be.above(Date.now());
  });

  it('have two serial numbers and keys for two issues', () => {
    const other = authority.issue({ dnsNames: ['localhost'] });
    expect(other.key).not.to.equal(issued.key);
    expect(new X509Certificate(other.cert).serialNumber).not.to.equal(
      new X509Certificate(issued.cert).serialNumber,
    );
  });

  for (const { servername, trusted, accepted } of [
    { servername: 'localhost', trusted: authority, accepted: true },
    { servername: 'a.example.test', trusted: authority, accepted: true },
    { servername: 'a.other.test', trusted: authority, accepted: false },
    { servername: 'localhost', trusted: createAuthority('stranger'), accepted: false },
  ]) {
    const who = trusted === authority ? 'its own authority' : 'another authority';
    it(`are ${accepted ? 'accepted' : 'refused'} for ${servername} by a client that trusts ${who}`, async () => {
      const server = createServer(issued, (socket) => socket.on('error', () => {}).end()).listen(
        0,
        '127.0.0.1',
      );
      server.on('tlsClientError', () => {});
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const client = connect({ port, host: '127.0.0.1', servername, ca: trusted.cert });
      const outcome = await new Promise<boolean>((resolve) => {
        client.on('secureConnect', () => resolve(client.authorized)).on('error', () => resolve(false));
      });
      client.destroy();
      server.close();
      await once(server, 'close');
      expect(outcome).to.equal(accepted);
    });
  }
});
