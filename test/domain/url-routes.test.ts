import { expect } from 'chai';
import { routesToUrl } from '../../src/domain/url-routes.ts';

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
