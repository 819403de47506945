import { expect } from 'chai';
import type { WorldMessage } from '../../../src/actors/messages.ts';
import { hostHash } from '../../../src/domain/host.ts';
import { ledgerSecretBody, ledgerSecretName } from '../../../src/kube/ledger-secret.ts';
import { startWorld, type World } from '../../../src/kube/world.ts';
import { eventually } from '../../support/eventually.ts';
import { plainSettings } from '../../support/ingress-settings.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type KubeCall, ScriptedKube } from '../../support/scripted-kube.ts';

const meta = (name: string, resourceVersion = '1', more: object = {}) => ({
  metadata: { name, uid: `u-${name}`, resourceVersion, ...more },
});
const ours = (name: string, resourceVersion = '1') => ({
  ...meta(name, resourceVersion, { annotations: { 'kubernetes.io/ingress.class': 'cloudflare-warp' } }),
  spec: {
    rules: [
      {
        host: `${name}.example.com`,
        http: {
          paths: [
            { path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } },
          ],
        },
      },
    ],
  },
});
const theirs = (name: string, resourceVersion = '1', more: object = {}) => ({
  ...ours(name, resourceVersion),
  ...meta(name, resourceVersion, { annotations: { 'kubernetes.io/ingress.class': 'nginx', ...more } }),
});
const service = (name: string, resourceVersion = '1') => ({
  ...meta(name, resourceVersion),
  spec: { clusterIP: '10.0.0.1', ports: [{ port: 80 }] },
});
const slice = (
  name: string,
  resourceVersion = '1',
  labels: object = { 'kubernetes.io/service-name': 'web' },
) => ({
  ...meta(name, resourceVersion, { labels }),
  endpoints: [{ addresses: ['10.1.0.1'] }],
  ports: [{ name: '', port: 8080 }],
});
const ledger = (host: string, resourceVersion = '1') => {
  const entry = {
    host,
    ingress: 'a',
    identity: 'me',
    tunnelName: 't',
    tunnel: null,
    publishes: true,
    dns: null,
    resourceVersion: null,
  };
  const body = ledgerSecretBody(entry) as { metadata: object };
  return { ...body, metadata: { ...body.metadata, resourceVersion, uid: `u-${host}` } };
};

/** One message as one short word. */
function word(message: WorldMessage): string {
  switch (message.type) {
    case 'ingress.present':
      return `ingress ${message.spec.key}${message.spec.hosts.length === 0 ? ' without hosts' : ''}`;
    case 'ingress.removed':
      return `no ingress ${message.key}`;
    case 'service.present':
      return `service ${message.service.name}`;
    case 'service.removed':
      return `no service ${message.name}`;
    case 'slice.present':
      return `slice ${message.slice.name} of ${message.slice.service}`;
    case 'slice.removed':
      return `no slice ${message.name}`;
    case 'ledger.present':
      return `ledger ${message.entry.host}@${message.entry.resourceVersion}`;
    case 'ledger.removed':
      return `no ledger ${message.host}@${message.resourceVersion}`;
    default:
      return message.type;
  }
}

