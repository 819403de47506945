import assert from 'node:assert/strict';
import { planRequest, requestHeadText, trailerText } from '../../src/tunnel/origin/http1-request.ts';
import { http2RequestHead } from '../../src/tunnel/origin/http2-request.ts';
import { HpackDecoder } from '../../src/tunnel/wire/hpack-decoder.ts';
import type { HeaderField } from '../../src/tunnel/wire/hpack-static.ts';
import { Http2ConnectionError } from '../../src/tunnel/wire/http2-errors.ts';
import { isSendable, readTrailers } from '../../src/tunnel/wire/http2-fields.ts';
import { readRequest } from '../../src/tunnel/wire/http2-request.ts';
import { type Field, literal } from '../header-blocks.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { knownMethods, readRequests } from '../node-http-oracle.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const rules = { connectorId: 'connector', hostHeader: null };
const following = 'GET /following HTTP/1.1\r\nHost: b\r\n\r\n';

/** A header of the request, mostly one that frames a message, is internal, or tries to become two lines. */
const names = [
  ...[':method', ':path', ':scheme', ':authority', ':status', 'host', 'content-length', 'transfer-encoding'],
  ...['connection', 'upgrade', 'te', 'trailer', 'cookie', 'expect', 'keep-alive', 'sec-websocket-version'],
  ...['x-a', 'X-A', 'x a', 'x-a:', '', '\r\nx', 'x\0', 'x\n', 'content-length ', 'content_length'],
  ...['cf-cloudflared-proxy-connection-upgrade', 'cf-cloudflared-proxy-src', 'cf-int-x', 'cf-trace-id'],
];
const soundNames = [
  ...['content-length', 'cookie', 'trailer', 'expect', 'te', 'x-a', 'host', 'sec-websocket-version'],
  ...['cf-cloudflared-proxy-connection-upgrade', 'cf-cloudflared-proxy-src', 'cf-int-x', 'x-forwarded-host'],
];
const values = [
  ...['', '/', '*', 'a', 'a.example.com', 'a:443', 'GET', 'POST', 'CONNECT', 'https', 'http', '0', '5', '-1'],
  ...['+5', '0x5', '5, 5', '5 ', ' 5', 'chunked', 'trailers', 'close', 'websocket', 'x-sum', '100-continue'],
  ...[
    'a\r\nb: c',
    'a\nb: c',
    'a\rb',
    '\0',
    'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n',
    '/a b',
    '/%zz',
  ],
  ...[
    '/a HTTP/1.1\r\nx: y',
    '/?a b',
    '/%2e%2e/%0d%0a',
    'user@a',
    'a/b',
    'a\\b',
    '[::1]:80',
    '\u00e9\u00ff',
    '\t',
  ],
  ...['GET /x HTTP/1.1\r\nHost: a\r\n\r\n', '//a', '/#a', 'http://a/', '2147483648', '9'.repeat(20)],
];
const dictionary = words('\r\n', '\n', '\0', ':', ' ', ',', '\x82', '\x84', '\x87', '\xc0');

