import { expect } from 'chai';
import fc from 'fast-check';
import { HpackDecoder } from '../../../src/tunnel/wire/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/tunnel/wire/hpack-encoder.ts';
import {
  huffmanDecode,
  huffmanEncode,
  huffmanLength,
  maxDecodedBytes,
} from '../../../src/tunnel/wire/hpack-huffman.ts';
import { Http2ConnectionError, http2Error } from '../../../src/tunnel/wire/http2-errors.ts';

const generous = { maxListBytes: 2 ** 20, maxFields: 4096 };

function decodeHex(decoder: HpackDecoder, hex: string): string[] | null {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return decoder.decode(bytes, 0, bytes.length)?.map(({ name, value }) => `${name}: ${value}`) ?? null;
}

function codeOf(act: () => unknown): number {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Http2ConnectionError) return thrown.code;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

const request1 = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
const request3 = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
];
const response1 = [
  ':status: 302',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:21 GMT',
  'location: https://www.example.com',
];
const response2 = [':status: 307', ...response1.slice(1)];
const response3 = [
  ':status: 200',
  'cache-control: private',
  'date: Mon, 21 Oct 2013 20:13:22 GMT',
  'location: https://www.example.com',
  'content-encoding: gzip',
  'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
];

describe('HPACK', () => {
  describe('decodes the examples of RFC 7541, appendix C', () => {
    const examples: [title: string, tableBytes: number, blocks: [hex: string, fields: string[]][]][] = [
      [
        'C.2.1 literal with indexing',
        4096,
        [['400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key: custom-header']]],
      ],
      ['C.2.2 literal without indexing', 4096, [['040c2f73616d706c652f70617468', [':path: /sample/path']]]],
      ['C.2.3 literal never indexed', 4096, [['100870617373776f726406736563726574', ['password: secret']]]],
      ['C.2.4 indexed', 4096, [['82', [':method: GET']]]],
      [
        'C.3 requests',
        4096,
        [
          ['828684410f7777772e6578616d706c652e636f6d', request1],
          ['828684be58086e6f2d6361636865', [...request1, 'cache-control: no-cache']],
          ['828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565', request3],
        ],
      ],
      [
        'C.4 requests in Huffman code',
        4096,
        [
          ['828684418cf1e3c2e5f23a6ba0ab90f4ff', request1],
          ['828684be5886a8eb10649cbf', [...request1, 'cache-control: no-cache']],
          ['828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf', request3],
        ],
      ],
      [
        'C.5 responses, with eviction',
        256,
        [
          [
            '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54' +
              '6e1768747470733a2f2f7777772e6578616d706c652e636f6d',
            response1,
          ],
          ['4803333037c1c0bf', response2],
          [
            '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f' +
              '3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076' +
              '657273696f6e3d31',
            response3,
          ],
        ],
      ],
      [
        'C.6 responses in Huffman code, with eviction',
        256,
        [
          [
            '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f' +
              '0b97c8e9ae82ae43d3',
            response1,
          ],
          ['4883640effc1c0bf', response2],
          [
            '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335df' +
              'dfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
            response3,
          ],
        ],
      ],
    ];
    for (const [title, tableBytes, blocks] of examples) {
      it(title, () => {
        const decoder = new HpackDecoder(tableBytes, generous);
        for (const [hex, fields] of blocks) expect(decodeHex(decoder, hex)).to.deep.equal(fields);
      });
    }
  });

  describe('refuses as COMPRESSION_ERROR', () => {
    const cases: [title: string, hex: string][] = [
      ['index 0', '80'],
      ['an index beyond both tables', 'be'],
      ['a name index beyond both tables', '7e0161'],
      ['a string longer than its block', '000561'],
      ['a missing value', '000161'],
      ['an integer that is cut off', 'ff'],
      ['an integer that is too long', 'ff8080808080808001'],
      ['an integer that is too large', '7fffffffff7f'],
      ['a table size above what was announced', '3fe21f'],
      ['a table size update behind a field', '8220'],
      ['a third table size update', '20202082'],
      ['Huffman padding that is too long', '0082ffff0161'],
      ['Huffman padding of zeros', '0081000161'],
      ['an end-of-string symbol', '0084fffffffc0161'],
    ];
    for (const [title, hex] of cases) {
      it(title, () => {
        expect(codeOf(() => decodeHex(new HpackDecoder(4096, generous), hex))).to.equal(
          http2Error.compressionError,
        );
      });
    }
  });

  it('goes on behind a list that is too large, with the table as the peer has it', () => {
    const decoder = new HpackDecoder(4096, { maxListBytes: 100, maxFields: 100 });
    // `a: b` is put into the table by a block whose list is too large, also behind the point where it is.
    const filler = '0001630164'.repeat(8);
    expect(decodeHex(decoder, `${filler}4001610162`)).to.equal(null);
    expect(decodeHex(decoder, 'be')).to.deep.equal(['a: b']);
  });

  it('refuses a list of more fields than allowed', () => {
    const decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 20, maxFields: 3 });
    expect(decodeHex(decoder, '82828282')).to.equal(null);
    expect(decodeHex(decoder, '828282')).to.have.length(3);
  });

  it('is not made to hold much by a block of references to one large entry', () => {
    const decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 20, maxFields: 4096 });
    const value = '61'.repeat(4000);
    expect(decodeHex(decoder, `4001617fa11e${value}`)).to.have.length(1);
    expect(decodeHex(decoder, 'be'.repeat(100_000))).to.equal(null);
  });

  it('throws nothing but COMPRESSION_ERROR on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }), (blocks) => {
        const decoder = new HpackDecoder(256, { maxListBytes: 400, maxFields: 5 });
        for (const block of blocks) {
          try {
            decoder.decode(Buffer.from(block), 0, block.length);
          } catch (thrown) {
            expect(thrown).to.be.instanceOf(Http2ConnectionError);
            expect((thrown as Http2ConnectionError).code).to.equal(http2Error.compressionError);
            return;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  describe('in Huffman code', () => {
    it('brings back every latin1 string, in as many bytes as foretold', () => {
      const latin1 = fc.string({
        unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      });
      fc.assert(
        fc.property(latin1, (text) => {
          const coded = Buffer.alloc(text.length * 4 + 1);
          const end = huffmanEncode(text, coded, 0);
          expect(end).to.equal(huffmanLength(text));
          const target = Buffer.alloc(Math.max(1, maxDecodedBytes(end)));
          const bytes = huffmanDecode(coded, 0, end, target);
          expect(target.toString('latin1', 0, bytes)).to.equal(text);
        }),
      );
    });
  });

  describe('encoder', () => {
    const name = fc.constantFrom(
      'content-length',
      'content-type',
      'cf-cloudflared-response-meta',
      'set-cookie',
      'grpc-status',
      'x-a',
      'x-b',
    );
    const value = fc.oneof(
      fc.constantFrom('', '1', '{"src":"origin"}'),
      fc.string({ unit: 'binary-ascii', maxLength: 40 }),
      fc.constantFrom(200, 300, 2000, 40_000, 80_000).map((length) => 'ab1+'.repeat(length / 4)),
    );
    const headers = fc.array(fc.tuple(name, value), { maxLength: 8 }).map((fields) => fields.flat());
    const status = fc.constantFrom(0, 103, 200, 204, 206, 301, 304, 400, 404, 500, 502);
    const tableBytes = fc.option(fc.constantFrom(0, 60, 100, 4096, 65_536), { nil: null });

    it('is understood by the decoder, whatever table sizes the peer asks for in between', () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(status, headers, fc.array(tableBytes, { maxLength: 3 }))), (blocks) => {
          const encoder = new HpackEncoder();
          const decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 24, maxFields: 100 });
          for (const [statusCode, list, sizes] of blocks) {
            for (const size of sizes) if (size !== null) encoder.setPeerTableBytes(size);
            const target = Buffer.alloc(HpackEncoder.maxBytes(list));
            const end = encoder.encode(statusCode, list, target, 0);
            const fields = decoder.decode(target, 0, end)!.flatMap((field) => [field.name, field.value]);
            expect(fields).to.deep.equal(statusCode === 0 ? list : [':status', String(statusCode), ...list]);
          }
        }),
      );
    });

    it('sends the technical headers of a response in a few bytes from the third time on', () => {
      const encoder = new HpackEncoder();
      const list = ['cf-cloudflared-response-meta', '{"src":"origin"}'];
      const target = Buffer.alloc(200);
      const sizes = [1, 2, 3].map(() => encoder.encode(200, list, target, 0));
      expect(sizes[2]).to.equal(2);
      expect(sizes[0]).to.be.greaterThan(40);
    });

    it('never lets a cookie be put into a table', () => {
      const encoder = new HpackEncoder();
      const target = Buffer.alloc(200);
      for (let i = 0; i < 3; i++) {
        encoder.encode(0, ['set-cookie', 'a=b'], target, 0);
        expect(target[0]! & 0xf0).to.equal(0x10);
      }
    });

    it('makes a field of 72,000 base64 characters fit into 64 KiB', () => {
      const target = Buffer.alloc(100_000);
      const text = Buffer.alloc(54_000, 'abc 123').toString('base64');
      expect(text.length).to.equal(72_000);
      expect(new HpackEncoder().encode(0, ['x', text], target, 0)).to.be.lessThan(64 * 1024);
    });
  });
});