describe('kube world', () => {
  let kube: ScriptedKube;
  let clock: ManualClock;
  let world: World;
  let told: string[];
  let notices: string[];
  let kept: ReturnType<typeof keptLog>;

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    clock = new ManualClock();
    kept = keptLog();
    told = [];
    notices = [];
    world = startWorld({
      client: await kube.client(clock),
      ingressClass: 'cloudflare-warp',
      defaults: plainSettings,
      clock,
      log: kept.log,
      telemetry: { events: () => {}, restarts: () => {} },
      random: () => 0,
      tell: (message) => void told.push(word(message)),
      notice: ({ name }, { reason, message }) => void notices.push(`${name} ${reason} ${message}`),
    });
  });
  afterEach(async () => {
    await world.stop();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    await kube.close();
  });

  const hear = async (...expected: string[]): Promise<void> => {
    await eventually(`${expected} of ${told}`, () => told.length >= expected.length);
    expect(told).to.deep.equal(expected);
    told.length = 0;
  };
  /** Lists these and gives the watch of the kind. */
  async function listed(kind: string, ...items: object[]): Promise<KubeCall> {
    (await kube.next(`GET /${kind}`)).list('10', items);
    return (await kube.next(`GET /${kind} watch`)).begin();
  }

  it('watches four kinds in one namespace, ledgers by their label', async () => {
    for (const path of [
      '/apis/networking.k8s.io/v1/namespaces/web/ingresses',
      '/api/v1/namespaces/web/services',
      '/apis/discovery.k8s.io/v1/namespaces/web/endpointslices',
      '/api/v1/namespaces/web/secrets',
    ]) {
      const call = await kube.next(`GET ${path}`);
      const selector = path.endsWith('/secrets') ? 'cloudflare-warp/host-hash' : null;
      expect(call.url.searchParams.get('labelSelector')).to.equal(selector);
    }
  });

  it('tells that a ledger is gone once somebody has emptied it, by the host that it is named for', async () => {
    const secrets = await listed('secrets', ledger('a.example.com', '9'));
    secrets.event('MODIFIED', { ...ledger('a.example.com', '11'), data: {} });
    secrets.event('DELETED', { ...ledger('a.example.com', '12'), data: {} });
    await hear('ledger a.example.com@9', 'no ledger a.example.com@11', 'no ledger a.example.com@12');
  });

  it('says that all is there once, after every kind was listed', async () => {
    await listed('ingresses', ours('a'));
    await listed('services', service('web'));
    await listed('secrets', ledger('a.example.com'));
    await hear('ingress a', 'service web', 'ledger a.example.com@1');
    const slices = await listed('endpointslices', slice('web-1'));
    await hear('slice web-1 of web', 'world.synced');
    slices.raw('garbage\n');
    await eventually('the restart', () => kept.lines.some(({ reason }) => reason === 'garbled'));
    await clock.advance(1_000);
    await listed('endpointslices');
    await hear('no slice web-1');
  });

  it('tells of what changes', async () => {
    const ingresses = await listed('ingresses');
    ingresses.event('ADDED', ours('a', '11')).event('DELETED', ours('a', '12'));
    await hear('ingress a', 'no ingress a');
    const services = await listed('services');
    services.event('ADDED', service('web', '11')).event('DELETED', service('web', '12'));
    await hear('service web', 'no service web');
    const secrets = await listed('secrets');
    secrets.event('ADDED', ledger('a.example.com', '11')).event('DELETED', ledger('a.example.com', '12'));
    await hear('ledger a.example.com@11', 'no ledger a.example.com@12');
  });

  it('an Ingress whose class changes is removed; one that never was ours is not mentioned', async () => {
    const ingresses = await listed('ingresses', theirs('b'));
    ingresses
      .event('ADDED', ours('a', '11'))
      .event('MODIFIED', theirs('a', '12'))
      .event('DELETED', theirs('a', '13'));
    ingresses.event('DELETED', theirs('b', '14')).event('MODIFIED', ours('c', '15'));
    await hear('ingress a', 'no ingress a', 'ingress c');
  });

  it('an Ingress whose class changes stays without a host while its status has nothing but what we wrote', async () => {
    const status = (...hostnames: string[]) => ({
      status: { loadBalancer: { ingress: hostnames.map((hostname) => ({ hostname })) } },
    });
    const ingresses = await listed('ingresses');
    ingresses
      .event('ADDED', { ...ours('a', '11'), ...status('t-1', 't-2') })
      .event('MODIFIED', { ...theirs('a', '12'), ...status('t-2') })
      .event('MODIFIED', { ...theirs('a', '13'), ...status() })
      .event('ADDED', { ...ours('b', '14'), ...status('t-3') })
      .event('MODIFIED', { ...theirs('b', '15'), ...status('t-3', 'elb') });
    await hear('ingress a', 'ingress a without hosts', 'no ingress a', 'ingress b', 'no ingress b');
  });

  it('a slice that loses its Service is removed', async () => {
    const slices = await listed('endpointslices', slice('web-1'), slice('other', '1', {}));
    slices.event('MODIFIED', slice('web-1', '11', {})).event('DELETED', slice('other', '12', {}));
    slices.event('ADDED', slice('web-2', '13'));
    await hear('slice web-1 of web', 'no slice web-1', 'slice web-2 of web');
  });

  it('tells a user who names two classes that it is not us', async () => {
    const object = theirs('a');
    await listed('ingresses', { ...object, spec: { ...object.spec, ingressClassName: 'cloudflare-warp' } });
    await eventually('the notice', () => notices.length > 0);
    expect(notices[0]).to.match(
      /^a InvalidIngress spec.ingressClassName: got "cloudflare-warp", .* annotation kubernetes.io\/ingress.class is "nginx"/,
    );
    expect(told).to.deep.equal([]);
  });

  it('one malformed object among good ones changes nothing for them', async () => {
    const broken = { metadata: { name: 'broken', resourceVersion: '1' }, spec: 'x' };
    const ingresses = await listed('ingresses', ours('a'), broken, null as never, ours('b'));
    ingresses.event('ADDED', { ...broken, metadata: { name: 'more', resourceVersion: '11' } });
    ingresses.event('ADDED', ours('c', '12'));
    await hear('ingress a', 'ingress b', 'ingress c');
    const services = await listed('services', service('web'), broken);
    services.event('MODIFIED', { ...broken, metadata: { name: 'web', resourceVersion: '11' } });
    services.event('ADDED', service('api', '12'));
    await hear('service web', 'service api');
    const hash = hostHash('x.example.com');
    const secret = meta(`cloudflare-warp-${hash}`, '1', { labels: { 'cloudflare-warp/host-hash': hash } });
    await listed('secrets', secret, ledger('a.example.com'));
    await hear('ledger a.example.com@1');
    const passedOver = kept.lines.filter(({ msg }) => msg === 'object cannot be read and is passed over');
    expect(passedOver.map(({ kind, name }) => `${kind} ${name}`)).to.deep.equal([
      'ingresses broken',
      'ingresses more',
      'services broken',
      'services web',
      `secrets ${ledgerSecretName('x.example.com')}`,
    ]);
  });

  it('ends everything when it is stopped', async () => {
    const calls = [await listed('ingresses'), await listed('services')];
    await world.stop();
    await eventually('the connections to be closed', () => calls.every((call) => call.closed));
  });
});