/** A request's header block, from its bytes to the head that an origin gets; behind it, trailers. */
export const requestHead: FuzzTarget = {
  name: 'request-head',
  make(random) {
    const block = Buffer.concat(fieldsOf(random).map((field) => literal(field)));
    return random.oneIn(8) ? mutated(block, random, dictionary) : block;
  },
  async check(input) {
    const fields = decoded(input);
    if (fields === null) return;
    for (const ended of [true, false]) {
      const reading = readRequest(fields, ended);
      if (reading.kind !== 'request') continue;
      const { headers } = reading;
      for (let at = 0; at < headers.length; at += 2) assert.ok(!headers[at]!.startsWith(':'));
      const plan = planRequest(reading, rules);
      if ('refused' in plan) continue;
      for (const framing of ['none', 'chunked', { length: 3 }] as const) {
        const head = requestHeadText(plan, framing);
        const body = framing === 'none' ? '' : framing === 'chunked' ? '0\r\n\r\n' : 'abc';
        await isOneRequest(head, body, plan.method, plan.websocket);
        isHttp2Head(http2RequestHead(plan, framing, 'https'));
      }
    }
    const trailers = readTrailers(fields);
    if (trailers === null) return;
    for (let at = 0; at < trailers.length; at += 2) {
      assert.ok(isSendable(trailers[at]!, trailers[at + 1]!), 'a trailer cannot be sent on');
    }
    const plan = planRequest(
      {
        method: 'POST',
        scheme: 'https',
        path: '/',
        authority: 'a',
        headers: ['trailer', 'x-a, X-A, cookie, content-length'],
        ended: false,
      },
      rules,
    );
    if ('refused' in plan) throw new Error(plan.refused);
    assert.match(
      trailerText(plan.announcedTrailers, trailers),
      /^([\w!#$%&'*+\-.^`|~]+: [\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/,
    );
  },
};

/** A request that is sound but for one or two things: what is wrong at every turn gets no further than the first. */
function fieldsOf(random: Random): Field[] {
  const fields: Field[] = [
    [':method', random.pick(['GET', 'POST', 'PUT'])],
    [':scheme', 'https'],
    [':path', random.pick(['/', '/a?b=c', '/%2e/', '*'])],
    [':authority', 'a.example.com'],
    ...random.several(
      4,
      (): Field => [random.pick(soundNames), random.pick(['', 'a', '3', 'x-a', 'websocket'])],
    ),
  ];
  for (let left = random.below(3); left > 0; left -= 1) {
    const at = random.below(fields.length);
    const [name, value] = fields[at]!;
    const noisy = mutated(Buffer.from(value, 'latin1'), random, dictionary).toString('latin1');
    if (random.oneIn(3)) fields[at] = [name, random.pick(values)];
    else if (random.oneIn(2)) fields[at] = [name, noisy];
    else if (random.oneIn(4)) fields.splice(at, 1);
    else fields.push([random.pick(names), random.pick(values)]);
  }
  return fields;
}

function decoded(block: Buffer): HeaderField[] | null {
  try {
    const decoder = new HpackDecoder(4096, { maxListBytes: 2 ** 20, maxFields: 4096 });
    return decoder.decode(block, 0, block.length);
  } catch (thrown) {
    if (thrown instanceof Http2ConnectionError) return null;
    throw thrown;
  }
}

/** Head and body are one request for a strict reader, and what follows them is another one. */
async function isOneRequest(head: string, body: string, method: string, websocket: boolean): Promise<void> {
  const lines = head.split('\r\n');
  assert.deepEqual(lines.splice(-2), ['', '']);
  assert.doesNotMatch(lines.join(''), /[\r\n\0]/);
  assert.match(lines.shift() ?? '', /^[^ ]+ [^ ]+ HTTP\/1\.1$/);
  for (const line of lines) assert.match(line, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*$/);
  const count = (name: string): number => lines.filter((line) => line.startsWith(`${name}: `)).length;
  assert.deepEqual([count('Host'), count('Connection')], [1, 1]);
  assert.ok(count('Content-Length') + count('Transfer-Encoding') <= 1, 'a body is framed twice');
  if (websocket || !knownMethods.has(method)) return;
  const [, target] = head.split(' ', 2);
  const { requests, refused } = await readRequests(Buffer.from(head + body + following, 'latin1'));
  if (refused) return;
  assert.deepEqual(requests, [`${method} ${target}`, 'GET /following']);
}

/** For an origin that speaks HTTP/2: RFC 9113, section 8.2. */
function isHttp2Head(fields: readonly string[]): void {
  const [pseudo, headers] = [fields.slice(0, 8), fields.slice(8)];
  const names = pseudo.filter((_text, at) => at % 2 === 0);
  assert.deepEqual(names, [':method', ':scheme', ':authority', ':path']);
  for (let at = 0; at < pseudo.length; at += 2) assert.ok(isSendable('pseudo', pseudo[at + 1]!));
  for (let at = 0; at < headers.length; at += 2) {
    assert.ok(isSendable(headers[at]!, headers[at + 1]!));
    assert.doesNotMatch(
      headers[at]!,
      /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|host)$/,
    );
  }
}
