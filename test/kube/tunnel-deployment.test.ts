import { expect } from 'chai';
import type { TunnelRunRequest } from '../../src/actors/ports.ts';
import { readTunnelConfig } from '../../src/config/tunnel.ts';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import type { RouteTable } from '../../src/domain/routes.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { type PodSettings, tunnelPods, type WantedPods } from '../../src/kube/pods/tunnel-deployment.ts';
import type { KubeObject } from '../support/kube-user.ts';
import { podSettings } from '../support/pod-settings.ts';
import { schemaErrors } from '../support/schema-errors.ts';

const host = 'app.example.com';
const token = Buffer.from('{"a":"account","t":"tunnel","s":"c2VjcmV0"}').toString('base64');
const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

const plain: TunnelRunRequest = {
  host,
  ingress: 'web',
  tunnel: { accountId: 'account', id: '11111111-2222-4333-8444-555555555555', token },
  haConnections: 2,
  place: { mode: 'pod', replicas: 1 },
  routes: routesToUrl(host, 'http://10.0.0.1:80'),
};

/** Everything that an Ingress can ask of routes. */
const rich: RouteTable = {
  host,
  access: { team: 'acme', audience: ['tag-1', 'tag-2'] },
  routes: [
    {
      path: '/api',
      match: 'exact',
      target: {
        kind: 'origin',
        origin: {
          addresses: [
            { host: '10.1.0.1', port: 8443 },
            { host: 'fd00::1', port: 8443 },
          ],
          settings: {
            ...defaultOriginSettings,
            protocol: 'https',
            serverName: 'in.example',
            caSecret: 'ca',
            http2: true,
            connectTimeoutMs: 5,
          },
          ca,
        },
      },
    },
    { path: '/gone', match: 'prefix', target: { kind: 'status', status: 503 } },
    { path: '/', match: 'prefix', target: plain.routes.routes[0]!.target },
  ],
};

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly ports: readonly object[];
  readonly livenessProbe: { readonly httpGet: object };
  readonly readinessProbe: { readonly httpGet: object };
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
}

interface Manifest {
  readonly spec: {
    readonly replicas: number;
    readonly strategy: { readonly rollingUpdate: object };
    readonly selector: object;
    readonly template: {
      readonly metadata: { readonly labels: object; readonly annotations: object };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly securityContext: object;
        readonly volumes: readonly object[];
        readonly terminationGracePeriodSeconds: number;
        readonly tolerations?: unknown;
        readonly topologySpreadConstraints?: readonly { readonly topologyKey: string }[];
        readonly affinity: { readonly podAntiAffinity: object };
      };
    };
  };
}

function wanted(request: Partial<TunnelRunRequest> = {}, over: Partial<PodSettings> = {}): WantedPods {
  const made = tunnelPods({ ...plain, ...request }, { ...podSettings, ...over });
  return made.ok ? made.value : expect.fail(made.fault.message);
}

function manifest(request: Partial<TunnelRunRequest> = {}, over: Partial<PodSettings> = {}): Manifest {
  return wanted(request, over).deployment as Manifest;
}

