import { assert } from 'chai';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { Route } from '../../src/domain/routes.ts';
import { localConfiguration } from '../../src/tunnel/local-configuration.ts';

const origin: Route['target'] = {
  kind: 'origin',
  origin: { addresses: [{ host: '10.0.0.1', port: 8080 }], settings: defaultOriginSettings, ca: null },
};

describe('local configuration', () => {
  it("shows our routes as cloudflared's rules, with a catch-all at the end", () => {
    const table = {
      host: 'app.example.com',
      routes: [
        { path: '/a.b', match: 'exact', target: origin },
        { path: '/foo/', match: 'prefix', target: { kind: 'status', status: 503 } },
        { path: '/', match: 'prefix', target: origin },
      ],
      access: null,
    } as const;
    const rule = (path: string, service: string) => ({
      hostname: 'app.example.com',
      path,
      service,
      originRequest: {},
    });
    assert.deepEqual(JSON.parse(localConfiguration(table)), {
      ingress: [
        rule('^/a\\.b$', 'http://10.0.0.1:8080'),
        rule('^/foo(/|$)', 'http_status:503'),
        rule('^(/|$)', 'http://10.0.0.1:8080'),
        { service: 'http_status:404', originRequest: {} },
      ],
      'warp-routing': {},
    });
  });

  it('shows that Access is asked for', () => {
    const access = { team: 'acme', audience: ['a', 'b'] };
    const routes = [{ path: '/', match: 'prefix', target: origin }] as const;
    const shown = JSON.parse(localConfiguration({ host: 'app.example.com', routes, access }));
    assert.deepEqual(shown.ingress[0].originRequest, {
      access: { required: true, teamName: 'acme', audTag: ['a', 'b'] },
    });
  });
});
