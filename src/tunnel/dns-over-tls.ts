import { connect } from 'node:tls';
import { FaultError, fault } from '../fault.ts';
import type { EdgeResolver } from './edge-resolver.ts';
import { type DnsRecord, decodeDnsAnswer, dnsTypes, encodeDnsQuery } from './wire/dns-message.ts';

export interface DnsServer {
  readonly ip: string;
  readonly port: number;
  /** Name in SNI and in its certificate. */
  readonly serverName: string;
  /** PEM; null trusts the public roots. */
  readonly ca: string | null;
}

/** cloudflared's fallback (protocol page section 3). */
export const cloudflareDns: DnsServer = {
  ip: '1.1.1.1',
  port: 853,
  serverName: 'cloudflare-dns.com',
  ca: null,
};

/** DNS over TLS (RFC 7858), one connection per question: it is the last resort, and rare. */
export function dnsOverTls(server: DnsServer): EdgeResolver {
  return {
    async services(name, signal) {
      const records = await ask(server, name, dnsTypes.SRV, signal);
      return records.flatMap((record) => (record.type === 'service' ? [record] : []));
    },
    async addresses(host, signal) {
      const answers = await Promise.allSettled([
        ask(server, host, dnsTypes.A, signal),
        ask(server, host, dnsTypes.AAAA, signal),
      ]);
      const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      const found = records.flatMap((record) => (record.type === 'address' ? [record.address] : []));
      if (found.length > 0) return found;
      // The addresses of one family are enough; why there are none is told by whichever has failed.
      for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
      throw problem(server, `${host} has no address`);
    },
  };
}

/** Random ids protect against forged UDP answers; here TLS does. */
const queryId = 0;

function ask(
  server: DnsServer,
  name: string,
  type: number,
  signal: AbortSignal,
): Promise<readonly DnsRecord[]> {
  const query = encodeDnsQuery(queryId, name, type);
  const { promise, resolve, reject } = Promise.withResolvers<readonly DnsRecord[]>();
  const socket = connect({
    host: server.ip,
    port: server.port,
    servername: server.serverName,
    ...(server.ca === null ? {} : { ca: server.ca }),
  });
  const giveUp = (): void => {
    reject(problem(server, 'given up'));
    socket.destroy();
  };
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  let received = Buffer.alloc(0);
  socket.once('secureConnect', () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
  socket.on('data', (chunk: Buffer) => {
    // At most one message of 64 KiB: its length has two bytes, and we leave once it is there.
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const answer = decodeDnsAnswer(queryId, received.subarray(2, 2 + received.readUInt16BE(0)));
    if (answer.ok) resolve(answer.value);
    else reject(problem(server, answer.problem));
    socket.destroy();
  });
  socket.on('error', (error) => reject(problem(server, error.message)));
  socket.once('close', () => {
    signal.removeEventListener('abort', giveUp);
    reject(problem(server, 'closed without an answer'));
  });
  return promise;
}

function problem(server: DnsServer, what: string): FaultError {
  return new FaultError(fault('edge-discovery', `DNS over TLS at ${server.ip}:${server.port}: ${what}`));
}
