import { expect } from 'chai';
import { describeSandboxOptions, readSandboxConfig } from '../../src/config/sandbox.ts';
import { describeTunnelOptions, readTunnelConfig } from '../../src/config/tunnel.ts';
import { routesToText } from '../../src/domain/routes-text.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';

describe('config of tunnel', () => {
  const needed = ['--hostname', 'App.example.com', '--url', 'http://svc:8080/'];
  const read = (argv: string[], env: Record<string, string> = {}) => readTunnelConfig(argv, env, false);
  const message = (argv: string[], env: Record<string, string> = {}): string => {
    const result = read(argv, env);
    return result.ok ? 'nothing was refused' : result.fault.message;
  };
  const source = (argv: string[], env: Record<string, string> = {}) => {
    const result = read([...needed, ...argv], env);
    return result.ok ? result.value.source : result.fault.message;
  };

  it('needs no more than host, URL and a token', () => {
    expect(read([...needed, '--token-file', '/t'])).to.deep.equal({
      ok: true,
      value: {
        hostname: 'app.example.com',
        routes: routesToUrl('app.example.com', 'http://svc:8080'),
        source: { from: 'token-file', path: '/t' },
        apiUrl: null,
        edge: [],
        cacert: null,
        haConnections: 4,
        graceMs: 30_000,
        accessCertsUrl: null,
        metrics: null,
        log: { level: 'info', format: 'json' },
      },
    });
  });

  it('says what is missing', () => {
    expect(message(['--url', 'http://svc'])).to.match(/^--hostname is missing: expected a host name/);
    expect(message(['--hostname', 'a.example'])).to.match(/^--url is missing: expected an http or https URL/);
    expect(message(['--hostname', 'one-label'])).to.match(
      /^--hostname: got "one-label", expected a host name/,
    );
  });

  it('gets the tunnel from the flag, else from the token, else from a file, else with a certificate', () => {
    const env = { TUNNEL_TOKEN: 'x', TUNNEL_TOKEN_FILE: '/env' };
    expect(source(['--token-file', '/flag'], env)).to.deep.equal({ from: 'token-file', path: '/flag' });
    expect(source(['--origincert', '/c'], env)).to.deep.equal({
      from: 'origincert',
      path: '/c',
      tunnel: null,
    });
    expect(source([], env)).to.deep.equal({ from: 'token', token: 'x' });
    expect(source([], { TUNNEL_TOKEN_FILE: '/env' })).to.deep.equal({ from: 'token-file', path: '/env' });
    const cert = { from: 'origincert', path: '/etc/cloudflare-warp/cert.pem', tunnel: 'blog' };
    expect(source(['--tunnel', 'blog'])).to.deep.equal(cert);
    expect(source(['--origincert', '/c', '--token-file', '/t'])).to.contain('expected one of the two');
  });

  it('takes one URL or a whole table of routes', () => {
    const table = routesToUrl('app.example.com', 'http://svc:8080');
    const given = read([
      '--hostname',
      'app.example.com',
      '--token-file',
      '/t',
      '--routes',
      routesToText(table),
    ]);
    expect(given.ok && given.value.routes).to.deep.equal(table);
    expect(message([...needed, '--routes', '{}'])).to.equal('--url and --routes: expected one of the two');
    const wrong = '{"routes": [["/", "prefix", 0]], "origins": [{"to": ["x"]}]}';
    expect(message(['--hostname', 'a.example.com', '--routes', wrong])).to.match(
      /^--routes: expected routes as/,
    );
  });

  it('is described flag by flag', () => {
    for (const flag of [
      '--hostname',
      '--url',
      '--token-file',
      '--origincert',
      '--edge',
      '--cacert',
      '--metrics',
    ]) {
      expect(describeTunnelOptions()).to.contain(`${flag} `);
    }
  });
});

describe('config of sandbox', () => {
  it('starts everything on free ports when nothing is said', () => {
    const free = { kubernetes: 0, cloudflareApi: 0, edge: 0, front: 0, admin: 0, metrics: 0 };
    expect(readSandboxConfig([], {}, false)).to.deep.equal({
      ok: true,
      value: { readyFile: null, only: null, ports: free, log: { level: 'info', format: 'json' } },
    });
  });

  it('takes ports, the ready file and --only world, and nothing else after --only', () => {
    const read = readSandboxConfig(
      ['--only', 'world', '--ready-file', '/r', '--front-port', '8080'],
      {},
      false,
    );
    expect(read.ok && [read.value.only, read.value.readyFile, read.value.ports.front]).to.deep.equal([
      'world',
      '/r',
      8080,
    ]);
    const refused = readSandboxConfig(['--only', 'controller'], {}, false);
    expect(!refused.ok && refused.fault.message).to.equal('--only: got "controller", expected "world"');
    expect(describeSandboxOptions()).to.contain('--only world');
  });
});
