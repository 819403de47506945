import { expect } from 'chai';
import type { RouteTable } from '../../src/domain/routes.ts';
import { routesToUrl, urlOf } from '../../src/domain/url-routes.ts';

describe('routes to a URL', () => {
  const addresses: [url: string, host: string, port: number, protocol: string][] = [
    ['http://svc', 'svc', 80, 'http'],
    ['http://svc:8080', 'svc', 8080, 'http'],
    ['https://svc.ns.svc', 'svc.ns.svc', 443, 'https'],
    ['https://svc:8443', 'svc', 8443, 'https'],
    ['http://[::1]:8080', '::1', 8080, 'http'],
  ];
  for (const [url, host, port, protocol] of addresses) {
    it(url, () => {
      const [route, ...more] = routesToUrl('app.example.com', url).routes;
      expect(more).to.deep.equal([]);
      expect(route).to.include({ path: '/', match: 'prefix' });
      expect(route?.target).to.deep.nested.include({
        'origin.addresses': [{ host, port }],
        'origin.settings.protocol': protocol,
      });
    });
  }
});

describe('the URL that says as much as a table', () => {
  for (const url of ['http://svc:8080', 'https://svc:8443', 'http://[::1]:80']) {
    it(`is that of which it was made: ${url}`, () =>
      expect(urlOf(routesToUrl('app.example.com', url))).to.equal(url));
  }

  const plain = routesToUrl('app.example.com', 'http://svc:80');
  const [route] = plain.routes;
  const more: [title: string, table: RouteTable][] = [
    ['no route', { ...plain, routes: [] }],
    ['an answer of our own', { ...plain, routes: [{ ...route!, target: { kind: 'status', status: 503 } }] }],
    ['two routes', { ...plain, routes: [route!, { ...route!, path: '/a' }] }],
    ['a path', { ...plain, routes: [{ ...route!, path: '/a' }] }],
    ['an Access policy', { ...plain, access: { team: 'acme', audience: ['a'] } }],
  ];
  for (const [title, table] of more) it(`is none with ${title}`, () => expect(urlOf(table)).to.equal(null));

  it('is none with an address that no URL can have', () => {
    const target = route!.target.kind === 'origin' ? route!.target : expect.fail('an origin');
    const origin = { ...target.origin, addresses: [{ host: 'not a host', port: 80 }] };
    expect(urlOf({ ...plain, routes: [{ ...route!, target: { ...target, origin } }] })).to.equal(null);
  });
});
