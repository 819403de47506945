import { expect } from 'chai';
import { describeControllerOptions, readControllerConfig } from '../../src/config.ts';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';

const account = '0123456789abcdef0123456789abcdef';

function config(argv: readonly string[] = [], env: Record<string, string> = {}) {
  const read = readControllerConfig(argv, env, false);
  if (!read.ok) throw new Error(read.fault.message);
  return read.value;
}

function refusal(argv: readonly string[], env: Record<string, string> = {}): string {
  const read = readControllerConfig(argv, env, false);
  return read.ok ? 'nothing was refused' : read.fault.message;
}

describe('config of controller', () => {
  it('is complete without a single flag', () => {
    expect(config()).to.deep.equal({
      namespace: null,
      kubeconfig: null,
      ingressClass: 'cloudflare-warp',
      credentials: { from: 'origincert', path: '/etc/cloudflare-warp/cert.pem' },
      apiUrl: null,
      edge: [],
      cacert: null,
      accessCertsUrl: null,
      graceMs: 30_000,
      tunnelsPerThread: 'auto',
      maxThreads: null,
      pods: {
        image: null,
        credentials: 'token',
        cert: { in: 'secret', name: 'cloudflare-warp-cert' },
        template: null,
      },
      shard: { index: 0, count: 1 },
      metrics: { host: '0.0.0.0', port: 9_090 },
      identity: null,
      ingressDefaults: {
        mode: 'worker',
        replicas: 1,
        haConnections: 4,
        noBackend: 'close',
        dns: 'managed',
        originVia: 'service',
        origin: defaultOriginSettings,
        access: null,
      },
      log: { level: 'info', format: 'json' },
    });
  });

  describe('takes each setting from its flag and from its variable', () => {
    type Row = [
      flag: string,
      variable: string | null,
      text: string,
      read: (of: ReturnType<typeof config>) => unknown,
      value: unknown,
    ];
    const rows: Row[] = [
      ['--shard', 'WARP_SHARD', '2/3', (of) => of.shard, { index: 2, count: 3 }],
      ['--namespace', 'WARP_NAMESPACE', 'shop', (of) => of.namespace, 'shop'],
      ['--kubeconfig', 'KUBECONFIG', '/k/config', (of) => of.kubeconfig, '/k/config'],
      ['--ingress-class', 'WARP_INGRESS_CLASS', 'other', (of) => of.ingressClass, 'other'],
      [
        '--origincert',
        'TUNNEL_ORIGIN_CERT',
        '/c.pem',
        (of) => of.credentials,
        { from: 'origincert', path: '/c.pem' },
      ],
      [
        '--api-url',
        'TUNNEL_API_URL',
        'http://127.0.0.1:80/client/v4/',
        (of) => of.apiUrl,
        'http://127.0.0.1/client/v4',
      ],
      ['--edge', 'TUNNEL_EDGE', '127.0.0.1:7844,[::1]:1', (of) => of.edge, ['127.0.0.1:7844', '[::1]:1']],
      ['--cacert', 'TUNNEL_CACERT', '/ca.pem', (of) => of.cacert, '/ca.pem'],
      [
        '--access-certs-url',
        'WARP_ACCESS_CERTS_URL',
        'http://127.0.0.1:8000/',
        (of) => of.accessCertsUrl,
        'http://127.0.0.1:8000',
      ],
      ['--ha-connections', 'TUNNEL_HA_CONNECTIONS', '2', (of) => of.ingressDefaults.haConnections, 2],
      ['--grace-period', 'TUNNEL_GRACE_PERIOD', '1m30s', (of) => of.graceMs, 90_000],
      ['--tunnel-mode', 'WARP_TUNNEL_MODE', 'pod', (of) => of.ingressDefaults.mode, 'pod'],
      ['--tunnels-per-thread', 'WARP_TUNNELS_PER_THREAD', '1', (of) => of.tunnelsPerThread, 1],
      ['--max-threads', 'WARP_MAX_THREADS', '12', (of) => of.maxThreads, 12],
      [
        '--pod-image',
        'WARP_POD_IMAGE',
        'r.example/w@sha256:0',
        (of) => of.pods.image,
        'r.example/w@sha256:0',
      ],
      ['--pod-credentials', 'WARP_POD_CREDENTIALS', 'cert', (of) => of.pods.credentials, 'cert'],
      ['--pod-cert', 'WARP_POD_CERT', 'configmap/cf', (of) => of.pods.cert, { in: 'configMap', name: 'cf' }],
      ['--pod-template', 'WARP_POD_TEMPLATE', '/t.json', (of) => of.pods.template, '/t.json'],
      ['--origin-via', 'WARP_ORIGIN_VIA', 'endpoints', (of) => of.ingressDefaults.originVia, 'endpoints'],
      ['--dns', 'WARP_DNS', 'off', (of) => of.ingressDefaults.dns, 'off'],
      ['--metrics', 'TUNNEL_METRICS', ':0', (of) => of.metrics, { host: '0.0.0.0', port: 0 }],
      ['--identity', 'WARP_IDENTITY', 'team-a', (of) => of.identity, 'team-a'],
      ['--log-level', 'LOG_LEVEL', 'debug', (of) => of.log.level, 'debug'],
      ['--log-format', 'LOG_FORMAT', 'pretty', (of) => of.log.format, 'pretty'],
    ];
    for (const [flag, variable, text, read, value] of rows) {
      it(`${flag}, ${variable}`, () => {
        expect(read(config([flag, text])), 'flag').to.deep.equal(value);
        expect(read(config([`${flag}=${text}`])), 'flag=').to.deep.equal(value);
        if (variable !== null)
          expect(read(config([], { [variable]: text })), 'variable').to.deep.equal(value);
        expect(describeControllerOptions())
          .to.contain(`${flag} `)
          .and.contain(variable ?? '');
      });
    }
  });

  it('a flag wins over its variable, and an empty variable is one that is not set', () => {
    expect(config(['--dns', 'off'], { WARP_DNS: 'managed' }).ingressDefaults.dns).to.equal('off');
    expect(config([], { WARP_DNS: '' }).ingressDefaults.dns).to.equal('managed');
  });

  it('takes --edge several times', () => {
    expect(config(['--edge', 'a:1', '--edge=b:2', '--edge', 'c:3,d:4']).edge).to.deep.equal([
      'a:1',
      'b:2',
      'c:3',
      'd:4',
    ]);
  });

  it('logs prettily on a terminal unless told otherwise', () => {
    const format = (argv: string[]) => {
      const read = readControllerConfig(argv, {}, true);
      return read.ok && read.value.log.format;
    };
    expect(format([])).to.equal('pretty');
    expect(format(['--log-format', 'json'])).to.equal('json');
  });

  describe('credentials', () => {
    const env = { CLOUDFLARE_API_TOKEN: 'secret', CLOUDFLARE_ACCOUNT_ID: account };

    it('a token from the environment', () => {
      expect(config([], env).credentials).to.deep.equal({
        from: 'token',
        token: 'secret',
        accountId: account,
      });
    });

    it('a token file wins over the token of the environment', () => {
      expect(config(['--api-token-file', '/t'], env).credentials).to.deep.equal({
        from: 'token-file',
        path: '/t',
        accountId: account,
      });
    });

    it('a certificate by flag wins over a token that happens to be in the environment', () => {
      expect(config(['--origincert', '/c'], env).credentials).to.deep.equal({
        from: 'origincert',
        path: '/c',
      });
    });

    const refused: [string, string[], Record<string, string>, string][] = [
      [
        'two flags',
        ['--origincert', '/c', '--api-token-file', '/t'],
        {},
        '--origincert and --api-token-file',
      ],
      [
        'two variables',
        [],
        { ...env, TUNNEL_ORIGIN_CERT: '/c' },
        'TUNNEL_ORIGIN_CERT and CLOUDFLARE_API_TOKEN',
      ],
      ['a token without its account', ['--api-token-file', '/t'], {}, 'expected --account-id'],
      ['an account without a token', ['--account-id', account], {}, '--account-id'],
    ];
    for (const [title, argv, variables, sentence] of refused) {
      it(`refuses ${title}`, () => {
        expect(refusal(argv, variables)).to.contain(sentence);
      });
    }

    it('never says what a bad token was', () => {
      const message = refusal([], { CLOUDFLARE_API_TOKEN: 'top secret' });
      expect(message).to.contain('CLOUDFLARE_API_TOKEN').and.not.contain('top');
    });
  });

  describe('refuses in one line that names flag, value and what was expected', () => {
    const rows: [string[], Record<string, string>, string][] = [
      [['--nonsense', '1'], {}, 'unknown flag --nonsense: --help lists those that there are'],
      [['-e', '1'], {}, 'unknown flag -e: --help lists those that there are'],
      [['serve'], {}, 'unexpected argument "serve": expected flags only'],
      [['--dns'], {}, '--dns needs a value: expected one of managed, off'],
      [['--dns', '--metrics', ':1'], {}, '--dns needs a value: expected one of managed, off'],
      [['--dns', 'maybe'], {}, '--dns: got "maybe", expected one of managed, off'],
      [['--dns='], {}, '--dns: got "", expected one of managed, off'],
      [[], { WARP_DNS: 'maybe' }, 'WARP_DNS: got "maybe", expected one of managed, off'],
      [['--ha-connections', '5'], {}, '--ha-connections: got "5", expected a whole number from 1 to 4'],
      [['--ha-connections', '0'], {}, '--ha-connections: got "0", expected a whole number from 1 to 4'],
      [['--ha-connections', '2.5'], {}, '--ha-connections: got "2.5", expected a whole number from 1 to 4'],
      [['--tunnels-per-thread', 'many'], {}, 'got "many", expected "auto" or a whole number from 1 to 1000'],
      [['--grace-period', '30'], {}, 'got "30", expected a duration of at most 3m, like 30s or 1m30s'],
      [['--grace-period', '3m1s'], {}, 'got "3m1s", expected a duration of at most 3m'],
      [['--shard', '3/3'], {}, '--shard: got "3/3", expected i/n with n from 1 to 64 and i from 0 to n-1'],
      [['--shard', '1'], {}, '--shard: got "1", expected i/n'],
      [['--shard', '0/65'], {}, '--shard: got "0/65", expected i/n'],
      [[], { WARP_SHARD: '-1/2' }, 'WARP_SHARD: got "-1/2", expected i/n'],
      [['--metrics', '9090'], {}, '--metrics: got "9090", expected host:port'],
      [['--metrics', 'localhost:65536'], {}, '--metrics: got "localhost:65536", expected host:port'],
      [['--edge', '127.0.0.1'], {}, '--edge: got "127.0.0.1", expected host:port'],
      [['--edge', 'a:1', '--edge', '::1:7844'], {}, '--edge: got "a:1,::1:7844", expected host:port'],
      [['--edge', 'a:0'], {}, '--edge: got "a:0", expected host:port'],
      [['--api-url', 'ftp://x'], {}, '--api-url: got "ftp://x", expected an http or https URL'],
      [['--api-url', 'http://me:pw@x'], {}, '--api-url: got'],
      [['--namespace', 'No'], {}, '--namespace: got "No", expected the name of a namespace'],
      [['--log-level', 'loud'], {}, '--log-level: got "loud", expected one of trace, debug'],
      [['--identity', `${'x'.repeat(100)}`], {}, '…", expected up to 63 letters'],
      [['--dns', 'a\nb'], {}, '--dns: got "a\\nb", expected'],
    ];
    for (const [argv, env, sentence] of rows) {
      it(JSON.stringify(argv.length > 0 ? argv : env).slice(0, 60), () => {
        const message = refusal(argv, env);
        expect(message).to.contain(sentence);
        expect(message).not.to.contain('\n');
      });
    }
  });
});
