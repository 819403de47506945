import { expect } from 'chai';
import type { IngressSpec } from '../../src/domain/ingress.ts';
import { parseIngress } from '../../src/kube/parse-ingress.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const rules = { ingressClass: 'cloudflare-warp', defaults: plainSettings };
const ours = { 'kubernetes.io/ingress.class': 'cloudflare-warp' };
const backend = { service: { name: 'web', port: { number: 80 } } };
const path = { path: '/', pathType: 'Prefix', backend };
const rule = (host?: unknown, paths: unknown = [path]) => ({ host, http: { paths } });
const ingress = (spec: unknown, metadata: object = {}, status?: unknown) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: {
    name: 'a',
    uid: 'u-1',
    creationTimestamp: '2026-01-02T03:04:05Z',
    annotations: ours,
    managedFields: [{}],
    ...metadata,
  },
  spec,
  status,
});

const parsedTo = (object: unknown): string => parseIngress(object, rules).kind;
function specOf(object: unknown): IngressSpec {
  const parsed = parseIngress(object, rules);
  if (parsed.kind !== 'ours') throw new Error(parsed.kind);
  return parsed.spec;
}
const seen = (object: unknown): string[] =>
  specOf(object).problems.map(({ where, message }) => `${where}: ${message}`);
const hostsOf = (object: unknown): unknown =>
  Object.fromEntries(
    specOf(object).hosts.map(({ host, paths }) => [host, paths.map(({ path, match }) => `${match} ${path}`)]),
  );

