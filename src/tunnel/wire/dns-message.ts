import { type Decoded, decoded, MalformedError } from './malformed.ts';

/**
 * The little of DNS (RFC 1035) that finding the edge needs when the system's resolver fails: one question out,
 * records of type A, AAAA (RFC 3596) and SRV (RFC 2782) in.
 */

export const dnsTypes = { A: 1, AAAA: 28, SRV: 33 } as const;

export type DnsRecord =
  | { readonly type: 'address'; readonly address: string }
  | {
      readonly type: 'service';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly name: string;
    };

/** Most records of one answer that are looked at. */
export const maxDnsRecords = 128;

/** Pointers followed in one name: compression never needs more, and loops end there. */
const maxNamePointers = 16;
const maxNameLength = 253;
/** What can be asked for next. */
const hostName = /^[\w-]+(?:\.[\w-]+)*$/;

/** A recursive query for one name. */
export function encodeDnsQuery(id: number, name: string, type: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'ascii');
    if (bytes.length === 0 || bytes.length > 63) throw new Error('a DNS name was expected');
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  const kind = Buffer.alloc(5);
  kind.writeUInt16BE(type, 1);
  kind.writeUInt16BE(1, 3);
  return Buffer.concat([header, ...labels, kind]);
}

/** The records of an answer to query `id`; an error code of the server is a problem. Other types are skipped. */
export function decodeDnsAnswer(id: number, message: Buffer): Decoded<readonly DnsRecord[]> {
  return decoded(() => {
    if (message.length < 12) throw new MalformedError('a DNS answer is shorter than its header');
    if (message.readUInt16BE(0) !== id) throw new MalformedError('a DNS answer belongs to another query');
    const flags = message.readUInt16BE(2);
    if ((flags & 0x8000) === 0) throw new MalformedError('a DNS answer is a query');
    if ((flags & 0x0200) !== 0) throw new MalformedError('a DNS answer is truncated');
    if ((flags & 0xf) !== 0) throw new MalformedError(`the DNS server answered with code ${flags & 0xf}`);
    const reader = new Reader(message);
    for (let question = message.readUInt16BE(4); question > 0; question--) {
      reader.name();
      reader.skip(4);
    }
    const records: DnsRecord[] = [];
    const count = Math.min(message.readUInt16BE(6), maxDnsRecords);
    for (let index = 0; index < count; index++) {
      const record = reader.record();
      if (record !== null) records.push(record);
    }
    return records;
  });
}

class Reader {
  readonly #message: Buffer;
  #at = 12;

  constructor(message: Buffer) {
    this.#message = message;
  }

  record(): DnsRecord | null {
    this.name();
    const type = this.#uint16();
    this.skip(6);
    const length = this.#uint16();
    const start = this.#at;
    this.skip(length);
    const data = this.#message.subarray(start, start + length);
    if (type === dnsTypes.A && length === 4) return { type: 'address', address: data.join('.') };
    if (type === dnsTypes.AAAA && length === 16) return { type: 'address', address: ipv6Text(data) };
    if (type !== dnsTypes.SRV || length < 7) return null;
    const { name } = this.#nameAt(start + 6);
    // The root as a target says that there is no such service (RFC 2782).
    if (name === '') return null;
    if (!hostName.test(name)) throw new MalformedError('the target of a service is no host name');
    return {
      type: 'service',
      priority: data.readUInt16BE(0),
      weight: data.readUInt16BE(2),
      port: data.readUInt16BE(4),
      name,
    };
  }

  name(): void {
    this.#at = this.#nameAt(this.#at).end;
  }

  skip(bytes: number): void {
    if (this.#at + bytes > this.#message.length) throw new MalformedError('a DNS answer ends in a record');
    this.#at += bytes;
  }

  #uint16(): number {
    this.skip(2);
    return this.#message.readUInt16BE(this.#at - 2);
  }

  #nameAt(start: number): { name: string; end: number } {
    const labels: string[] = [];
    let length = 0;
    let end: number | null = null;
    let pointers = 0;
    for (let at = start; ; ) {
      const size = this.#message[at];
      if (size === undefined) throw new MalformedError('a DNS answer ends in a name');
      if (size === 0) return { name: labels.join('.'), end: end ?? at + 1 };
      if (size >= 0xc0) {
        const low = this.#message[at + 1];
        if (low === undefined || ++pointers > maxNamePointers)
          throw new MalformedError('a DNS name goes in circles');
        end ??= at + 2;
        at = ((size & 0x3f) << 8) | low;
        continue;
      }
      length += size + 1;
      if (size > 63 || length > maxNameLength + 1) throw new MalformedError('a DNS name is too long');
      if (at + 1 + size > this.#message.length) throw new MalformedError('a DNS answer ends in a name');
      labels.push(this.#message.toString('latin1', at + 1, at + 1 + size));
      at += 1 + size;
    }
  }
}

/** As the system's resolver writes it (RFC 5952): an address is known again by its text. */
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
