import assert from 'node:assert/strict';
import { minTunnelSecretBytes, parseTunnelToken } from '../../src/tunnel/token.ts';
import { isUuid } from '../../src/tunnel/wire/uuid.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { mutatedJson } from '../mutate-json.ts';
import type { FuzzTarget } from '../target.ts';

const dictionary = words('=', '==', '\n', ' ', '"a"', '"t":', '__proto__', '{', '}', 'bnVsbA==');

/** Tunnel tokens as users paste them. */
export const tunnelToken: FuzzTarget = {
  name: 'tunnel-token',
  make(random) {
    const json = {
      a: '0123456789abcdef0123456789abcdef',
      t: '11111111-2222-4333-8444-555555555555',
      s: random.bytes(random.pick([32, 31, 48, 0])).toString('base64'),
      ...(random.oneIn(2) ? { e: random.pick(['', 'us', 'fed', 'US', '../x']) } : {}),
    };
    const text = JSON.stringify(mutatedJson(json, random)) ?? '';
    const inner = random.oneIn(3) ? mutated(Buffer.from(text), random, dictionary) : Buffer.from(text);
    const token = Buffer.from(inner.toString('base64'));
    return random.oneIn(3) ? mutated(token, random, dictionary) : token;
  },
  check(input) {
    const text = input.toString('utf8');
    const parsed = parseTunnelToken(text);
    if (!parsed.ok) {
      assert.equal(parsed.fault.code, 'credentials-invalid');
      // The sentences are our own: nothing of what was read, which is a secret, is among their words.
      assert.match(parsed.fault.message, /^the tunnel token [ -~]{1,80}$/);
      return;
    }
    const { accountTag: a, tunnelId: t, tunnelSecret: s } = parsed.value.credentials;
    assert.ok(a !== '' && isUuid(t));
    assert.ok(Buffer.from(s, 'base64').length >= minTunnelSecretBytes);
    const again = Buffer.from(JSON.stringify({ a, t, s, e: parsed.value.region })).toString('base64');
    if (again.length <= 4096) assert.deepEqual(parseTunnelToken(again), parsed);
  },
};
