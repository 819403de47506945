import assert from 'node:assert/strict';
import { decodeResponseHeaders, encodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import { mutated, words } from '../mutate-bytes.ts';
import type { FuzzTarget } from '../target.ts';

const names = ['Set-Cookie', 'content-type', 'X', 'Cf-Int-A', 'cf-cloudflared-x', 'Trailer', 'x-ÿ', ':a', ''];
const values = ['', 'a', 'a=1; b', '\u00e9\u00ff', 'a\r\nb: c', '\0', 'x'.repeat(200)];
const dictionary = words(';', ':', '::', '=', '-', '_', ';;', 'DQo:', 'AA');

/** The one header that carries an origin's headers. */
export const responseHeaders: FuzzTarget = {
  name: 'response-headers',
  make(random) {
    const list = random.several(8, () => [random.pick(names), random.pick(values)]).flat();
    const text = Buffer.from(encodeResponseHeaders(list));
    return random.oneIn(3) ? text : mutated(text, random, dictionary);
  },
  check(input) {
    const decoded = decodeResponseHeaders(input.toString('latin1'));
    if (!decoded.ok) return;
    const sent: string[] = [];
    for (let at = 0; at < decoded.value.length; at += 2) {
      const [name, value] = decoded.value.slice(at, at + 2) as [string, string];
      assert.match(name, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
      assert.doesNotMatch(value, /[\r\n\0]/);
      if (!/^(cf-int-|cf-cloudflared-|cf-proxy-|transfer-encoding$|trailer$)/i.test(name)) {
        sent.push(name.toLowerCase(), value);
      }
    }
    const again = decodeResponseHeaders(encodeResponseHeaders(decoded.value));
    if (!again.ok) throw new Error(`what was decoded cannot be sent: ${again.problem}`);
    assert.deepEqual(
      again.value.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text)),
      sent,
    );
  },
};
