import assert from 'node:assert/strict';
import { maxHeaderLines } from '../../src/tunnel/origin/http1-head.ts';
import { edgeTrailers } from '../../src/tunnel/proxy-answer.ts';
import { isSendable } from '../../src/tunnel/wire/http2-fields.ts';
import { decodeResponseHeaders, encodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import { readResponse } from '../../test/support/http1-reading.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { inPieces } from '../pieces.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const starts = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 101 Switching',
  'HTTP/1.0 200',
  'HTTP/1.1 204 x',
  'HTTP/1.1 103 x',
];
const lines = [
  ...['Content-Length: 5', 'Content-Length: 0', 'content-length: 5, 5', 'Content-Length: +5'],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'transfer-encoding:\tchunked '],
  ...['Connection: close', 'Keep-Alive: timeout=5, max=9', 'Set-Cookie: a=1', 'X-A:', ': b', 'no colon'],
  ...[
    ' folded: x',
    '\tfolded',
    ' ',
    ' Content-Length: 5',
    'X A: b',
    'Trailer: X-Sum',
    'Cf-Cloudflared-Response-Meta: x',
    'X-B: \xe9\xff',
    'X\0: y',
  ],
];
const bodies = [
  ...['', 'hello', '5\r\nhello\r\n0\r\n\r\n', '5;ext="a"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', '0\r\n\r\n'],
  ...[
    '5\nhello\n0\n\n',
    'fffffffffffff\r\nx',
    '-5\r\nhello\r\n',
    '5\r\nhello!\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
  ],
];
const dictionary = words(
  ...['\r\n', '\n', '\r', '\r\n\r\n', ':', ' ', '\t', '\0', ';', ',', 'HTTP/1.1 100 \r\n\r\n', '0\r\n\r\n'],
  ...['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n'],
);

/** Responses of an origin to a GET that may upgrade. */
export const http1Response: FuzzTarget = {
  name: 'http1-response',
  make(random) {
    const text = Array.from({ length: 1 + random.below(2) }, () => response(random)).join('');
    const bytes = Buffer.from(text, 'latin1');
    return random.oneIn(2) ? bytes : mutated(bytes, random, dictionary);
  },
  check(input) {
    for (const reading of [
      { closes: true },
      { closes: true, method: 'HEAD' },
      { closes: false, upgrade: true },
    ]) {
      const seen = readResponse([input], reading);
      assert.deepEqual(readResponse(inPieces(input), reading), seen);
      assert.ok(seen.body.length <= input.length);
      const headers = seen.head?.headers ?? [];
      assert.ok(headers.length <= 2 * maxHeaderLines);
      // Whatever an origin says can be told to the edge, which refuses what would break its own head.
      const told = decodeResponseHeaders(encodeResponseHeaders(headers));
      if (!told.ok) throw new Error(told.problem);
      assert.ok(!told.value.some((name, at) => at % 2 === 0 && /^cf-(int|cloudflared|proxy)-/i.test(name)));
      const trailers = edgeTrailers(seen.trailers ?? []);
      for (let at = 0; at < trailers.length; at += 2) {
        assert.ok(isSendable(trailers[at]!, trailers[at + 1]!));
        assert.doesNotMatch(trailers[at]!, /^cf-(int|cloudflared|proxy)-/);
      }
    }
  },
};

function response(random: Random): string {
  const head = [random.pick(starts), ...random.several(5, () => random.pick(lines))];
  const end = random.oneIn(8) ? '\n' : '\r\n';
  const text = `${head.join(end)}${end}${end}`;
  return `${random.oneIn(8) ? text.replace(end, '\n') : text}${random.pick(bodies)}`;
}
