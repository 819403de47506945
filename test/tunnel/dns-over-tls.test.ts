import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { assert } from 'chai';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { type DnsServer, dnsOverTls } from '../../src/tunnel/dns-over-tls.ts';

/** Answers each question with the record whose type (as hex) is asked for; others get none, and `''` is a failure. */
async function serve(records: Readonly<Record<string, string>>): Promise<{ server: Server; dns: DnsServer }> {
  const authority = createAuthority('dns');
  const server = createServer(authority.issue({ dnsNames: ['dns.test'] }), (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.once('data', (query: Buffer) => {
      const question = query.subarray(14);
      const record = records[question.subarray(-4, -2).toString('hex')];
      const [code, count] = record === '' ? [2, '0000'] : record === undefined ? [0, '0000'] : [0, '0001'];
      const head = Buffer.from(`0000818${code} 0001${count} 00000000`.replaceAll(' ', ''), 'hex');
      const message = Buffer.concat([head, question, Buffer.from(record ?? '', 'hex')]);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(length);
      socket.write(message);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, dns: { ip: '127.0.0.1', port, serverName: 'dns.test', ca: authority.cert } };
}

const quiet = new AbortController().signal;

describe('DNS over TLS', () => {
  it('asks for services and addresses over a verified connection', async () => {
    const { server, dns } = await serve({
      '0001': 'c00c000100010000003c0004c0000201',
      '0021': 'c00c002100010000003c000a000100021ea402723100',
    });
    const resolver = dnsOverTls(dns);
    assert.deepEqual(await resolver.addresses('edge.test', quiet), ['192.0.2.1']);
    const [service] = await resolver.services('_v2._tcp.test', quiet);
    assert.deepInclude(service, { name: 'r1', port: 7844, priority: 1, weight: 2 });
    server.close();
    await once(server, 'close');
  });

  for (const [family, records, address] of [
    ['IPv4', { '0001': 'c00c000100010000003c0004c0000201', '001c': '' }, '192.0.2.1'],
    ['IPv6', { '0001': '', '001c': `c00c001c00010000003c0010${'20010db8'.padEnd(32, '0')}` }, '2001:db8::'],
  ] as const) {
    it(`does with the addresses of ${family} where the others cannot be had`, async () => {
      const { server, dns } = await serve(records);
      const found = await dnsOverTls(dns).addresses('edge.test', quiet).catch(String);
      server.close();
      await once(server, 'close');
      assert.deepEqual(found, [address]);
    });
  }

  it('fails with a sentence when the name is unknown, the server is not who it says, or nobody waits', async () => {
    const { server, dns } = await serve({});
    const message = (promise: Promise<unknown>) =>
      promise.then(
        () => 'answered',
        (error: Error) => error.message,
      );
    assert.match(await message(dnsOverTls(dns).addresses('edge.test', quiet)), /edge.test has no address/);
    const impostor = dnsOverTls({ ...dns, serverName: 'other.test' });
    assert.match(await message(impostor.addresses('edge.test', quiet)), /DNS over TLS at 127.0.0.1/);
    const aborted = AbortSignal.abort();
    assert.match(await message(dnsOverTls(dns).addresses('edge.test', aborted)), /given up/);
    server.close();
    await once(server, 'close');
  });
});
