import { expect } from 'chai';
import type { IngressSettings } from '../../src/domain/ingress.ts';
import { parseAnnotations } from '../../src/kube/parse-annotations.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const parse = (key: string, value: unknown) =>
  parseAnnotations({ [`cloudflare-warp/${key}`]: value }, plainSettings);
const origin = (changes: Partial<IngressSettings['origin']>): IngressSettings => ({
  ...plainSettings,
  origin: { ...plainSettings.origin, ...changes },
});

describe('parseAnnotations', () => {
  it('gives the defaults where there is nothing of ours', () => {
    const others = { 'kubernetes.io/ingress.class': 'x', 'cloudflare-warper/mode': 'pod', mode: 'pod' };
    expect(parseAnnotations(others, plainSettings)).to.deep.equal({
      ...{ settings: plainSettings, problems: [] },
      ...{ ignored: [], ofTunnel: [] },
    });
  });

  for (const [key, value, settings] of [
    ['mode', 'pod', { ...plainSettings, mode: 'pod' }],
    ['replicas', '25', { ...plainSettings, replicas: 25 }],
    ['ha-connections', '1', { ...plainSettings, haConnections: 1 }],
    ['no-backend', '503', { ...plainSettings, noBackend: '503' }],
    ['dns', 'off', { ...plainSettings, dns: 'off' }],
    ['origin-via', 'endpoints', { ...plainSettings, originVia: 'endpoints' }],
    ['backend-protocol', 'h2c', origin({ protocol: 'h2c' })],
    ['origin-server-name', 'app.internal', origin({ serverName: 'app.internal' })],
    ['no-tls-verify', 'true', origin({ verifyTls: false })],
    ['no-tls-verify', 'false', origin({ verifyTls: true })],
    ['ca-secret', 'my-ca', origin({ caSecret: 'my-ca' })],
    ['http-host-header', 'app:8080', origin({ hostHeader: 'app:8080' })],
    ['connect-timeout', '1m30s', origin({ connectTimeoutMs: 90_000 })],
    ['keepalive-timeout', '500ms', origin({ keepAliveTimeoutMs: 500 })],
    ['keepalive-connections', '0', origin({ keepAliveConnections: 0 })],
    ['http2-origin', 'true', origin({ http2: true })],
    ['disable-chunked-encoding', 'true', origin({ chunkedEncoding: false })],
  ] as const) {
    it(`understands ${key}: ${value}`, () => {
      const { settings: read, problems } = parse(key, value);
      expect({ settings: read, problems }).to.deep.equal({ settings, problems: [] });
    });
  }

  it('reads team and audiences of Access together', () => {
    const annotations = { 'cloudflare-warp/access-team': 'acme', 'cloudflare-warp/access-aud': 'a1, b2' };
    const byDomain = { ...annotations, 'cloudflare-warp/access-team': 'acme.cloudflareaccess.com' };
    for (const given of [annotations, byDomain]) {
      const { access } = parseAnnotations(given, plainSettings).settings;
      expect(access).to.deep.equal({ team: 'acme', audience: ['a1', 'b2'] });
    }
  });

  for (const [key, value, message] of [
    ['mode', 'Pod', 'got "Pod", expected one of worker, pod'],
    ['replicas', '0', 'got "0", expected a whole number from 1 to 25'],
    ['replicas', '26', 'got "26", expected a whole number from 1 to 25'],
    ['replicas', '1.5', 'got "1.5", expected a whole number from 1 to 25'],
    ['replicas', '0x2', 'got "0x2", expected a whole number from 1 to 25'],
    ['replicas', 3, 'got 3, expected a whole number from 1 to 25'],
    ['ha-connections', '5', 'got "5", expected a whole number from 1 to 4'],
    ['no-tls-verify', 'yes', 'got "yes", expected one of true, false'],
    ['connect-timeout', '30', 'got "30", expected a duration like 30s, 1m30s or 500ms, from 1 ms to 24h'],
    ['connect-timeout', '0s', 'got "0s", expected a duration like 30s, 1m30s or 500ms, from 1 ms to 24h'],
    ['ca-secret', 'No Name', 'got "No Name", expected the name of a Secret'],
    [
      'http-host-header',
      'a\r\nb: c',
      'got "a\\r\\nb: c", expected a value for the Host header: name or address, optionally with a port',
    ],
  ] as const) {
    it(`refuses ${key}: ${JSON.stringify(value)}`, () => {
      const where = `metadata.annotations[cloudflare-warp/${key}]`;
      const { settings, problems } = parse(key, value);
      expect({ settings, problems }).to.deep.equal({
        settings: plainSettings,
        problems: [{ where, message }],
      });
    });
  }

  it('refuses a key that it does not know, and says which it knows', () => {
    const [problem] = parse('replica', '3').problems;
    expect(problem?.message).to.match(/^not known, expected one of mode, /);
  });

  it('refuses a team without an audience: the host would be open to all', () => {
    expect(parse('access-team', 'acme').problems).to.have.length(1);
    expect(parse('access-aud', 'abc').problems).to.have.length(1);
  });

  for (const team of [
    '',
    'a.b',
    'acme.example.com',
    'a/b',
    '-a',
    'A',
    'a'.repeat(64),
    '.cloudflareaccess.com',
  ]) {
    it(`refuses the team ${JSON.stringify(team.slice(0, 20))}: keys are asked for at that name`, () => {
      const annotations = { 'cloudflare-warp/access-team': team, 'cloudflare-warp/access-aud': 'a1' };
      const { problems } = parseAnnotations(annotations, plainSettings);
      expect(problems[0]?.message).to.contain('expected an Access team');
    });
  }

  it('names every annotation that is wrong, not only the first', () => {
    const annotations = { 'cloudflare-warp/mode': 'x', 'cloudflare-warp/dns': 'y', 'cloudflare-warp/z': '' };
    expect(parseAnnotations(annotations, plainSettings).problems).to.have.length(3);
  });

  it('does not repeat a long value', () => {
    expect(parse('mode', 'x'.repeat(10_000)).problems[0]?.message.length).to.be.lessThan(200);
  });
});
