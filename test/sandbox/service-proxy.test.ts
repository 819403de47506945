import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import type { JsonObject } from '../../src/sandbox/kube-api/json.ts';
import { Registry } from '../../src/sandbox/kube-api/registry/registry.ts';
import { namespaces } from '../../src/sandbox/kube-api/resources/cluster.ts';
import type { ResourceDefinition } from '../../src/sandbox/kube-api/resources/definition.ts';
import { endpointSlices } from '../../src/sandbox/kube-api/resources/endpoints.ts';
import { services } from '../../src/sandbox/kube-api/resources/service.ts';
import { Store } from '../../src/sandbox/kube-api/store/store.ts';
import { type ServiceProxy, startServiceProxy } from '../../src/sandbox/service-proxy.ts';
import { systemClock } from '../../src/time/clock.ts';
import { endpointSlice, service } from './kube-api/objects.ts';

describe('service proxy', () => {
  const namespace = 'team';
  let registry: Registry;
  let proxy: ServiceProxy;
  let origins: Server[];

  beforeEach(() => {
    const store = new Store(1000);
    registry = new Registry(store, systemClock);
    origins = [];
    put(namespaces, '', { metadata: { name: namespace } });
    proxy = startServiceProxy({ store });
  });
  afterEach(async () => {
    await proxy.stop();
    for (const origin of origins) origin.close();
  });

  function put(definition: ResourceDefinition, where: string, object: object) {
    return registry.create(definition, where, json(object), {
      dryRun: false,
      writer: null,
    });
  }

  function json(object: object): JsonObject {
    return structuredClone(object) as unknown as JsonObject;
  }

  /** An origin that says its name and ends. */
  async function origin(name: string): Promise<number> {
    const server = createServer((socket) => socket.end(name)).listen(0, '127.0.0.1');
    origins.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** What comes back, or the code of the error. */
  async function visit(host: string): Promise<string> {
    const socket = connect(8080, host);
    const chunks: string[] = [];
    try {
      for await (const chunk of socket) chunks.push(String(chunk));
      return chunks.join('');
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'error';
    }
  }

  function addService(): string {
    return (put(services, namespace, service('web')).spec as { clusterIP: string }).clusterIP;
  }

  it('leads a cluster IP to its ready endpoints in turn', async () => {
    const [one, two] = [await origin('one'), await origin('two')];
    const host = addService();
    put(endpointSlices, namespace, endpointSlice('web-1', 'web', one));
    put(endpointSlices, namespace, endpointSlice('web-2', 'web', two));
    await proxy.settled();
    const answers = [await visit(host), await visit(host), await visit(host)];
    expect(answers).to.deep.equal(['one', 'two', 'one']);
  });

  it('refuses connections while no endpoint is ready, and again when the last one goes', async () => {
    const host = addService();
    await proxy.settled();
    expect(await visit(host)).to.equal('ECONNREFUSED');
    const slice = endpointSlice('web-1', 'web', await origin('one'));
    const unready = { ...slice, endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: false } }] };
    const target = { definition: endpointSlices, namespace, name: 'web-1' };
    const options = { dryRun: false, writer: null };
    put(endpointSlices, namespace, unready);
    await proxy.settled();
    expect(await visit(host)).to.equal('ECONNREFUSED');
    registry.update(target, '', options, () => json(slice));
    await proxy.settled();
    expect(await visit(host)).to.equal('one');
    registry.update(target, '', options, () => json(unready));
    await proxy.settled();
    expect(await visit(host)).to.equal('ECONNREFUSED');
  });

  it('matches ports by name, so a slice of another port is not used', async () => {
    const host = addService();
    const slice = endpointSlice('web-1', 'web', await origin('one'));
    put(endpointSlices, namespace, { ...slice, ports: [{ name: 'metrics', port: slice.ports?.[0]?.port }] });
    await proxy.settled();
    expect(await visit(host)).to.equal('ECONNREFUSED');
  });

  it('keeps a connection that was open when its endpoint left', async () => {
    const server = createServer((socket) => socket.on('data', (data) => socket.write(data))).listen(
      0,
      '127.0.0.1',
    );
    origins.push(server);
    await once(server, 'listening');
    const host = addService();
    put(endpointSlices, namespace, endpointSlice('web-1', 'web', (server.address() as AddressInfo).port));
    await proxy.settled();
    const socket = connect(8080, host);
    socket.write('before');
    expect(String((await once(socket, 'data'))[0])).to.equal('before');
    registry.delete(
      { definition: endpointSlices, namespace, name: 'web-1' },
      { preconditions: {}, propagation: 'Background', graceSeconds: undefined, dryRun: false },
    );
    await proxy.settled();
    socket.write('after');
    expect(String((await once(socket, 'data'))[0])).to.equal('after');
    socket.end();
    await once(socket, 'close');
  });
});
