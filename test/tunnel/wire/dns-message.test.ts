import { assert } from 'chai';
import fc from 'fast-check';
import { decodeDnsAnswer, dnsTypes, encodeDnsQuery } from '../../../src/tunnel/wire/dns-message.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
/** Header of an answer to query 0x1234 with one question and `answers` records. */
const head = (answers: number, flags = '8180') =>
  `1234${flags}0001${answers.toString(16).padStart(4, '0')}00000000`;
/** `a.bc` of type SRV, class IN. */
const question = '01 61 02 6263 00 0021 0001';

describe('wire: DNS', () => {
  it('asks for one name, recursively', () => {
    const query = bytes(`1234 0100 0001 0000 0000 0000 ${question}`);
    assert.deepEqual(encodeDnsQuery(0x1234, 'a.bc', dnsTypes.SRV), query);
  });

  it('reads addresses and services, compressed names too, and skips what it does not know', () => {
    const answer = bytes(`${head(4)} ${question}
      c00c 0001 0001 0000003c 0004 c0000201
      c00c 001c 0001 0000003c 0010 20010db8000000000000000000000001
      c00c 0005 0001 0000003c 0002 c00e
      c00c 0021 0001 0000003c 000b 0001 0002 1ea4 02 7231 c00e`);
    assert.deepEqual(decodeDnsAnswer(0x1234, answer), {
      ok: true,
      value: [
        { type: 'address', address: '192.0.2.1' },
        { type: 'address', address: '2001:db8::1' },
        { type: 'service', priority: 1, weight: 2, port: 7844, name: 'r1.bc' },
      ],
    });
  });

  it('knows the root as a target for what it means: there is no such service', () => {
    const answer = bytes(`${head(1)} ${question} c00c 0021 0001 0000003c 0007 0000 0000 0000 00`);
    assert.deepEqual(decodeDnsAnswer(0x1234, answer), { ok: true, value: [] });
  });

  const refused: [string, string, RegExp][] = [
    ['nothing', '', /shorter than its header/],
    ['another query', `4321 8180 ${'0000'.repeat(4)}`, /another query/],
    ['a query', `1234 0100 ${'0000'.repeat(4)}`, /is a query/],
    ['an error', `1234 8183 ${'0000'.repeat(4)}`, /code 3/],
    ['a truncated answer', `1234 8380 ${'0000'.repeat(4)}`, /truncated/],
    ['a name in circles', `${head(1)} ${question} c016`, /in circles/],
    [
      'a target that nobody could ask for',
      `${head(1)} ${question} c00c 0021 0001 0000003c 000a 0001 0002 1ea4 02 612e 00`,
      /no host name/,
    ],
    ['a record that is cut', `${head(1)} ${question} c00c 0001 0001 0000003c 0004 c000`, /ends in a record/],
  ];
  for (const [title, hex, expected] of refused) {
    it(`refuses ${title}`, () => {
      const answer = decodeDnsAnswer(0x1234, bytes(hex));
      assert.match(answer.ok ? '' : answer.problem, expected);
    });
  }

  it('turns arbitrary bytes into records or a problem, nothing else', () => {
    const tail = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(tail, (noise) => {
        decodeDnsAnswer(0x1234, Buffer.concat([bytes(head(9) + question), noise]));
        decodeDnsAnswer(0x1234, Buffer.from(noise));
      }),
      { numRuns: 2000 },
    );
  });
});
