import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { type Answer, ask } from './http.ts';
import { ingress } from './objects.ts';

const secrets = '/api/v1/namespaces/default/secrets';
const configMaps = '/api/v1/namespaces/default/configmaps';
const ingresses = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';

describe('kube-api object lifecycle', () => {
  let api: KubeApi;
  beforeEach(async () => {
    api = await startKubeApi();
  });
  afterEach(() => api.stop());

  const post = (path: string, body: object) => ask(api, path, { method: 'POST', body });
  const remove = (path: string, body?: object) => ask(api, path, { method: 'DELETE', body });
  const merge = (path: string, body: object) =>
    ask(api, path, { method: 'PATCH', body, headers: { 'content-type': 'application/merge-patch+json' } });
  const namesIn = async (path: string): Promise<string[]> =>
    (await ask(api, path)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
  const ownedBy = ({ body }: Answer, more: object = {}) => ({
    apiVersion: body.apiVersion,
    kind: body.kind,
    name: body.metadata.name,
    uid: body.metadata.uid,
    ...more,
  });

  it('refuses a request without the right token', async () => {
    expect((await ask(api, secrets, { token: null })).status).to.equal(401);
    expect((await ask(api, secrets, { token: 'wrong' })).body.reason).to.equal('Unauthorized');
  });

  for (const path of ['//', '/%', '/apis/%zz/v1', '/api/v1/namespaces/a/b/c/d/e', '/..;/']) {
    it(`answers 404 for the path ${path}`, async () => {
      expect((await ask(api, path)).status).to.equal(404);
    });
  }

  it('makes names of generateName', async () => {
    const { body } = await post(configMaps, { metadata: { generateName: 'cm-' } });
    expect(body.metadata.name).to.match(/^cm-[a-z0-9]{5}$/);
  });

  it('refuses a second object of the same name', async () => {
    await post(configMaps, { metadata: { name: 'a' } });
    const { status, body } = await post(configMaps, { metadata: { name: 'a' } });
    expect(status).to.equal(409);
    expect(body).to.include({ reason: 'AlreadyExists', message: 'configmaps "a" already exists' });
  });

  it('refuses a write that is based on an older version', async () => {
    const first = await post(configMaps, { metadata: { name: 'a' } });
    await merge(`${configMaps}/a`, { data: { a: '1' } });
    const { status, body } = await ask(api, `${configMaps}/a`, { method: 'PUT', body: first.body });
    expect(status).to.equal(409);
    expect(body.message).to.contain(
      'the object has been modified; please apply your changes to the latest version',
    );
  });

  it('does not count a write that changes nothing', async () => {
    const { body } = await post(configMaps, { metadata: { name: 'a' }, data: { a: '1' } });
    const again = await merge(`${configMaps}/a`, { data: { a: '1' } });
    expect(again.body.metadata.resourceVersion).to.equal(body.metadata.resourceVersion);
  });

  it('counts generations of the spec only', async () => {
    await post(ingresses, ingress('a'));
    const labelled = await merge(`${ingresses}/a`, { metadata: { labels: { a: 'b' } } });
    expect(labelled.body.metadata.generation).to.equal(1);
    const changed = await merge(`${ingresses}/a`, { spec: { ingressClassName: 'c' } });
    expect(changed.body.metadata.generation).to.equal(2);
  });

  it('ignores status outside of its subresource', async () => {
    const status = { loadBalancer: { ingress: [{ hostname: 'a.example.test' }] } };
    const created = await post(ingresses, { ...ingress('a'), status });
    expect(created.body.status).to.deep.equal({ loadBalancer: {} });
    const patched = await merge(`${ingresses}/a`, { status });
    expect(patched.body.status).to.deep.equal({ loadBalancer: {} });
    const written = await merge(`${ingresses}/a/status`, { status });
    expect(written.body.status).to.deep.equal(status);
  });

  it('stores nothing in a dry run', async () => {
    const { status, body } = await post(`${configMaps}?dryRun=All`, { metadata: { name: 'a' } });
    expect(status).to.equal(201);
    expect(body.metadata.uid).to.be.a('string');
    expect(await namesIn(configMaps)).to.deep.equal([]);
  });

  it('keeps a deleted object until its finalizers are gone', async () => {
    await post(configMaps, { metadata: { name: 'a', finalizers: ['example.test/hold'] } });
    const marked = await remove(`${configMaps}/a`);
    expect(marked.body.metadata.deletionTimestamp).to.be.a('string');
    expect(await namesIn(configMaps)).to.deep.equal(['a']);
    await merge(`${configMaps}/a`, { metadata: { finalizers: null } });
    expect(await namesIn(configMaps)).to.deep.equal([]);
  });

  it('deletes only the object that is meant', async () => {
    await post(configMaps, { metadata: { name: 'a' } });
    expect((await remove(`${configMaps}/a`, { preconditions: { uid: 'another' } })).status).to.equal(409);
    expect(await namesIn(configMaps)).to.deep.equal(['a']);
  });

  it('lets dependents follow their owner', async () => {
    const owner = await post(secrets, { metadata: { name: 'owner' } });
    await post(configMaps, { metadata: { name: 'dependent', ownerReferences: [ownedBy(owner)] } });
    const { body } = await remove(`${secrets}/owner`);
    expect(body).to.deep.include({ kind: 'Status', status: 'Success' });
    expect(await namesIn(configMaps)).to.deep.equal([]);
  });

  it('keeps a dependent that has another living owner, without the reference to the dead one', async () => {
    const [one, two] = [
      await post(secrets, { metadata: { name: 'one' } }),
      await post(secrets, { metadata: { name: 'two' } }),
    ];
    await post(configMaps, { metadata: { name: 'a', ownerReferences: [ownedBy(one), ownedBy(two)] } });
    await remove(`${secrets}/one`);
    const { body } = await ask(api, `${configMaps}/a`);
    expect(body.metadata.ownerReferences).to.deep.equal([ownedBy(two)]);
  });

  it('leaves dependents alone when told to orphan them', async () => {
    const owner = await post(secrets, { metadata: { name: 'owner' } });
    await post(configMaps, { metadata: { name: 'a', ownerReferences: [ownedBy(owner)] } });
    await remove(`${secrets}/owner?propagationPolicy=Orphan`);
    expect(await namesIn(secrets)).to.deep.equal([]);
    expect((await ask(api, `${configMaps}/a`)).body.metadata.ownerReferences).to.equal(undefined);
  });

  it('deletes dependents first when told to delete in the foreground', async () => {
    const owner = await post(secrets, { metadata: { name: 'owner' } });
    await post(configMaps, {
      metadata: { name: 'a', ownerReferences: [ownedBy(owner)], finalizers: ['example.test/hold'] },
    });
    await remove(`${secrets}/owner`, { propagationPolicy: 'Foreground' });
    expect(await namesIn(secrets)).to.deep.equal(['owner']);
    await merge(`${configMaps}/a`, { metadata: { finalizers: null } });
    expect(await namesIn(secrets)).to.deep.equal([]);
  });

  it('collects an object whose owner never existed', async () => {
    const reference = { apiVersion: 'v1', kind: 'Secret', name: 'ghost', uid: 'no-such-uid' };
    await post(configMaps, { metadata: { name: 'a', ownerReferences: [reference] } });
    expect(await namesIn(configMaps)).to.deep.equal([]);
  });

  it('empties a namespace before it goes, and takes nothing new meanwhile', async () => {
    await post('/api/v1/namespaces', { metadata: { name: 'team' } });
    const inside = '/api/v1/namespaces/team/configmaps';
    await post(inside, { metadata: { name: 'a' } });
    await post(inside, { metadata: { name: 'held', finalizers: ['example.test/hold'] } });
    const deleted = await remove('/api/v1/namespaces/team');
    expect(deleted.body.status.phase).to.equal('Terminating');
    expect(await namesIn(inside)).to.deep.equal(['held']);
    const late = await post(inside, { metadata: { name: 'late' } });
    expect(late.status).to.equal(403);
    expect(late.body.details.causes[0].reason).to.equal('NamespaceTerminating');
    await merge(`${inside}/held`, { metadata: { finalizers: null } });
    expect((await ask(api, '/api/v1/namespaces/team')).status).to.equal(404);
    expect((await post(inside, { metadata: { name: 'later' } })).status).to.equal(404);
  });

  it('keeps the namespace that everything is in', async () => {
    const { status, body } = await ask(api, '/api/v1/namespaces/default', { method: 'DELETE' });
    expect(status).to.equal(403);
    expect(body.message).to.equal('namespaces "default" is forbidden: this namespace may not be deleted');
  });

  it('warns of the class annotation of a new Ingress, as the real server does', async () => {
    const spec = { defaultBackend: { service: { name: 'web', port: { number: 80 } } } };
    const metadata = { name: 'old', annotations: { 'kubernetes.io/ingress.class': 'x' } };
    const ingresses = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
    const { headers } = await ask(api, ingresses, { method: 'POST', body: { metadata, spec } });
    expect(headers.warning).to.contain("is deprecated, please use 'spec.ingressClassName' instead");
  });

  it('shows one Event in both of its APIs', async () => {
    const involvedObject = { kind: 'Ingress', name: 'a', namespace: 'default', uid: 'u' };
    await post('/api/v1/namespaces/default/events', {
      metadata: { name: 'e' },
      involvedObject,
      reason: 'TunnelReady',
      message: 'up',
      type: 'Normal',
      count: 2,
    });
    const { body } = await ask(api, '/apis/events.k8s.io/v1/namespaces/default/events/e');
    expect(body).to.deep.include({ note: 'up', regarding: involvedObject, deprecatedCount: 2 });
    const selected = await ask(
      api,
      '/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid=u,type=Normal',
    );
    expect(selected.body.items).to.have.length(1);
  });

  it('hides the stringData of a Secret in its data', async () => {
    const { body } = await post(secrets, { metadata: { name: 'a' }, stringData: { k: 'v' } });
    expect(body.data).to.deep.equal({ k: 'dg==' });
    expect(body.stringData).to.equal(undefined);
  });

  it('takes names that JavaScript objects inherit for ordinary words', async () => {
    const created = await post(secrets, { metadata: { name: 'a' }, type: '__proto__' });
    expect(created.status).to.equal(201);
    expect((await ask(api, `${secrets}?fieldSelector=constructor%3Da`)).status).to.equal(400);
  });

  describe('refuses in the words of the real server', () => {
    const rule = (path: object) => ({ rules: [{ host: 'a.example.test', http: { paths: [path] } }] });
    const backend = { service: { name: 'web', port: { number: 80 } } };
    const cases: [string, object, string][] = [
      [
        'no rule and no backend',
        {},
        'spec: Invalid value: null: either `defaultBackend` or `rules` must be specified',
      ],
      ['a rule without paths', { rules: [{ http: {} }] }, 'spec.rules[0].http.paths: Required value'],
      [
        'an address as host',
        { rules: [{ host: '10.0.0.1' }] },
        'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
      ],
      [
        'no pathType',
        rule({ path: '/', backend }),
        'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
      ],
      [
        'a relative path',
        rule({ path: 'a', pathType: 'Prefix', backend }),
        'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path',
      ],
      [
        'no backend',
        rule({ path: '/', pathType: 'Prefix' }),
        'spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required',
      ],
      [
        'no port',
        { defaultBackend: { service: { name: 'web' } } },
        'spec.defaultBackend: Required value: port name or number is required',
      ],
      [
        'two ports',
        { defaultBackend: { service: { name: 'web', port: { name: 'http', number: 80 } } } },
        'spec.defaultBackend: Invalid value: "": cannot set both port name & port number',
      ],
    ];
    for (const [what, spec, message] of cases) {
      it(`an Ingress with ${what}`, async () => {
        const { status, body } = await post(ingresses, { metadata: { name: 'a' }, spec });
        expect(status).to.equal(422);
        expect(body.message).to.equal(`Ingress.networking.k8s.io "a" is invalid: ${message}`);
        expect(body.details.causes[0].field).to.equal(message.split(':')[0]);
      });
    }

    it('an Ingress whose status has an address that is none', async () => {
      await post(ingresses, { metadata: { name: 'a' }, spec: { defaultBackend: backend } });
      const { status, body } = await ask(api, `${ingresses}/a/status`, {
        method: 'PATCH',
        body: { status: { loadBalancer: { ingress: [{ ip: 'app.example.com' }] } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      expect(status).to.equal(422);
      expect(body.details.causes[0].field).to.equal('status.loadBalancer.ingress[0].ip');
    });

    it('a value of the wrong type', async () => {
      const { status, body } = await post(ingresses, {
        metadata: { name: 'a' },
        spec: { rules: [{ host: 3 }] },
      });
      expect(status).to.equal(400);
      expect(body.message).to.equal(
        'Ingress in version "v1" cannot be handled as a Ingress: json: cannot unmarshal number into Go struct field IngressRule.spec.rules.host of type string',
      );
    });

    it('an unknown field, or warns of it', async () => {
      const body = { ...ingress('a'), surplus: 1 };
      const strict = await post(`${ingresses}?fieldValidation=Strict`, body);
      expect(strict.status).to.equal(400);
      expect(strict.body.message).to.contain('strict decoding error: unknown field "surplus"');
      const lenient = await post(ingresses, body);
      expect(lenient.status).to.equal(201);
      expect(lenient.headers.warning).to.equal('299 - "unknown field \\"surplus\\""');
      expect(lenient.body.surplus).to.equal(undefined);
    });
  });
});
