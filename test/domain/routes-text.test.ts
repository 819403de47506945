import { expect } from 'chai';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { RouteTable } from '../../src/domain/routes.ts';
import { excessOf, routesFromText, routesToText } from '../../src/domain/routes-text.ts';

const host = 'app.example.com';
const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const origin = { addresses: [{ host: '::1', port: 8080 }], settings: defaultOriginSettings, ca };
const table: RouteTable = {
  host,
  routes: [
    { path: '/a', match: 'exact', target: { kind: 'status', status: 503 } },
    { path: '/b', match: 'prefix', target: { kind: 'origin', origin } },
    { path: '/c', match: 'prefix', target: { kind: 'origin', origin: { ...origin, ca: null } } },
    { path: '/', match: 'prefix', target: { kind: 'origin', origin } },
  ],
  access: { team: 'acme', audience: ['one', 'two'] },
};

describe('routes as text', () => {
  it('are read as they were written, and what they share stands there once', () => {
    const text = routesToText(table);
    expect(routesFromText(host, text)).to.deep.equal(table);
    expect(text.split('BEGIN CERTIFICATE')).to.have.length(2);
    expect(text.split('::1')).to.have.length(3);
  });

  it('may be as long as an argument of a process may be', () => {
    const withCaOf = (bytes: number): RouteTable => {
      const target = { kind: 'origin', origin: { ...origin, ca: 'x'.repeat(bytes) } } as const;
      return { host, routes: [{ path: '/', match: 'prefix', target }], access: null };
    };
    const rest = Buffer.byteLength(routesToText(withCaOf(0)));
    expect(excessOf(withCaOf(131_071 - rest))).to.equal(null);
    expect(excessOf(withCaOf(131_072 - rest))).to.include('128 KiB');
  });

  describe('are refused with', () => {
    const route = ['/', 'prefix', 0];
    const wrong: [title: string, text: unknown][] = [
      ['no routes', { origins: [] }],
      [
        'a path that does not begin with a slash',
        { routes: [['a', 'prefix', 0]], origins: [{ to: ['a:80'] }] },
      ],
      ['a match that nobody knows', { routes: [['/', 'regex', 0]], origins: [{ to: ['a:80'] }] }],
      ['an origin that is not there', { routes: [['/', 'prefix', 1]], origins: [{ to: ['a:80'] }] }],
      ['a status that is no number', { routes: [['/', 'prefix', { status: '503' }]], origins: [] }],
      ['an address without a port', { routes: [route], origins: [{ to: ['a'] }] }],
      ['an origin without an address', { routes: [route], origins: [{ to: [] }] }],
      ['a CA that is not there', { routes: [route], origins: [{ to: ['a:80'], ca: 0 }] }],
      ['another protocol', { routes: [route], origins: [{ to: ['a:80'], set: { protocol: 'ftp' } }] }],
      [
        'a setting that nobody knows',
        { routes: [route], origins: [{ to: ['a:80'], set: { colour: 'red' } }] },
      ],
      [
        'a setting of another type',
        { routes: [route], origins: [{ to: ['a:80'], set: { noTlsVerify: 1 } }] },
      ],
      ['an Access policy without a team', { routes: [], origins: [], access: { audience: ['a'] } }],
      ['an Access policy of nobody', { routes: [], origins: [], access: { team: 'acme', audience: [] } }],
    ];
    for (const [title, text] of wrong) {
      it(title, () => expect(routesFromText(host, JSON.stringify(text))).to.equal(null));
    }
    it('what is not JSON', () => expect(routesFromText(host, '{')).to.equal(null));
  });
});
