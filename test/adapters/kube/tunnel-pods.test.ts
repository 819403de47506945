import { expect } from 'chai';
import { routesToUrl } from '../../../src/domain/url-routes.ts';
import { parseSeenPods } from '../../../src/kube/pods/parse-pods.ts';
import { createTunnelPods, type TunnelPods } from '../../../src/kube/pods/tunnel-pods.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { podSettings } from '../../support/pod-settings.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

const host = 'app.example.com';
describe('the door to tunnel pods', () => {
  let kube: ScriptedKube;
  let pods: TunnelPods;
  const { signal } = new AbortController();

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    const clock = new ManualClock();
    const client = await kube.client(clock);
    const telemetry = { events() {}, restarts() {} };
    pods = createTunnelPods({ client, clock, log: keptLog().log, telemetry });
  });
  afterEach(() => kube.close());

  function wanted(replicas: number) {
    const tunnel = { accountId: 'account', id: 'tunnel', token: 'token' };
    const routes = routesToUrl(host, 'http://10.0.0.1');
    const place = { mode: 'pod', replicas } as const;
    const made = pods.wanted({ host, ingress: 'web', tunnel, haConnections: 4, place, routes }, podSettings);
    return made.ok ? made.value : expect.fail(made.fault.message);
  }

  const review = () => kube.next('POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews');

  it('asks whether it may look before it looks for Deployments, so that nothing is refused', async () => {
    const hidden = pods.exist(signal);
    const call = await review();
    expect(call.body).to.have.deep.nested.property('spec.resourceAttributes', {
      namespace: 'web',
      verb: 'list',
      group: 'apps',
      resource: 'deployments',
    });
    call.json(201, { status: { allowed: false } });
    expect(await hidden).to.have.nested.property('fault.code', 'kube-forbidden');
    expect(kube.waiting).to.be.empty;

    const seen = pods.exist(signal);
    (await review()).json(201, { status: { allowed: true } });
    (await kube.next('GET /deployments')).json(200, { items: [{}] });
    expect(await seen).to.deep.equal({ ok: true, value: true });
  });

  it('looks for Deployments where even that may not be asked', async () => {
    const none = pods.exist(signal);
    (await review()).refuse(403, 'no reviews');
    (await kube.next('GET /deployments')).json(200, { items: [] });
    expect(await none).to.deep.equal({ ok: true, value: false });
  });

  it('applies the budget, then the Deployment, both owned by the ledger Secret and by force', async () => {
    const want = wanted(2);
    const applied = pods.apply(want, signal);
    const secret = { metadata: { name: want.name, uid: 'secret-uid' } };
    (await kube.next(`GET /secrets/${want.name}`)).json(200, secret);
    const owner = { apiVersion: 'v1', kind: 'Secret', name: want.name, uid: 'secret-uid' };
    for (const kind of ['poddisruptionbudgets', 'deployments']) {
      const call = await kube.next(`PATCH /${kind}/${want.name}`);
      expect(call.headers['content-type']).to.equal('application/apply-patch+yaml');
      expect(call.url.search).to.equal('?fieldManager=cloudflare-warp-ingress&force=true');
      const { metadata } = call.body as { metadata: { ownerReferences: unknown } };
      expect(metadata.ownerReferences).to.deep.equal([owner]);
      expect(kube.waiting).to.be.empty;
      call.json(200, { ...(call.body as object), metadata: { ...metadata, uid: 'u', resourceVersion: '7' } });
    }
    const seen = await applied;
    expect(seen.ok && seen.value).to.deep.include({
      host,
      uid: 'u',
      hash: want.hash,
      ready: 0,
      isRolledOut: false,
    });
  });

  it('takes the budget of more replicas away', async () => {
    const want = wanted(1);
    const applied = pods.apply(want, signal);
    (await kube.next(`GET /secrets/${want.name}`)).json(200, { metadata: { name: want.name, uid: 'x' } });
    (await kube.next(`DELETE /poddisruptionbudgets/${want.name}`)).refuse(404, 'not found');
    (await kube.next(`PATCH /deployments/${want.name}`)).refuse(403, 'quota');
    const answer = await applied;
    expect(answer.ok ? null : answer.fault.code).to.equal('kube-forbidden');
  });

  it('asks Kubernetes again by an annotation of exactly the Deployment that it saw, and not of its pods', async () => {
    const { name } = wanted(1);
    const metadata = { name, uid: 'u', annotations: { 'cloudflare-warp/host': host } };
    const nudged = pods.nudge(parseSeenPods({ metadata, spec: {} })!, signal);
    const call = await kube.next(`PATCH /deployments/${name}`);
    expect(call.headers['content-type']).to.equal('application/merge-patch+json');
    expect(call.body).to.have.all.keys('metadata');
    expect(call.body).to.have.nested.property('metadata.uid', 'u');
    expect(call.body).to.have.nested.property('metadata.annotations.cloudflare-warp/asked-again');
    call.json(200, {});
    expect(await nudged).to.deep.equal({ ok: true, value: undefined });
  });

  it('removes exactly the Deployment that it saw', async () => {
    const { name } = wanted(1);
    const seen = parseSeenPods({
      metadata: { name, uid: 'u', resourceVersion: '1', annotations: { 'cloudflare-warp/host': host } },
      spec: {},
    });
    const removed = pods.remove(seen!, signal);
    const call = await kube.next(`DELETE /deployments/${name}`);
    expect(call.body).to.deep.include({ preconditions: { uid: 'u' }, propagationPolicy: 'Background' });
    call.refuse(409, 'another one');
    (await kube.next(`DELETE /poddisruptionbudgets/${name}`)).json(200, {});
    expect(await removed).to.deep.equal({ ok: true, value: undefined });
  });
});
