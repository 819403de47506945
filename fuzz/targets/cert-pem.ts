import assert from 'node:assert/strict';
import { parseCertPem } from '../../src/cloudflare/cert-pem.ts';
import { mutated, words } from '../mutate-bytes.ts';
import { mutatedJson } from '../mutate-json.ts';
import type { Random } from '../random.ts';
import type { FuzzTarget } from '../target.ts';

const secret = 'v1.0-SECRET-of-the-account';
const types = ['ARGO TUNNEL TOKEN', 'ARGO TUNNEL TOKEN', 'PRIVATE KEY', 'CERTIFICATE', 'RSA PRIVATE KEY'];
const dictionary = words(
  ...['-----BEGIN ARGO TUNNEL TOKEN-----', '-----END ARGO TUNNEL TOKEN-----', '-----', '\n', '\r\n', '\r'],
  ...['-----BEGIN CERTIFICATE-----\n', 'Proc-Type: 4', '=', '\0'],
);

/** `cert.pem` as people mount it. */
export const certPem: FuzzTarget = {
  name: 'cert-pem',
  make(random) {
    const blocks = [block(random, 'ARGO TUNNEL TOKEN'), ...random.several(2, () => block(random))];
    const text = Buffer.from(blocks.join(random.pick(['', '\n', '\r\n', 'words\n'])));
    return random.oneIn(2) ? text : mutated(text, random, dictionary);
  },
  check(input) {
    const text = input.toString('latin1');
    const parsed = parseCertPem(text);
    if (parsed.ok) {
      const { accountId, zoneId, apiToken } = parsed.value;
      assert.ok(accountId !== '' && zoneId !== '');
      assert.match(apiToken, /^[\x21-\x7e]+$/);
    } else {
      assert.equal(parsed.fault.code, 'credentials-invalid');
      assert.ok(parsed.fault.message.length < 300);
      assert.ok(!parsed.fault.message.includes('SECRET'), 'a message repeats the token');
    }
    // Line ends are the editor's, not the user's.
    if (!text.includes('\r')) assert.deepEqual(parseCertPem(text.replaceAll('\n', '\r\n')), parsed);
  },
};

function block(random: Random, type = random.pick(types)): string {
  const json = { zoneID: 'zone', accountID: 'account', apiToken: secret, endpoint: 'fed' };
  const content = random.oneIn(5)
    ? `${'0'.repeat(32)}\n${secret}`
    : (JSON.stringify(mutatedJson(json, random)) ?? '');
  const lines =
    Buffer.from(content)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}
