import { expect } from 'chai';
import { ingress, pathOf, service, slice } from '../support/manifests.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';

/**
 * The twenty-two situations that broke the controller of 2017, each through the whole: Kubernetes API, controller,
 * worker thread, edge. The numbers are those of the findings.
 */
describe('the twenty-two situations', function () {
  this.timeout(60_000);
  let town: Town;

  beforeEach(async () => {
    town = await startTown();
    await town.startController();
  });
  afterEach(() => town.stop());

  /** A Service with one ready endpoint that answers with its own name. */
  async function backend(name = 'web'): Promise<void> {
    await town.user.apply(service(name), slice(`${name}-1`, name, await town.origin(name)));
  }

  async function served(name = 'web'): Promise<void> {
    await backend(name);
    await town.user.apply(ingress('web', host, { paths: [{ service: name }] }));
    await town.answers(host, '/', name);
  }

  it('1: an annotation that is added to an existing Ingress serves it at once', async () => {
    await backend();
    await town.user.apply(ingress('web', host, { className: null }));
    await town.user.apply(ingress('web', host));
    await town.answers(host, '/', 'web');
  });

  it('2: when the annotation is removed, tunnel and records go, and the address from its status', async () => {
    await served();
    await town.until('it has an address', async () => (await town.status('web')).length === 1);
    await town.user.apply(ingress('web', host, { className: null }));
    await town.nothingLeft();
    await town.until('it has none', async () => (await town.status('web')).length === 0);
  });

  it('2: when the class is changed, tunnel and records go', async () => {
    await served();
    await town.user.apply(ingress('web', host, { className: 'nginx' }));
    await town.nothingLeft();
  });

  it('3: a host that is changed in place moves, and the old one goes', async () => {
    await served();
    await town.user.apply(ingress('web', 'new.example.com'));
    await town.answers('new.example.com', '/', 'web');
    await town.hastened(town.until('the old host is gone', () => !town.hosts().includes(host)));
    expect(town.hosts()).to.deep.equal(['new.example.com']);
  });

  it('4: another Service name keeps the tunnel and moves the origin', async () => {
    await served();
    const before = town.tunnelIds();
    await backend('other');
    await town.user.apply(ingress('web', host, { paths: [{ service: 'other' }] }));
    await town.answers(host, '/', 'other');
    expect(town.tunnelIds()).to.deep.equal(before);
  });

  it("5: a change of the Service's port number is followed", async () => {
    await served();
    await town.user.apply(service('web', 8081));
    await town.user.apply(ingress('web', host, { paths: [{ port: 8081 }] }));
    await town.answers(host, '/', 'web');
  });

  it('6: a port by name leads to the named target port', async () => {
    await backend();
    await town.user.apply(ingress('web', host, { paths: [{ port: 'http' }] }));
    await town.answers(host, '/', 'web');
  });

  it('7: a deleted Service closes the tunnel, and says so; a new one opens it again', async () => {
    await served();
    await town.user.remove('Service', 'web');
    await town.until('the tunnel is closed', () => town.connections(host) === 0);
    await town.until('WaitingForService', async () =>
      (await town.reasons('web')).includes('WaitingForService'),
    );
    await town.user.apply(service());
    await town.answers(host, '/', 'web');
  });

  it('8: endpoints that are all not ready close the tunnel, and say so', async () => {
    await served();
    const port = await town.origin('web');
    await town.user.apply(slice('web-1', 'web', port, [{ address: '127.0.0.1', ready: false }]));
    await town.until('the tunnel is closed', () => town.connections(host) === 0);
    await town.until('WaitingForEndpoints', async () =>
      (await town.reasons('web')).includes('WaitingForEndpoints'),
    );
    await town.user.apply(slice('web-1', 'web', port));
    await town.answers(host, '/', 'web');
  });

  it('9: endpoints of several slices count together, and one slice may go', async () => {
    await served();
    const port = await town.origin('web');
    await town.user.apply(slice('web-2', 'web', port, [{ address: '127.0.0.2' }]));
    await town.user.remove('EndpointSlice', 'web-2');
    await town.answers(host, '/', 'web');
    await town.user.remove('EndpointSlice', 'web-1');
    await town.until('the tunnel is closed', () => town.connections(host) === 0);
  });

  it('10: two Ingresses with one Service are both served', async () => {
    await served();
    await town.user.apply(ingress('second', 'second.example.com'));
    await town.answers('second.example.com', '/', 'web');
    await town.answers(host, '/', 'web');
  });

  it('11: of two Ingresses with one host the oldest has it and the other is told', async () => {
    await served();
    await backend('other');
    await town.user.apply(ingress('younger', host, { paths: [{ service: 'other' }] }));
    await town.until('HostTaken', async () => (await town.reasons('younger')).includes('HostTaken'));
    await town.answers(host, '/', 'web');
    expect(town.tunnelIds()).to.have.length(1);
  });

  it('12: an Ingress that is deleted while the watch is down is cleaned up', async () => {
    await served();
    town.kubeFaults.hangWatches();
    await town.user.remove('Ingress', 'web');
    town.kubeFaults.expireHistory();
    town.kubeFaults.dropWatches();
    await town.hastened(town.nothingLeft());
  });

  it('13: an Ingress that is deleted while the controller is down is cleaned up', async () => {
    await served();
    await town.stopController();
    await town.user.remove('Ingress', 'web');
    await town.startController();
    await town.nothingLeft();
  });

  it('14: deleted and made again at once, the newest state wins', async () => {
    await served();
    await town.user.remove('Ingress', 'web');
    await town.user.apply(ingress('web', host));
    await town.answers(host, '/', 'web');
    await town.until(
      'one tunnel, one record',
      () => town.tunnelIds().length === 1 && town.hosts().length === 1,
    );
    await town.answers(host, '/', 'web');
  });

  it('15: Ingresses without rules, http or paths get an Event and disturb nobody', async () => {
    await served();
    const bad = (name: string, spec: object) => ({ ...ingress(name, host), spec });
    await town.user.apply(
      bad('only-default', { defaultBackend: { service: { name: 'web', port: { number: 8080 } } } }),
      bad('no-http', { rules: [{ host: 'no-http.example.com' }] }),
      bad('no-host', { rules: [{ http: { paths: [pathOf({})] } }] }),
    );
    for (const name of ['only-default', 'no-http', 'no-host']) {
      await town.until(`${name} is told`, async () => (await town.reasons(name)).includes('InvalidIngress'));
    }
    await town.user.apply(ingress('good', 'good.example.com'));
    await town.answers('good.example.com', '/', 'web');
    await town.answers(host, '/', 'web');
  });

  it('16: several rules and paths are served', async () => {
    await backend();
    await backend('api');
    const rules = [
      { host, http: { paths: [pathOf({}), pathOf({ path: '/api', service: 'api' })] } },
      { host: 'api.example.com', http: { paths: [pathOf({ service: 'api' })] } },
    ];
    await town.user.apply({ ...ingress('web', host), spec: { rules } });
    await town.answers(host, '/', 'web');
    await town.answers(host, '/api/x', 'api');
    await town.answers('api.example.com', '/', 'api');
    expect(town.tunnelIds()).to.have.length(2);
  });

  it('17: a tunnel whose connections are all lost says so and comes back', async () => {
    await served();
    town.edge.faults.cut();
    await town.answers(host, '/', 'web');
    await town.until('TunnelLost', async () => (await town.reasons('web')).includes('TunnelLost'));
  });

  it('18: a thread that dies takes only its tunnel with it, which is restarted', async () => {
    await town.stopController();
    await town.startController('--tunnels-per-thread=1');
    await served();
    const [thread] = await town.threads.list();
    await town.user.apply(ingress('second', 'second.example.com'));
    await town.answers('second.example.com', '/', 'web');
    await town.threads.evaluate(thread!, 'process.exit(1)');
    await town.until('the tunnel is restarted', () =>
      town.log.some((line) => line.includes('tunnel restarting')),
    );
    await town.answers('second.example.com', '/', 'web');
    await town.answers(host, '/', 'web');
    await town.until('TunnelRestarted', async () => (await town.reasons('web')).includes('TunnelRestarted'));
    expect(await town.reasons('second')).to.not.include('TunnelRestarted');
  });

  it('19: a first connection that fails is tried until it succeeds', async () => {
    town.edge.faults.newConnections = 'reset';
    await backend();
    await town.user.apply(ingress('web', host));
    await town.until('the tunnel exists', () => town.tunnelIds().length === 1);
    town.edge.faults.newConnections = 'accept';
    await town.answers(host, '/', 'web');
  });

  it('20: what exists before the start is served without waiting for a change', async () => {
    await town.stopController();
    await backend();
    await town.user.apply(ingress('web', host));
    await town.startController();
    await town.answers(host, '/', 'web');
  });

  it('21: rotated credentials are picked up without a dropped connection', async () => {
    await served();
    const before = town.connectionIds();
    await town.rotateCredentials();
    await town.user.apply(ingress('second', 'second.example.com'));
    await town.hastened(town.answers('second.example.com', '/', 'web'));
    expect(town.connectionIds()).to.include.members([...before]);
  });

  it('22: a stop drains and is over as soon as it is done', async () => {
    await served();
    await town.stopController();
    expect(town.connections(host)).to.equal(0);
    expect(town.tunnelIds(), 'a stop removes nothing').to.have.length(1);
  });
});
