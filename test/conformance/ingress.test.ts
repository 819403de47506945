import { expect } from 'chai';
import { burstCalls } from '../../src/cloudflare/budget.ts';
import { ingress, pathOf, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

type Rule = readonly [type: 'Exact' | 'Prefix', path: string, backend: string];
type Case = readonly [path: string, answer: string];

/**
 * The public ingress conformance suite, case by case, through API, controller, thread and edge (findings page). A
 * backend answers with its own name; `404` is the connector's own.
 */
const paths: readonly (readonly [host: string, rules: readonly Rule[], cases: readonly Case[]])[] = [
  [
    'exact-path-rules.example.com',
    [['Exact', '/foo', 'foo-exact']],
    [
      ['/foo', 'foo-exact'],
      ['/foo/', '404'],
      ['/FOO', '404'],
      ['/bar', '404'],
    ],
  ],
  [
    'prefix-path-rules.example.com',
    [
      ['Prefix', '/foo', 'foo-prefix'],
      ['Prefix', '/aaa/bbb', 'aaa-bbb-prefix'],
      ['Prefix', '/aaa', 'aaa-prefix'],
    ],
    [
      ['/foo', 'foo-prefix'],
      ['/foo/', 'foo-prefix'],
      ['/FOO', '404'],
      ['/aaa/bbb', 'aaa-bbb-prefix'],
      ['/aaa/bbb/ccc', 'aaa-bbb-prefix'],
      ['/aaa/ccc', 'aaa-prefix'],
      ['/aaaccc', '404'],
    ],
  ],
  [
    'mixed-path-rules.example.com',
    [
      ['Prefix', '/foo', 'foo-prefix'],
      ['Exact', '/foo', 'foo-exact'],
    ],
    [['/foo', 'foo-exact']],
  ],
  [
    'trailing-slash-path-rules.example.com',
    [
      ['Prefix', '/aaa/bbb/', 'aaa-slash-bbb-slash-prefix'],
      ['Exact', '/foo/', 'foo-slash-exact'],
    ],
    [
      ['/aaa/bbb', 'aaa-slash-bbb-slash-prefix'],
      ['/aaa/bbb/', 'aaa-slash-bbb-slash-prefix'],
      ['/foo/', 'foo-slash-exact'],
      ['/foo', '404'],
    ],
  ],
];

describe('ingress conformance', function () {
  this.timeout(60_000);
  let town: Town;

  before(async () => {
    town = await startTown();
    await town.startController();
  });
  after(() => town.stop());

  async function backend(name: string): Promise<void> {
    await town.user.apply(service(name), slice(`${name}-1`, name, await town.origin(name)));
  }

  const seen = async (host: string, path: string): Promise<string> => {
    const { status, body } = await town.get(host, path);
    return status === 200 ? body : String(status);
  };

  describe('paths', () => {
    for (const [host, rules, cases] of paths) {
      describe(rules.map(([type, path]) => `${type} ${path}`).join(', '), () => {
        before(async () => {
          for (const [, , name] of rules) await backend(name);
          const specs = rules.map(([type, path, name]) => ({ type, path, service: name }));
          await town.user.apply(ingress(host.split('.')[0]!, host, { paths: specs }));
          const [path, answer] = cases[0]!;
          await town.answers(host, path, answer);
        });
        for (const [path, answer] of cases) {
          it(`${path} → ${answer}`, async () => expect(await seen(host, path)).to.equal(answer));
        }
      });
    }
  });

  describe('hosts', () => {
    const wildcard = '*.foo.example.com';
    const exact = 'bar.foo.example.com';
    before(async () => {
      await backend('wildcard');
      await backend('exact');
      const rules = [
        { host: wildcard, http: { paths: [pathOf({ service: 'wildcard', port: 'http' })] } },
        { host: exact, http: { paths: [pathOf({ service: 'exact', port: 'http' })] } },
      ];
      await town.user.apply({ ...ingress('host-rules', ''), spec: { rules } });
      await town.answers(exact, '/', 'exact');
      await town.answers('any.foo.example.com', '/', 'wildcard');
    });
    const cases: readonly Case[] = [
      ['bar.foo.example.com', 'exact'],
      ['subdomain.bar.example.com', '404'],
      ['baz.foo.example.com', 'wildcard'],
      ['baz.bar.foo.example.com', '404'],
      ['foo.example.com', '404'],
      ['BAR.foo.EXAMPLE.com', 'exact'],
    ];
    for (const [host, answer] of cases) {
      it(`${host} → ${answer}`, async () => expect(await seen(host, '/')).to.equal(answer));
    }
  });

  it('an Ingress of an unknown class gets no address', async () => {
    await backend('foreign');
    await town.user.apply(ingress('foreign', 'foreign.example.com', { className: 'some-other-class' }));
    await town.user.apply(ingress('ours', 'ours.example.com', { paths: [{ service: 'foreign' }] }));
    await town.answers('ours.example.com', '/', 'foreign');
    expect(await town.status('foreign')).to.deep.equal([]);
    expect(town.hosts()).to.not.include('foreign.example.com');
  });

  it('ten endpoints all answer within a hundred requests', async () => {
    const addresses = Array.from({ length: 10 }, (_, index) => ({ address: `127.0.1.${index + 1}` }));
    await town.user.apply(
      service('many'),
      slice('many-1', 'many', await town.origin('many', true), addresses),
    );
    const annotations = { 'cloudflare-warp/origin-via': 'endpoints' };
    await town.user.apply(ingress('many', 'many.example.com', { paths: [{ service: 'many' }], annotations }));
    await town.until('it is served', async () => (await town.get('many.example.com')).status === 200);
    const answers = new Set<string>();
    for (let round = 0; round < 10; round++) {
      const ten = Array.from({ length: 10 }, () => seen('many.example.com', '/'));
      for (const answer of await Promise.all(ten)) answers.add(answer);
    }
    expect([...answers].sort()).to.deep.equal(addresses.map(({ address }) => `many ${address}`).sort());
  });

  it('a headless Service is served from its endpoints', async () => {
    const port = await town.origin('headless', true);
    const headless = {
      ...service('headless'),
      spec: { clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] },
    };
    await town.user.apply(headless, slice('headless-1', 'headless', port, [{ address: '127.0.2.1' }]));
    await town.user.apply(ingress('headless', 'headless.example.com', { paths: [{ service: 'headless' }] }));
    await town.answers('headless.example.com', '/', 'headless 127.0.2.1');
  });

  it('an ExternalName Service is served by its name, and says which port it has not', async () => {
    const host = 'external.example.com';
    const port = await town.origin('external');
    const spec = { type: 'ExternalName', externalName: 'localhost' };
    const path = { service: 'external', port: 'http' };
    await town.user.apply({ ...service('external'), spec }, ingress('external', host, { paths: [path] }));
    await town.until(
      'it is told',
      async () => (await town.messages('external', 'InvalidIngress')).length > 0,
    );
    expect(await town.messages('external', 'InvalidIngress')).to.deep.equal([
      'Service "external" of type ExternalName has no port "http"; give the port by number',
    ]);
    await town.user.apply(ingress('external', host, { paths: [{ ...path, port }] }));
    await town.answers(host, '/', 'external');
  });

  it('a Service without the port is told with the ports that it has', async () => {
    await backend('ports');
    const paths = [{ service: 'ports', port: 81 }];
    await town.user.apply(ingress('ports', 'ports.example.com', { paths }));
    await town.until('it is told', async () => (await town.messages('ports', 'InvalidIngress')).length > 0);
    expect(await town.messages('ports', 'InvalidIngress')).to.deep.equal([
      'Service "ports" has no TCP port 81; it has 8080 ("http")',
    ]);
  });

  it('spec.tls is accepted, and its user is told what becomes of it', async () => {
    await backend('tls');
    const { spec, ...rest } = ingress('tls', 'tls.example.com', { paths: [{ service: 'tls' }] });
    const tls = [{ hosts: ['tls.example.com'], secretName: 'not-there' }];
    await town.user.apply({ ...rest, spec: { ...(spec as object), tls } });
    await town.answers('tls.example.com', '/', 'tls');
    await town.until('it is told', async () => (await town.messages('tls', 'TlsAtEdge')).length > 0);
    expect(await town.reasons('tls')).to.not.include('InvalidIngress');
  });

  it('shows what is left of the call budget: what was called is missing, until it is filled up again', async () => {
    const { body } = await town.ops('/metrics');
    const left = Number(/cloudflare_budget_remaining (\d+)/.exec(body)?.[1]);
    expect(left).to.be.within(burstCalls - town.cloudflare.calls.length, burstCalls);
  });

  it('a default backend without a host is reported, because it has no name', async () => {
    const spec = { defaultBackend: { service: { name: 'wildcard', port: { number: 8080 } } } };
    await town.user.apply({ ...ingress('default-backend', ''), spec });
    await town.until('it is reported', async () =>
      (await town.reasons('default-backend')).includes('InvalidIngress'),
    );
    expect(await town.status('default-backend')).to.deep.equal([]);
  });
});