describe('parseIngress', () => {
  it('reads what decisions need, and nothing else', () => {
    const status = { loadBalancer: { ingress: [{ hostname: 't.cfargotunnel.com' }, { ip: '10.0.0.1' }] } };
    const byName = { service: { name: 'api', port: { name: 'http' } } };
    const exact = { path: '/api', pathType: 'Exact', backend: byName };
    expect(specOf(ingress({ rules: [rule('App.example.com', [path, exact])] }, {}, status))).to.deep.equal({
      key: 'a',
      uid: 'u-1',
      createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      hosts: [
        {
          host: 'app.example.com',
          paths: [
            { path: '/', match: 'prefix', backend: { service: 'web', port: { by: 'number', number: 80 } } },
            { path: '/api', match: 'exact', backend: { service: 'api', port: { by: 'name', name: 'http' } } },
          ],
        },
      ],
      settings: plainSettings,
      asksForTls: false,
      publishedHostnames: ['t.cfargotunnel.com'],
      problems: [],
      ignored: [],
      ofTunnel: [],
      unservable: [],
      refused: false,
    });
  });

  describe('whose it is', () => {
    const of = (annotation: string | undefined, className?: string) =>
      ingress(
        { rules: [rule('a.example.com')], ingressClassName: className },
        { annotations: annotation === undefined ? null : { 'kubernetes.io/ingress.class': annotation } },
      );
    for (const [name, object, kind] of [
      ['the annotation names us', of('cloudflare-warp'), 'ours'],
      ['ingressClassName names us', of(undefined, 'cloudflare-warp'), 'ours'],
      ['both name us', of('cloudflare-warp', 'cloudflare-warp'), 'ours'],
      ['neither is given', of(undefined), 'foreign'],
      ['the annotation names another', of('nginx'), 'foreign'],
      ['ingressClassName names another', of(undefined, 'nginx'), 'foreign'],
      ['both given, the annotation names us', of('cloudflare-warp', 'nginx'), 'ours'],
      ['both given, the annotation names another', of('nginx', 'cloudflare-warp'), 'foreign'],
      ['an empty annotation', of(''), 'foreign'],
      [
        'ours, but deleted by its user',
        ingress({ rules: [rule('a.example.com')] }, { deletionTimestamp: '2026-01-02T03:04:05Z' }),
        'foreign',
      ],
    ] as const) {
      it(`${name}: ${kind}`, () => expect(parsedTo(object)).to.equal(kind));
    }

    it('says what was seen when both are given and differ', () => {
      expect(seen(of('cloudflare-warp', 'nginx'))).to.deep.equal([
        'spec.ingressClassName: got "nginx", and the annotation kubernetes.io/ingress.class is "cloudflare-warp", which decides, so it is served here; expected only one of them',
      ]);
      expect(specOf(of('cloudflare-warp', 'nginx')).refused).to.equal(false);
      expect(parseIngress(of('nginx', 'cloudflare-warp'), rules)).to.have.nested.property('conflict.where');
      expect(parseIngress(of('nginx', 'other'), rules)).to.have.property('conflict', null);
    });
  });

  describe('serves the rest and says what is wrong with', () => {
    const good = rule('good.example.com');
    for (const [name, bad, problem] of [
      [
        'a rule without host',
        rule(),
        'spec.rules[0].host: a rule without a host has no name under which it could be published: give it a host',
      ],
      [
        'an empty host',
        rule(''),
        'spec.rules[0].host: a rule without a host has no name under which it could be published: give it a host',
      ],
      [
        'a host that is no hostname',
        rule('not_a host!'),
        'spec.rules[0].host: "not_a host!": expected a name like app.example.com or *.example.com',
      ],
      [
        'a host of one label',
        rule('localhost'),
        'spec.rules[0].host: "localhost": expected a name like app.example.com or *.example.com',
      ],
      [
        'a host with a label that DNS does not take, which Kubernetes does',
        rule(`${'a'.repeat(64)}.example.com`),
        `spec.rules[0].host: "${'a'.repeat(64)}…": expected no more than 63 characters between two dots`,
      ],
      [
        'http missing',
        { host: 'a.example.com' },
        'spec.rules[0].http: a.example.com has no http section: expected http.paths with a backend',
      ],
      [
        'http null',
        { host: 'a.example.com', http: null },
        'spec.rules[0].http: a.example.com has no http section: expected http.paths with a backend',
      ],
      [
        'no paths',
        rule('a.example.com', []),
        'spec.rules[0].http.paths: a.example.com has no paths: expected at least one',
      ],
      [
        'paths null',
        rule('a.example.com', null),
        'spec.rules[0].http.paths: a.example.com has no paths: expected at least one',
      ],
      [
        'a rule that is a number',
        7,
        'spec.rules[0]: cannot be read: Invalid input: expected object, received number',
      ],
      [
        'a path not from /',
        rule('a.example.com', [{ ...path, path: 'foo' }]),
        'spec.rules[0].http.paths[0].path: "foo": expected a path that begins with /',
      ],
      [
        'an unknown pathType',
        rule('a.example.com', [{ ...path, pathType: 'Regex' }]),
        'spec.rules[0].http.paths[0].pathType: "Regex": expected Exact, Prefix or ImplementationSpecific',
      ],
      [
        'no backend',
        rule('a.example.com', [{ path: '/' }]),
        'spec.rules[0].http.paths[0]: cannot be read: backend: Invalid input: expected object, received undefined',
      ],
      [
        'a resource backend',
        rule('a.example.com', [{ ...path, backend: { resource: { kind: 'Bucket' } } }]),
        'spec.rules[0].http.paths[0].backend: a resource backend cannot be served: expected service.name and service.port',
      ],
      [
        'no port',
        rule('a.example.com', [{ ...path, backend: { service: { name: 'web' } } }]),
        'spec.rules[0].http.paths[0].backend.service.port: null: expected either a number from 1 to 65535 or a name',
      ],
      [
        'a port of 70000',
        rule('a.example.com', [{ ...path, backend: { service: { name: 'web', port: { number: 70_000 } } } }]),
        'spec.rules[0].http.paths[0].backend.service.port: {"number":70000}: expected either a number from 1 to 65535 or a name',
      ],
      [
        'a port by number and name',
        rule('a.example.com', [
          { ...path, backend: { service: { name: 'web', port: { number: 80, name: 'http' } } } },
        ]),
        'spec.rules[0].http.paths[0].backend.service.port: {"name":"http","number":80}: expected either a number from 1 to 65535 or a name',
      ],
    ] as const) {
      it(name, () => {
        const object = ingress({ rules: [bad, good] });
        expect(seen(object)).to.deep.equal([problem]);
        expect(hostsOf(object)).to.deep.equal({ 'good.example.com': ['prefix /'] });
        expect(specOf(object).refused).to.equal(false);
      });
      it(`${name}, and nothing else: refused`, () => {
        const object = ingress({ rules: [bad] });
        expect(specOf(object).refused).to.equal(true);
        expect(seen(object), 'said once').to.have.length(1);
      });
    }

    it('one path among others', () => {
      const object = ingress({ rules: [rule('a.example.com', [{ ...path, path: 'x' }, path])] });
      expect(hostsOf(object)).to.deep.equal({ 'a.example.com': ['prefix /'] });
      expect(seen(object)).to.have.length(1);
    });
  });

  for (const [name, spec] of [
    ['no spec', undefined],
    ['no rules', {}],
    ['rules null', { rules: null }],
    ['rules empty', { rules: [] }],
    ['rules no list', { rules: { 0: rule('a.example.com') } }],
    ['only a default backend', { defaultBackend: backend }],
  ] as const) {
    it(`refuses an Ingress with ${name}`, () => {
      const parsed = specOf(ingress(spec));
      expect(parsed.refused).to.equal(true);
      expect(parsed.hosts).to.deep.equal([]);
      expect(parsed.problems).to.not.deep.equal([]);
    });
  }

  it('refuses an annotation that is not understood, and still says which hosts there are', () => {
    const spec = specOf(
      ingress({ rules: [rule('a.example.com')] }, { annotations: { ...ours, 'cloudflare-warp/mode': 'x' } }),
    );
    expect(spec.refused).to.equal(true);
    expect(spec.hosts).to.have.length(1);
  });

  it('takes a path that no URL can hold as a browser sends it', () => {
    const object = ingress({ rules: [rule('a.example.com', [{ ...path, path: '/caf\u00e9 menu' }])] });
    expect(hostsOf(object)).to.deep.equal({ 'a.example.com': ['prefix /caf%C3%A9%20menu'] });
  });

  it('gives the default backend what no rule of a host matches', () => {
    const other = { service: { name: 'other', port: { number: 81 } } };
    const narrow = rule('a.example.com', [{ ...path, path: '/x' }]);
    const object = ingress({
      defaultBackend: other,
      rules: [narrow, rule('b.example.com'), { host: 'c.example.com' }],
    });
    expect(seen(object)).to.deep.equal([]);
    const backends = specOf(object).hosts.map(({ host, paths }) =>
      [host, ...paths.map((found) => `${found.path} ${found.backend.service}`)].join(', '),
    );
    const { name } = backend.service;
    expect(backends).to.have.members([
      `a.example.com, /x ${name}, / other`,
      `b.example.com, / ${name}`,
      'c.example.com, / other',
    ]);
  });

  for (const [name, ...bad] of [
    [
      'its backend cannot be read',
      rule('a.example.com', [
        { path: '/x', pathType: 'Prefix' },
        { ...path, path: '/y' },
      ]),
    ],
    [
      'its rule cannot be read',
      rule('a.example.com', [{ ...path, path: '/y' }]),
      { host: 'a.example.com', http: 7 },
    ],
    ['its rule has no paths', rule('a.example.com', []), { host: 'a.example.com' }],
  ] as const) {
    it(`a path does not fall to the default backend because ${name}: its host stays as it is`, () => {
      const spec = specOf(ingress({ defaultBackend: backend, rules: [...bad, rule('b.example.com')] }));
      expect(spec.unservable).to.deep.equal(['a.example.com']);
      expect(spec.hosts.map(({ host }) => host)).to.deep.equal(['b.example.com']);
      expect(spec.problems.at(-1)?.message).to.include('a.example.com stays as it is');
      expect(spec.refused).to.equal(false);
    });
  }

  it('sees whether there is spec.tls, whatever is in it', () => {
    const given = [undefined, null, [], 'x', [{}], [{ hosts: ['a.example.com'], secretName: 'cert' }]];
    const found = given.map((tls) => specOf(ingress({ rules: [rule('a.example.com')], tls })).asksForTls);
    expect(found).to.deep.equal([false, false, false, false, true, true]);
  });

  it('a rule whose paths cannot be read does not give up its host', () => {
    const spec = specOf(ingress({ rules: [{ host: 'a.example.com', http: 7 }, rule('b.example.com')] }));
    expect(spec.unservable).to.deep.equal(['a.example.com']);
  });

  it('merges the rules of one host, in their order', () => {
    const object = ingress({
      rules: [rule('a.example.com'), rule('b.example.com'), rule('A.EXAMPLE.com', [{ ...path, path: '/x' }])],
    });
    expect(hostsOf(object)).to.deep.equal({
      'a.example.com': ['prefix /', 'prefix /x'],
      'b.example.com': ['prefix /'],
    });
  });

  for (const [name, given, expected] of [
    [
      'ImplementationSpecific is a prefix',
      { path: '/x', pathType: 'ImplementationSpecific', backend },
      'prefix /x',
    ],
    ['pathType missing is a prefix', { path: '/x', backend }, 'prefix /x'],
    ['no path is all paths', { pathType: 'ImplementationSpecific', backend }, 'prefix /'],
    ['a wildcard in a path is a character', { path: '/x*', pathType: 'Prefix', backend }, 'prefix /x*'],
  ] as const) {
    it(name, () => {
      expect(hostsOf(ingress({ rules: [rule('*.example.com', [given])] }))).to.deep.equal({
        '*.example.com': [expected],
      });
    });
  }

  it('keeps a bounded number of problems', () => {
    const { problems } = specOf(ingress({ rules: Array.from({ length: 5_000 }, () => rule()) }));
    expect(problems).to.have.length(21);
    expect(problems.at(-1)?.message).to.equal('4980 more problems are not listed');
  });

  it('gives deep-equal specs for equal input, whatever generation and resourceVersion say', () => {
    const spec = { rules: [rule('a.example.com')] };
    const one = specOf(ingress(spec, { generation: 1, resourceVersion: '1' }));
    expect(one).to.deep.equal(specOf(ingress(spec, { generation: 2, resourceVersion: '2' })));
  });

  for (const object of [
    null,
    undefined,
    1,
    'x',
    [],
    {},
    { metadata: null },
    { metadata: { name: '' } },
    { metadata: { name: 'a' } },
  ]) {
    it(`${JSON.stringify(object)} is no Ingress`, () => expect(parsedTo(object)).to.equal('unreadable'));
  }
});
