import { assert } from 'chai';
import { parseTunnelToken } from '../../src/tunnel/token.ts';

const secret = Buffer.alloc(32, 7).toString('base64');
const good = { a: 'account', t: '11111111-2222-4333-8444-555555555555', s: secret };
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

describe('tunnel token', () => {
  it('gives account, tunnel, secret and region', () => {
    assert.deepEqual(parseTunnelToken(` ${encode({ ...good, e: 'us' })}\n`), {
      ok: true,
      value: {
        credentials: { accountTag: 'account', tunnelId: good.t, tunnelSecret: secret },
        region: 'us',
      },
    });
  });

  it('has the default region without an endpoint', () => {
    const parsed = parseTunnelToken(encode(good));
    assert.strictEqual(parsed.ok && parsed.value.region, '');
  });

  const refused: [string, string, RegExp][] = [
    ['nothing', '', /is empty/],
    ['text that is no base64', 'not a token!', /not base64/],
    ['base64 that is no JSON', Buffer.from('hello').toString('base64'), /JSON object/],
    ['JSON that is no object', encode('hello'), /JSON object/],
    ['JSON null', encode(null), /JSON object/],
    ['a JSON list', encode([]), /no account tag/],
    ['no account', encode({ ...good, a: '' }), /account tag/],
    ['a tunnel that is no UUID', encode({ ...good, t: 'mine' }), /UUID/],
    ['no secret', encode({ ...good, s: 5 }), /secret/],
    ['a short secret', encode({ ...good, s: 'AAAA' }), /fewer than 32 bytes/],
    ['a strange endpoint', encode({ ...good, e: 'us.evil.example' }), /region/],
    ['a book', 'A'.repeat(5000), /longer than 4096/],
  ];
  for (const [title, token, expected] of refused) {
    it(`is refused with ${title}, and the secret is not repeated`, () => {
      const parsed = parseTunnelToken(token);
      if (parsed.ok) throw new Error('was to be refused');
      assert.strictEqual(parsed.fault.code, 'credentials-invalid');
      assert.match(parsed.fault.message, expected);
      assert.notInclude(parsed.fault.message, secret);
    });
  }
});
