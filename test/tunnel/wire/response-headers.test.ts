import { assert } from 'chai';
import fc from 'fast-check';
import {
  decodeResponseHeaders,
  encodeResponseHeaders,
  maxCachedNames,
} from '../../../src/tunnel/wire/response-headers.ts';
import { valueIn } from '../../support/decoded-value.ts';

describe('wire: serialized response headers', () => {
  const cases: [string, string[], string][] = [
    ['no headers', [], ''],
    ['an empty value', ['X-Empty', ''], 'WC1FbXB0eQ:'],
    ['a name is made canonical', ['content-type', 'text/html'], 'Q29udGVudC1UeXBl:dGV4dC9odG1s'],
    [
      'a repeated name repeats',
      ['Set-Cookie', 'a', 'set-cookie', 'b'],
      'U2V0LUNvb2tpZQ:YQ;U2V0LUNvb2tpZQ:Yg',
    ],
    ['a value in latin1', ['X-A', 'é'], 'WC1B:6Q'],
    [
      'what belongs to the tunnel stays here',
      ['Cf-Int-A', '1', 'cf-cloudflared-b', '2', 'CF-Proxy-C', '3'],
      '',
    ],
    ['HTTP/1.1 framing stays here', ['Transfer-Encoding', 'chunked', 'Trailer', 'X-T'], ''],
    ['hop-by-hop headers go up', ['Connection', 'Upgrade'], 'Q29ubmVjdGlvbg:VXBncmFkZQ'],
  ];
  for (const [title, headers, serialized] of cases) {
    it(`${title}: ${serialized === '' ? 'nothing' : serialized}`, () => {
      assert.strictEqual(encodeResponseHeaders(headers), serialized);
    });
  }

  it('are read back, in order, with canonical names', () => {
    const name = fc.stringMatching(/^X-[A-Z][a-z0-9]{0,80}$/);
    const value = fc.string({
      unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        assert.deepEqual(valueIn(decodeResponseHeaders(encodeResponseHeaders(pairs.flat()))), pairs.flat());
      }),
    );
  });

  it('are written right after the same value, and after another one, of the same name', () => {
    const headers = ['', 'a', 'a', 'ab', 'b', 'b', '', '', 'a'].flatMap((value) => ['X-Turns', value]);
    assert.deepEqual(valueIn(decodeResponseHeaders(encodeResponseHeaders(headers))), headers);
  });

  it('are written right after any number of different names', () => {
    for (let index = 0; index < maxCachedNames * 2 + 5; index++) {
      assert.deepEqual(valueIn(decodeResponseHeaders(encodeResponseHeaders([`x-${index}`, 'v']))), [
        `X-${index}`,
        'v',
      ]);
    }
  });

  const refused: [string, string][] = [
    ['no colon', 'WC1B'],
    ['two colons', 'WC1B:YQ:YQ'],
    ['padding', 'WC1B:YQ=='],
    ['the URL alphabet', 'WC1B:_-8'],
    ['an impossible length', 'WC1B:YQaaa'],
    ['a name that is no token', `${btoa('a b ')}:YQ`],
    ['an empty name', ':YQ'],
    ['a line break in a value', `WC1B:${btoa('a\r\nb: c')}`],
  ];
  for (const [title, serialized] of refused) {
    it(`are refused with ${title}`, () => assert.isFalse(decodeResponseHeaders(serialized).ok));
  }
});
