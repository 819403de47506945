import { expect } from 'chai';
import { parseCertPem } from '../../src/cloudflare/cert-pem.ts';

const secret = 'v1.0-cafe-do-not-show';
const fields = { zoneID: 'z'.repeat(32), accountID: 'a'.repeat(32), apiToken: secret };

function block(type: string, body: string): string {
  const lines =
    Buffer.from(body)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}

function tokenBlock(content: object | string): string {
  return block('ARGO TUNNEL TOKEN', typeof content === 'string' ? content : JSON.stringify(content));
}

function messageOf(text: string): string {
  const parsed = parseCertPem(text);
  expect(parsed.ok, 'accepted').to.equal(false);
  if (parsed.ok) return '';
  expect(parsed.fault.code).to.equal('credentials-invalid');
  return parsed.fault.message;
}

describe('cert.pem', () => {
  const good = { accountId: fields.accountID, zoneId: fields.zoneID, apiToken: secret, endpoint: '' };

  it('is read from a file that holds the token alone', () => {
    expect(parseCertPem(tokenBlock(fields))).to.deep.equal({ ok: true, value: good });
  });

  it('is read from an older file with key and certificate before the token', () => {
    const text = block('PRIVATE KEY', 'k') + block('CERTIFICATE', 'c') + tokenBlock(fields);
    expect(parseCertPem(text)).to.deep.equal({ ok: true, value: good });
  });

  it('is read whatever ends its lines, and with text around the blocks', () => {
    const text = `\uFEFF# from the dashboard\n${tokenBlock({ ...fields, extra: 1 })}bye\n`.replaceAll(
      '\n',
      '\r\n',
    );
    expect(parseCertPem(text)).to.deep.equal({ ok: true, value: good });
  });

  it('keeps the endpoint in lower case', () => {
    const parsed = parseCertPem(tokenBlock({ ...fields, endpoint: 'FED' }));
    expect(parsed.ok && parsed.value.endpoint).to.equal('fed');
  });

  const refused: readonly [string, string, RegExp][] = [
    ['an empty file', '', /the file is empty/],
    ['white space alone', ' \n\n', /the file is empty/],
    ['a file that is no PEM', 'hello', /holds no PEM block/],
    [
      'an unknown block',
      block('RSA PRIVATE KEY', 'k') + tokenBlock(fields),
      /unknown block "RSA PRIVATE KEY"/,
    ],
    ['two tokens', tokenBlock(fields) + tokenBlock(fields), /more than one token/],
    ['a block without its end', tokenBlock(fields).slice(0, 80), /no end line/],
    [
      'base64 that is cut off',
      tokenBlock(fields).replace(/.{3}\n-----END/, '\n-----END'),
      /cut off or not base64/,
    ],
    ['an empty block', '-----BEGIN ARGO TUNNEL TOKEN-----\n-----END ARGO TUNNEL TOKEN-----\n', /not base64/],
    ['content that is not JSON', tokenBlock('what'), /is not JSON/],
    ['content that is a list', tokenBlock('[1]'), /not a JSON object/],
    ['a field of another type', tokenBlock({ ...fields, apiToken: 7 }), /"apiToken" is no string/],
    [
      'a token with a line break',
      tokenBlock({ ...fields, apiToken: `${secret}\nx` }),
      /characters that no token/,
    ],
    ['no token', tokenBlock({ ...fields, apiToken: '' }), /"apiToken" is missing; log in again/],
    ['no zone', tokenBlock({ ...fields, zoneID: '' }), /"zoneID" is missing; log in again/],
    ['no account', tokenBlock({ ...fields, accountID: '' }), /"accountID" is missing; log in again/],
    ['key and certificate alone', block('PRIVATE KEY', 'k') + block('CERTIFICATE', 'c'), /log in again/],
    ['the service key era', tokenBlock({ zoneID: 'z', serviceKey: secret }), /service key .* log in again/],
    ['the plain text form', tokenBlock(`${'0'.repeat(32)}\n${secret}`), /plain text form .* log in again/],
  ];
  for (const [what, text, pattern] of refused) {
    it(`says what is wrong with ${what}, and no secret`, () => {
      const message = messageOf(text);
      expect(message).to.match(pattern);
      expect(message).not.to.include(secret);
    });
  }
});
