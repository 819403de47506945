import assert from 'node:assert/strict';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import { Http2ConnectionError } from '../../src/tunnel/wire/http2-errors.ts';
import { isSendable } from '../../src/tunnel/wire/http2-fields.ts';
import { readResponse } from '../../src/tunnel/wire/http2-response.ts';
import { decodeResponseHeaders, encodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import { type Field, literal } from '../header-blocks.ts';
import { mutated, words } from '../mutate-bytes.ts';
import type { FuzzTarget } from '../target.ts';

const names = [
  ...[
    ':status',
    ':method',
    ':x',
    '',
    'content-length',
    'connection',
    'transfer-encoding',
    'set-cookie',
    'te',
  ],
  ...['x-a', 'X-A', 'x\r\ny', 'cf-cloudflared-response-meta', 'host', 'trailer', 'upgrade'],
];
const values = [
  ...['200', '20', '101', '', ' a', 'a\t', 'a\r\nb: c', '\0', '5', '-5', '5, 5', '\u00e9'],
  ...['9'.repeat(16), '5 '],
];
const dictionary = words('\r\n', '\n', '\0', ':', ' ', '\x88', '\x40');

/** The head of an origin's response over HTTP/2, from its block to what the edge is told. */
export const http2ResponseHead: FuzzTarget = {
  name: 'http2-response-head',
  make(random) {
    const fields: Field[] = [
      [':status', random.pick(['200', '204', '103', '500'])],
      ...random.several(6, (): Field => [random.pick(names), random.pick(values)]),
    ];
    const block = Buffer.concat(fields.map((field) => literal(field, random.oneIn(3))));
    return random.oneIn(2) ? block : mutated(block, random, dictionary);
  },
  check(input) {
    const decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 20, maxFields: 4096 });
    try {
      const fields = decoder.decode(input, 0, input.length);
      const reading = fields === null ? null : readResponse(fields);
      if (reading?.kind !== 'response') return;
      assert.ok(reading.status >= 100 && reading.status <= 999);
      const { headers } = reading;
      for (let at = 0; at < headers.length; at += 2) {
        assert.ok(isSendable(headers[at]!, headers[at + 1]!), 'a header cannot be sent on');
        assert.doesNotMatch(headers[at]!, /^(connection|keep-alive|transfer-encoding|upgrade)$/);
      }
      const told = decodeResponseHeaders(encodeResponseHeaders(headers));
      assert.ok(told.ok, 'the edge could not read it');
    } catch (thrown) {
      if (!(thrown instanceof Http2ConnectionError)) throw thrown;
    }
  },
};
