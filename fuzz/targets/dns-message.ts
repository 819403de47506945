import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import {
  decodeDnsAnswer,
  dnsTypes,
  encodeDnsQuery,
  maxDnsRecords,
} from '../../src/tunnel/wire/dns-message.ts';
import { mutated, words } from '../mutate-bytes.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const dictionary = words('\xc0\x0c', '\xc0\x00', '\xff\xff', '\0', '\x3f', '\0\x21\0\x01', '\0\x1c\0\x01');
const names = ['region1.v2.argotunnel.com', 'a', '', 'x'.repeat(63)];

/** Answers to the one question that finding the edge asks. */
export const dnsMessage: FuzzTarget = {
  name: 'dns-message',
  make(random) {
    const records = random.several(4, () => record(random));
    const question = encodeDnsQuery(0, '_v2-origintunneld._tcp.argotunnel.com', dnsTypes.SRV);
    question.writeUInt16BE(0x8180, 2);
    question.writeUInt16BE(records.length, 6);
    const answer = Buffer.concat([question, ...records]);
    return random.oneIn(4) ? answer : mutated(answer, random, dictionary);
  },
  check(input) {
    const answer = decodeDnsAnswer(0, input);
    if (!answer.ok) return;
    assert.ok(answer.value.length <= maxDnsRecords);
    for (const found of answer.value) {
      if (found.type === 'address') assert.notEqual(isIP(found.address), 0, 'an address is one');
      // The next question is for this name.
      else encodeDnsQuery(0, found.name, dnsTypes.A);
    }
  },
};

function record(random: Random): Buffer {
  const type = random.pick([dnsTypes.A, dnsTypes.AAAA, dnsTypes.SRV, 5]);
  const data =
    type === dnsTypes.A
      ? random.bytes(4)
      : type === dnsTypes.AAAA
        ? random.bytes(16)
        : Buffer.concat([random.bytes(6), nameBytes(random.pick(names))]);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
}
