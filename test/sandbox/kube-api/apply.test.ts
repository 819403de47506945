import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { ask } from './http.ts';

describe('kube-api server-side apply', () => {
  let api: KubeApi;
  beforeEach(async () => {
    api = await startKubeApi();
  });
  afterEach(() => api.stop());

  const path = '/api/v1/namespaces/default';
  const apply = (plural: string, kind: string, manager: string, body: object, query = '') =>
    ask(api, `${path}/${plural}/x?fieldManager=${manager}${query}`, {
      method: 'PATCH',
      body: { apiVersion: 'v1', kind, ...body },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
  const applyData = (manager: string, data: object, query = '') =>
    apply('configmaps', 'ConfigMap', manager, { data }, query);
  const owners = (body: {
    metadata: { managedFields: { manager: string; operation: string; fieldsV1: unknown }[] };
  }) => body.metadata.managedFields.map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1]);

  it('creates what is not there, owned by the applier', async () => {
    const { status, body } = await applyData('one', { a: '1' });
    expect(status).to.equal(201);
    expect(owners(body)).to.deep.equal([['one', 'Apply', { 'f:data': { 'f:a': {} } }]]);
  });

  it('changes nothing when the same is applied again', async () => {
    const first = await applyData('one', { a: '1' });
    const second = await applyData('one', { a: '1' });
    expect(second.body.metadata.resourceVersion).to.equal(first.body.metadata.resourceVersion);
  });

  it('removes what the applier no longer says and nobody else owns', async () => {
    await applyData('one', { a: '1', b: '2' });
    await applyData('two', { b: '2', c: '3' });
    const { body } = await applyData('one', { d: '4' });
    expect(body.data).to.deep.equal({ b: '2', c: '3', d: '4' });
  });

  it('refuses to change what another manager owns, and names it', async () => {
    await applyData('one', { a: '1', b: '2' });
    const { status, body } = await applyData('two', { a: '9', b: '9' });
    expect(status).to.equal(409);
    expect(body.message).to.equal(
      'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b',
    );
    expect(body.details.causes[0]).to.deep.equal({
      reason: 'FieldManagerConflict',
      message: 'conflict with "one"',
      field: '.data.a',
    });
  });

  it('shares a field on whose value both agree', async () => {
    await applyData('one', { a: '1' });
    const { status, body } = await applyData('two', { a: '1' });
    expect(status).to.equal(200);
    expect(owners(body).map(([manager]) => manager)).to.deep.equal(['one', 'two']);
  });

  it('takes a field over by force', async () => {
    await applyData('one', { a: '1', b: '2' });
    const { body } = await applyData('two', { a: '9' }, '&force=true');
    expect(body.data).to.deep.equal({ a: '9', b: '2' });
    expect(owners(body)).to.deep.equal([
      ['one', 'Apply', { 'f:data': { 'f:b': {} } }],
      ['two', 'Apply', { 'f:data': { 'f:a': {} } }],
    ]);
  });

  it('conflicts with what an ordinary update changed', async () => {
    await applyData('one', { a: '1' });
    await ask(api, `${path}/configmaps/x?fieldManager=editor`, {
      method: 'PATCH',
      body: { data: { a: '2' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const { body } = await applyData('one', { a: '1' });
    expect(body.message).to.equal('Apply failed with 1 conflict: conflict with "editor" using v1: .data.a');
  });

  it('merges the ports of a Service by port and protocol', async () => {
    const ports = (...list: object[]) => ({ spec: { ports: list } });
    await apply(
      'services',
      'Service',
      'one',
      ports({ port: 80, name: 'a' }, { port: 53, name: 'dns', protocol: 'UDP' }),
    );
    const added = await apply('services', 'Service', 'two', ports({ port: 443, name: 'b' }));
    expect(added.body.spec.ports.map(({ port }: { port: number }) => port)).to.deep.equal([80, 53, 443]);
    const removed = await apply('services', 'Service', 'one', ports({ port: 80, name: 'z' }));
    expect(removed.body.spec.ports.map(({ name }: { name: string }) => name)).to.deep.equal(['z', 'b']);
    const conflict = await apply('services', 'Service', 'two', ports({ port: 80, name: 'y' }));
    expect(conflict.body.details.causes[0].field).to.equal('.spec.ports[port=80,protocol="TCP"].name');
  });

  it('keeps status writers apart from the rest', async () => {
    const ingress = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
    const created = await ask(api, `${ingress}?fieldManager=user`, {
      method: 'POST',
      body: {
        metadata: { name: 'x' },
        spec: { defaultBackend: { service: { name: 'web', port: { number: 80 } } } },
      },
    });
    expect(created.status).to.equal(201);
    const { body } = await ask(api, `${ingress}/x/status?fieldManager=controller`, {
      method: 'PATCH',
      body: { spec: null, status: { loadBalancer: { ingress: [{ hostname: 'a.example.test' }] } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(body.spec).to.deep.equal(created.body.spec);
    expect(body.metadata.generation).to.equal(1);
    const noted = body.metadata.managedFields.find(
      ({ manager }: { manager: string }) => manager === 'controller',
    );
    expect(noted).to.deep.include({
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:loadBalancer': { 'f:ingress': {} } } },
    });
  });

  for (const { what, query, body, message } of [
    { what: 'no manager', query: '', body: {}, message: 'is required for apply patch' },
    {
      what: 'managed fields',
      query: '?fieldManager=x',
      body: { metadata: { managedFields: [{ manager: 'x' }] } },
      message: 'metadata.managedFields must be nil',
    },
    {
      what: 'another name',
      query: '?fieldManager=x',
      body: { metadata: { name: 'y' } },
      message: 'the name of the object (y) does not match the name on the URL (x)',
    },
  ]) {
    it(`refuses an intent with ${what}`, async () => {
      const answer = await ask(api, `${path}/configmaps/x${query}`, {
        method: 'PATCH',
        body: { apiVersion: 'v1', kind: 'ConfigMap', ...body },
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
      expect(answer.status).to.be.oneOf([400, 422]);
      expect(answer.body.message).to.contain(message);
    });
  }
});
