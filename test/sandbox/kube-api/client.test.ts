import { CoreV1Api, DiscoveryV1Api, KubeConfig, NetworkingV1Api, Watch } from '@kubernetes/client-node';
import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { endpointSlice, ingress, service } from './objects.ts';

describe('kube-api with @kubernetes/client-node', () => {
  const namespace = 'team';
  let api: KubeApi;
  let config: KubeConfig;

  beforeEach(async () => {
    api = await startKubeApi({ namespaces: [namespace] });
    config = new KubeConfig();
    config.loadFromString(api.kubeconfig());
  });
  afterEach(() => api.stop());

  it('stores an Ingress with the metadata that the server makes', async () => {
    const client = config.makeApiClient(NetworkingV1Api);
    const created = await client.createNamespacedIngress({ namespace, body: ingress('a') });
    expect(created.metadata?.uid).to.match(/^[0-9a-f-]{36}$/);
    expect(created.metadata?.generation).to.equal(1);
    expect(created.metadata?.creationTimestamp).to.be.instanceOf(Date);
    const listed = await client.listNamespacedIngress({ namespace });
    expect(listed.items.map((item) => item.metadata?.uid)).to.deep.equal([created.metadata?.uid]);
  });

  it('gives a Service an address of its own and keeps it over an update that leaves it out', async () => {
    const client = config.makeApiClient(CoreV1Api);
    const created = await client.createNamespacedService({ namespace, body: service('web') });
    expect(created.spec?.clusterIP).to.match(/^127\.(9[6-9]|10\d|11[01])\.\d+\.\d+$/);
    expect(created.spec?.ports?.[0]).to.include({ protocol: 'TCP', targetPort: 8080 });
    const other = await client.createNamespacedService({ namespace, body: service('other') });
    expect(other.spec?.clusterIP).not.to.equal(created.spec?.clusterIP);
    const replaced = await client.replaceNamespacedService({ namespace, name: 'web', body: service('web') });
    expect(replaced.spec?.clusterIP).to.equal(created.spec?.clusterIP);
  });

  it('gives an address to one Service at a time, and to another once that is gone', async () => {
    const client = config.makeApiClient(CoreV1Api);
    const { spec } = await client.createNamespacedService({ namespace, body: service('one') });
    const wanted = { ...service('two'), spec: { ...service('two').spec, clusterIP: spec!.clusterIP! } };
    const refused = await client.createNamespacedService({ namespace, body: wanted }).catch(String);
    expect(refused).to.match(/failed to allocate IP/);
    await client.deleteNamespacedService({ namespace, name: 'one' });
    const given = await client.createNamespacedService({ namespace, body: wanted });
    expect(given.spec?.clusterIP).to.equal(spec!.clusterIP);
  });

  it('watches what a list left off', async () => {
    const client = config.makeApiClient(DiscoveryV1Api);
    const { metadata } = await client.listNamespacedEndpointSlice({ namespace });
    const seen: string[] = [];
    const watch = new Watch(config);
    const deleted = Promise.withResolvers<void>();
    const abort = await watch.watch(
      `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      { resourceVersion: metadata?.resourceVersion },
      (phase, object) => {
        seen.push(`${phase} ${object.metadata.name}`);
        if (phase === 'DELETED') deleted.resolve();
      },
      () => {},
    );
    await client.createNamespacedEndpointSlice({ namespace, body: endpointSlice('web-1', 'web', 8080) });
    await client.replaceNamespacedEndpointSlice({
      namespace,
      name: 'web-1',
      body: endpointSlice('web-1', 'web', 8081),
    });
    await client.deleteNamespacedEndpointSlice({ namespace, name: 'web-1' });
    await deleted.promise;
    abort.abort();
    expect(seen).to.deep.equal(['ADDED web-1', 'MODIFIED web-1', 'DELETED web-1']);
  });

  it('refuses an Ingress without rules in the words of the real server', async () => {
    const client = config.makeApiClient(NetworkingV1Api);
    const body = { ...ingress('a'), spec: {} };
    const error = await client.createNamespacedIngress({ namespace, body }).then(
      () => null,
      (thrown: { code: number; body: string }) => thrown,
    );
    expect(error?.code).to.equal(422);
    expect(JSON.parse(error?.body ?? '{}').message).to.equal(
      'Ingress.networking.k8s.io "a" is invalid: spec: Invalid value: null: either `defaultBackend` or `rules` must be specified',
    );
  });
});
