import { expect } from 'chai';
import type { Result } from '../../../src/fault.ts';
import { readSnapshot, type Snapshot } from '../../../src/kube/snapshot.ts';
import { plainSettings } from '../../support/ingress-settings.ts';
import { ingress, service, slice } from '../../support/manifests.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

const rules = { ingressClass: 'cloudflare-warp', defaults: plainSettings };
const withUid = (object: { metadata: object }) => ({ ...object, metadata: { ...object.metadata, uid: 'u' } });

describe('a snapshot of the namespace', () => {
  let kube: ScriptedKube;
  beforeEach(async () => {
    kube = await ScriptedKube.start();
  });
  afterEach(() => kube.close());

  async function begin(): Promise<{ readonly reading: Promise<Result<Snapshot>> }> {
    const client = await kube.client(new ManualClock());
    return { reading: readSnapshot(client, rules, new AbortController().signal) };
  }

  it('has all pages of the four kinds, and says what it cannot read', async () => {
    const { reading } = await begin();
    const first = await kube.next('GET /ingresses');
    first.list('1', [withUid(ingress('a', 'a.example.com'))], 'more');
    const second = await kube.next('GET /ingresses');
    expect(second.url.searchParams.get('continue')).to.equal('more');
    second.list('1', [
      withUid(ingress('b', 'b.example.com')),
      withUid(ingress('other', 'c.example.com', { className: null })),
      ingress('no-uid', 'd.example.com'),
    ]);
    (await kube.next('GET /services')).list('1', [withUid(service())]);
    (await kube.next('GET /endpointslices')).list('1', [withUid(slice('web-1', 'web', 80))]);
    const secrets = await kube.next('GET /secrets');
    expect(secrets.url.searchParams.get('labelSelector')).to.equal('cloudflare-warp/host-hash');
    secrets.list('1', [{ metadata: { name: 'cloudflare-warp-x', uid: 'u' }, data: {} }]);
    const snapshot = await reading;
    if (!snapshot.ok) throw new Error(snapshot.fault.message);
    const { ingresses, services, slices, ledger, unreadable } = snapshot.value;
    expect(ingresses.map(({ key }) => key)).to.deep.equal(['a', 'b']);
    expect([services.length, slices.length, ledger.length]).to.deep.equal([1, 1, 0]);
    expect(unreadable.map(({ kind, name }) => `${kind} ${name}`)).to.deep.equal([
      'Ingress no-uid',
      'Secret cloudflare-warp-x',
    ]);
  });

  it('begins a kind again in one answer where the token of the next page has expired', async () => {
    const { reading } = await begin();
    (await kube.next('GET /ingresses')).list('1', [withUid(ingress('a', 'a.example.com'))], 'more');
    (await kube.next('GET /ingresses')).refuse(410, 'expired');
    const whole = await kube.next('GET /ingresses');
    expect(whole.url.searchParams.has('limit')).to.equal(false);
    whole.list('2', [withUid(ingress('a', 'a.example.com')), withUid(ingress('b', 'b.example.com'))]);
    for (const kind of ['services', 'endpointslices', 'secrets'])
      (await kube.next(`GET /${kind}`)).list('2', []);
    const snapshot = await reading;
    expect(snapshot.ok && snapshot.value.ingresses.map(({ key }) => key)).to.deep.equal(['a', 'b']);
  });

  it('is a fault when one kind may not be listed: half a world looks like deletions', async () => {
    const { reading } = await begin();
    (await kube.next('GET /ingresses')).list('1', []);
    (await kube.next('GET /services')).refuse(403, 'no');
    const snapshot = await reading;
    expect(!snapshot.ok && snapshot.fault.code).to.equal('kube-forbidden');
  });
});