describe('the Deployment of a tunnel', () => {
  it('has the token in a mount, and nowhere else', () => {
    const { spec } = manifest().spec.template;
    expect(JSON.stringify(wanted())).not.to.contain(token);
    expect(spec.containers[0]!.args).to.include.members(['--token-file', '/etc/cloudflare-warp/token']);
    expect(spec.volumes).to.deep.equal([
      {
        name: 'credentials',
        secret: {
          secretName: wanted().name,
          defaultMode: 0o440,
          items: [{ key: 'token', path: 'token' }],
        },
      },
    ]);
  });

  it('or mounts the certificate and says which tunnel', () => {
    const cert = { from: 'cert', in: 'configMap', name: 'cf' } as const;
    const { spec } = manifest({}, { credentials: cert, apiUrl: 'http://api.example' }).spec.template;
    const { args } = spec.containers[0]!;
    expect(args.join(' ')).to.contain('--origincert /etc/cloudflare-warp/cert.pem --tunnel 11111111-');
    expect(args.join(' ')).to.contain('--api-url http://api.example');
    expect(JSON.stringify(spec.volumes)).to.contain('"configMap":{"name":"cf"').and.not.to.contain('secret');
  });

  for (const [title, routes] of [
    ['one URL', plain.routes],
    ['many paths, origins, a CA and Access', rich],
  ] as const) {
    it(`starts the command with exactly its routes: ${title}`, () => {
      const [command, ...argv] = manifest({ routes }).spec.template.spec.containers[0]!.args;
      expect(command).to.equal('tunnel');
      const read = readTunnelConfig(argv, {}, false);
      const config = read.ok ? read.value : expect.fail(read.fault.message);
      expect(config.routes).to.deep.equal(routes);
      expect(config).to.deep.include({ hostname: host, haConnections: 2, graceMs: 30_000 });
      expect(argv.includes('--url')).to.equal(routes === plain.routes);
    });
  }

  it('lets new pods serve before old ones go, and gives those more than the grace period', () => {
    const { strategy, template } = manifest({}, { graceMs: 90_500 }).spec;
    expect(strategy.rollingUpdate).to.deep.equal({ maxUnavailable: 0, maxSurge: 1 });
    expect(template.spec.terminationGracePeriodSeconds).to.be.greaterThan(91);
  });

  const secret = { from: 'cert', in: 'secret', name: 'cf' } as const;
  for (const [title, over] of [
    ['a token', {}],
    ['a certificate and roots of its own', { credentials: secret, ca, edge: ['127.0.0.1:7844'] }],
  ] as const) {
    it(`is what Kubernetes' schemas describe, as is its budget: with ${title}`, async () => {
      const { deployment, budget } = wanted({ routes: rich, place: { mode: 'pod', replicas: 2 } }, over);
      for (const object of [deployment, budget] as KubeObject[]) {
        expect(await schemaErrors(object)).to.equal('');
      }
    });
  }

  it('would not be with a period of another type', async () => {
    const text = JSON.stringify(wanted().deployment).replace('"periodSeconds":2', '"periodSeconds":"2s"');
    expect(await schemaErrors(JSON.parse(text))).to.contain('periodSeconds');
  });

  it('is let into a namespace of the Pod Security Standard "restricted"', () => {
    // https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    const { spec } = manifest({}, { ca, credentials: secret }).spec.template;
    expect(spec.securityContext).to.deep.include({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const { securityContext } of spec.containers) {
      expect(securityContext).to.deep.include({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
    }
    const kinds = spec.volumes.flatMap((volume) => Object.keys(volume)).filter((key) => key !== 'name');
    expect(kinds).to.have.members(['secret', 'downwardAPI']);
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec).not.to.have.property(field);
  });

  it('is probed on the port that the connector listens on, is limited in memory and never throttled', () => {
    const [tunnel] = manifest().spec.template.spec.containers;
    const { args, ports, livenessProbe, readinessProbe, resources } = tunnel!;
    const port = Number(args[args.indexOf('--metrics') + 1]!.split(':').at(-1));
    expect(ports).to.deep.equal([{ name: 'metrics', containerPort: port }]);
    expect(livenessProbe.httpGet).to.deep.equal({ path: '/healthz', port: 'metrics' });
    expect(readinessProbe.httpGet).to.deep.equal({ path: '/ready', port: 'metrics' });
    // Before it can listen, a probe's failure would be a Warning for users to wonder about.
    expect(livenessProbe).to.include({ initialDelaySeconds: 1 });
    expect(readinessProbe).to.include({ initialDelaySeconds: 1 });
    expect(resources.requests).to.have.all.keys('cpu', 'memory');
    expect(resources.limits).to.have.all.keys('memory');
  });

  it('prefers to be spread over nodes and zones, and over nodes also where they have no zone', () => {
    const { selector, template } = manifest().spec;
    // The scheduler passes over every node that lacks the key of any constraint.
    const keys = (template.spec.topologySpreadConstraints ?? []).map(({ topologyKey }) => topologyKey);
    expect(keys).to.not.include('topology.kubernetes.io/zone');
    const term = (topologyKey: string): object => ({ topologyKey, labelSelector: selector });
    expect(template.spec.affinity.podAntiAffinity).to.deep.equal({
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, podAffinityTerm: term('kubernetes.io/hostname') },
        { weight: 50, podAffinityTerm: term('topology.kubernetes.io/zone') },
      ],
    });
  });

  it('has pods of the same making whatever their number', () => {
    const makingOf = (of: WantedPods) =>
      (of.deployment as { spec: { template: { metadata: { annotations: Record<string, string> } } } }).spec
        .template.metadata.annotations['cloudflare-warp/making'];
    const [one, two] = [wanted(), wanted({ place: { mode: 'pod', replicas: 2 } })];
    expect(one.making).to.equal(two.making);
    expect(makingOf(one)).to.equal(one.making);
    expect(JSON.stringify(manifest().spec.template)).to.equal(
      JSON.stringify((two.deployment as Manifest).spec.template),
    );
    expect(wanted({}, { image: 'registry.example/warp:2' }).making).not.to.equal(one.making);
  });

  it("says by labels what it is and whose, as its budget does, and keeps its pods when it becomes another Ingress'", () => {
    const place = { mode: 'pod', replicas: 2 } as const;
    const [one, other] = [wanted({ place }), wanted({ place, ingress: 'shop' })];
    const { metadata } = one.deployment;
    expect(metadata.labels).to.deep.equal({
      'app.kubernetes.io/name': 'cloudflare-warp-tunnel',
      'app.kubernetes.io/instance': one.name,
      'app.kubernetes.io/component': 'tunnel',
      'app.kubernetes.io/part-of': 'cloudflare-warp-ingress',
      'app.kubernetes.io/managed-by': 'cloudflare-warp-ingress',
      'cloudflare-warp/host-hash': one.name.slice('cloudflare-warp-'.length),
      'cloudflare-warp/ingress': 'web',
    });
    expect((one.budget as { metadata: object }).metadata).to.deep.include({ labels: metadata.labels });
    expect(other.hash).not.to.equal(one.hash);
    expect(other.deployment.spec).to.deep.equal(one.deployment.spec);
    const long = wanted({ ingress: 'x'.repeat(64) }).deployment.metadata;
    expect(long.labels).not.to.have.property('cloudflare-warp/ingress');
    expect(long.annotations).to.have.property('cloudflare-warp/ingress', 'x'.repeat(64));
  });

  it('has a disruption budget from two replicas on', () => {
    expect(wanted().budget).to.equal(null);
    const two = wanted({ place: { mode: 'pod', replicas: 2 } });
    expect(two.budget).to.deep.include({ kind: 'PodDisruptionBudget' });
  });

  it('is the same for the same wish, and another one for any other', () => {
    const others = [
      wanted({ haConnections: 3 }),
      wanted({ place: { mode: 'pod', replicas: 2 } }),
      wanted({ routes: rich }),
      wanted({ tunnel: { ...plain.tunnel, token: `${token}x` } }),
      wanted({}, { image: 'registry.example/warp:2' }),
      wanted({}, { ca }),
      wanted({}, { template: { spec: { nodeSelector: { disk: 'ssd' } } } }),
    ];
    expect(wanted().hash).to.equal(wanted().hash);
    expect(new Set([wanted().hash, ...others.map(({ hash }) => hash)]).size).to.equal(others.length + 1);
  });
});
