import { expect } from 'chai';
import { hostHash, isPublishableHost, readingsOf, tunnelName } from '../../src/domain/host.ts';
import { isLaterVersion } from '../../src/domain/ledger.ts';

describe('hosts', () => {
  const hosts: readonly [host: string, publishable: boolean][] = [
    ['app.example.com', true],
    ['*.example.com', true],
    ['a-b.c0.example.com', true],
    ['localhost', false],
    ['', false],
    ['*', false],
    ['*.com', false],
    ['a.*.com', false],
    ['App.example.com', false],
    ['app_1.example.com', false],
    ['-a.example.com', false],
    ['a..example.com', false],
    ['app.example.com.', false],
    ['app.example.com:80', false],
    [`${'a'.repeat(64)}.example.com`, false],
    [`${'a.'.repeat(130)}com`, false],
  ];
  for (const [host, publishable] of hosts) {
    it(`"${host.slice(0, 40)}" ${publishable ? 'is' : 'is not'} a name to publish`, () => {
      expect(isPublishableHost(host)).to.equal(publishable);
    });
  }

  it('hash to something that fits an object name and a label, wildcards too', () => {
    expect(hostHash('*.example.com')).to.match(/^[0-9a-f]{20}$/);
    expect(hostHash('*.example.com')).to.not.equal(hostHash('example.com'));
  });
});

describe('names of tunnels', () => {
  const cases: readonly [name: string, readings: readonly string[]][] = [
    ['warp-me-app.example.com', ['me app.example.com']],
    ['warp-me-*.example.com', ['me *.example.com']],
    ['warp-a-b-x.example.com', ['a b-x.example.com', 'a-b x.example.com']],
    [
      'warp-a-my-shop.example-site.com',
      ['a my-shop.example-site.com', 'a-my shop.example-site.com', 'a-my-shop.example site.com'],
    ],
    ['warp-a.b-x.example.com', ['a.b x.example.com']],
    ['warp--x.example.com', []],
    ['warp-me-', []],
    ['warp-x.example.com', []],
    ['warp', []],
    ['home-me-app.example.com', []],
  ];
  for (const [name, readings] of cases) {
    it(`${name} may be of ${readings.join(' or ') || 'nobody'}`, () => {
      const found = readingsOf(name);
      expect(found.map(({ identity, host }) => `${identity} ${host}`)).to.deep.equal(readings);
      for (const { identity, host } of found) expect(tunnelName(identity, host)).to.equal(name);
    });
  }
});

describe('ledger versions', () => {
  it('compare as numbers, not as text', () => {
    expect(isLaterVersion('10', '9')).to.equal(true);
    expect(isLaterVersion('9', '10')).to.equal(false);
    expect(isLaterVersion('9', '9')).to.equal(false);
  });
  it('of what is not stored are earlier than all others, and not than themselves', () => {
    expect(isLaterVersion('1', null)).to.equal(true);
    expect(isLaterVersion(null, 'x')).to.equal(false);
    expect(isLaterVersion(null, null)).to.equal(false);
  });
  it('that are no numbers are later when they differ', () => {
    expect(isLaterVersion('x', '9')).to.equal(true);
  });
});
