import { expect } from 'chai';
import {
  type KeySet,
  maxKeys,
  notBeforeToleranceSeconds,
  readKeySet,
} from '../../../src/tunnel/access/jwt.ts';
import { AccessKey, certsOf } from '../../support/access-key.ts';

const issuer = 'https://acme.cloudflareaccess.com';
const nowS = Date.UTC(2026, 0, 1) / 1_000;
const claims = { iss: issuer, aud: ['app-1', 'app-2'], exp: nowS + 3_600, iat: nowS, nbf: nowS };

function keysIn(text: string): KeySet {
  const keys = readKeySet(text);
  if (typeof keys === 'string') throw new Error(keys);
  return keys;
}

describe('a token of Access', () => {
  const key = new AccessKey('one');
  const stranger = new AccessKey('one');
  const keys = keysIn(certsOf(key, new AccessKey('two')));
  const outcomeOf = async (token: string) => (await keys.verify(token, issuer, nowS * 1_000)).outcome;

  it('is believed with what it says of whom it is for and how long', async () => {
    expect(await keys.verify(key.token(claims), issuer, nowS * 1_000)).to.deep.equal({
      outcome: 'valid',
      token: { audiences: ['app-1', 'app-2'], expiresAtMs: (nowS + 3_600) * 1_000 },
    });
  });

  it('may name its one audience without a list', async () => {
    const verified = await keys.verify(key.token({ ...claims, aud: 'app-1' }), issuer, nowS * 1_000);
    expect(verified).to.have.nested.property('token.audiences').that.deep.equals(['app-1']);
  });

  const without = (name: keyof typeof claims): object =>
    Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name));
  const [head, , signature] = key.token(claims).split('.');
  const otherPayload = key.token({ ...claims, aud: ['app-3'] }).split('.')[1];
  const cases: readonly [title: string, token: string, outcome: string][] = [
    ['expires in a second', key.token({ ...claims, exp: nowS + 1 }), 'valid'],
    ['expires now', key.token({ ...claims, exp: nowS }), 'invalid'],
    ['expired a second ago', key.token({ ...claims, exp: nowS - 1 }), 'invalid'],
    ['expired long ago', key.token({ ...claims, exp: nowS - 3_600 }), 'invalid'],
    ['never expires', key.token(without('exp')), 'invalid'],
    ['says its end in words', key.token({ ...claims, exp: 'tomorrow' }), 'invalid'],
    ['is for nobody', key.token(without('aud')), 'invalid'],
    ['is valid a little later', key.token({ ...claims, nbf: nowS + notBeforeToleranceSeconds }), 'valid'],
    ['is valid later', key.token({ ...claims, nbf: nowS + notBeforeToleranceSeconds + 1 }), 'invalid'],
    ['has another issuer', key.token({ ...claims, iss: 'https://evil.cloudflareaccess.com' }), 'invalid'],
    ['has no issuer', key.token(without('iss')), 'invalid'],
    ['is unsigned', key.unsignedToken(claims), 'invalid'],
    ['is signed with the public key as a secret', key.confusedToken(claims), 'invalid'],
    ['says another algorithm of the same key', key.token(claims, { alg: 'PS256' }), 'invalid'],
    ['is signed by a stranger under a known kid', stranger.token(claims), 'invalid'],
    ['has the payload of another', `${head}.${otherPayload}.${signature}`, 'invalid'],
    ['brings its own key', stranger.token(claims, { jwk: stranger.jwk }), 'invalid'],
    ['asks for an extension', key.token(claims, { crit: ['x'], x: 1 }), 'invalid'],
    ['has a kid that nobody knows', new AccessKey('three').token(claims), 'unknown-key'],
    ['has no kid where there are two keys', key.token(claims, { kid: undefined }), 'invalid'],
    ['has four parts', `${key.token(claims)}.x`, 'invalid'],
    ['is not one at all', 'x', 'invalid'],
    ['is dots', '..', 'invalid'],
    ['has a head that is no object', `${Buffer.from('[1]').toString('base64url')}.e30.AA`, 'invalid'],
  ];
  for (const [title, token, outcome] of cases) {
    it(`that ${title} is ${outcome}`, async () => {
      expect(await outcomeOf(token)).to.equal(outcome);
    });
  }

  it('is not repeated in why it is not believed', async () => {
    for (const [, token] of cases) {
      const verification = await keys.verify(token, issuer, nowS * 1_000);
      if (verification.outcome !== 'invalid' || token.length < 20) continue;
      expect(verification.why).to.not.contain(token).and.not.contain('evil');
    }
  });
});

describe('the answer of a certs endpoint', () => {
  const key = new AccessKey('one');
  const symmetric = { kty: 'oct', kid: 'one', k: 'AAAA' };
  for (const [title, text, problem] of [
    ['is not JSON', '<html>', 'not JSON'],
    ['is empty', '', 'not JSON'],
    ['is null', 'null', 'no list of keys'],
    ['has no keys', '{}', 'no list of keys'],
    ['has keys that are no list', '{"keys":{}}', 'no list of keys'],
    ['has an empty list', '{"keys":[]}', 'no RSA key with a kid'],
    ['has only rubbish', '{"keys":[null,1,"x",[],{"kty":"RSA"}]}', 'no RSA key with a kid'],
    ['has a secret', JSON.stringify({ keys: [symmetric] }), 'no RSA key with a kid'],
    [
      'is a flood',
      JSON.stringify({ keys: new Array(maxKeys + 1).fill(key.jwk) }),
      `more than ${maxKeys} keys`,
    ],
  ] as const) {
    it(`that ${title} is refused: ${problem}`, () => {
      expect(readKeySet(text)).to.equal(problem);
    });
  }

  it('is read past keys of other kinds', async () => {
    const keys = keysIn(JSON.stringify({ keys: [symmetric, null, key.jwk] }));
    expect((await keys.verify(key.token(claims), issuer, nowS * 1_000)).outcome).to.equal('valid');
  });

  it('with a key that cannot be one admits nobody by it', async () => {
    for (const broken of [{ n: '!!' }, { n: 'AQAB' }, { e: '' }]) {
      const keys = keysIn(JSON.stringify({ keys: [{ ...key.jwk, ...broken }] }));
      expect((await keys.verify(key.token(claims), issuer, nowS * 1_000)).outcome).to.equal('invalid');
    }
  });
});
