import { expect } from 'chai';
import { leaseDurationMs } from '../../../src/domain/election.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { connectKube } from '../../../src/kube/client.ts';
import { createLeaseStore, leaseName, type SeenLease } from '../../../src/kube/lease.ts';
import { startWorld, type World } from '../../../src/sandbox/world.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

const { signal } = new AbortController();
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const claimOf = (holder: string) => ({ holder, durationMs: leaseDurationMs, nowMs });

describe('the Lease', () => {
  let world: World;
  let client: KubeClient;

  before(async () => {
    world = await startWorld({ namespace: 'ns' });
    const connected = await connectKube({ kubeconfig: world.files.kubeconfig, namespace: 'ns' });
    if (!connected.ok) throw new Error(connected.fault.message);
    client = connected.value;
  });
  after(async () => {
    client.close();
    await world.stop();
  });

  it('is created, renewed, given back and taken, each write guarded by what was seen', async () => {
    const store = createLeaseStore(client, 'leader');
    expect(await store.read(signal)).to.deep.equal({ ok: true, value: null });
    const taken = leaseOf(await store.write(null, claimOf('a'), signal));
    expect(taken.spec).to.deep.equal({
      holderIdentity: 'a',
      leaseDurationSeconds: 10,
      acquireTime: '2026-01-02T03:04:05.678000Z',
      renewTime: '2026-01-02T03:04:05.678000Z',
      leaseTransitions: 0,
    });
    expect(await store.write(null, claimOf('b'), signal)).to.have.nested.property(
      'fault.code',
      'kube-conflict',
    );

    const renewed = leaseOf(await store.write(taken, { ...claimOf('a'), nowMs: nowMs + 2_000 }, signal));
    expect(renewed.spec).to.include({
      acquireTime: '2026-01-02T03:04:05.678000Z',
      renewTime: '2026-01-02T03:04:07.678000Z',
      leaseTransitions: 0,
    });
    expect(renewed.record.stamp).not.to.equal(taken.record.stamp);
    expect(await store.write(taken, claimOf('b'), signal)).to.have.nested.property(
      'fault.code',
      'kube-conflict',
    );

    const free = leaseOf(await store.write(renewed, { ...claimOf(''), durationMs: 1_000 }, signal));
    expect(free.record.holder).to.equal('');
    const handed = leaseOf(await store.write(free, claimOf('b'), signal));
    expect(handed.spec).to.include({ holderIdentity: 'b', leaseTransitions: 1 });
    expect(leaseOf(await store.read(signal)).record).to.deep.equal(handed.record);
  });

  it('keeps what others put on it, and counts no change of theirs as a renewal', async () => {
    const kube = await ScriptedKube.start();
    try {
      const store = createLeaseStore(await kube.client(new ManualClock()), 'leader');
      const lease = (resourceVersion: string, labels: object) => ({
        metadata: { name: 'leader', resourceVersion, labels },
        spec: {
          holderIdentity: 'z',
          leaseDurationSeconds: 15,
          renewTime: 't',
          strategy: 'OldestEmulationVersion',
        },
      });
      const reading = store.read(signal);
      (await kube.next('GET /leases/leader')).json(200, lease('1', {}));
      const seen = leaseOf(await reading);
      const again = store.read(signal);
      (await kube.next('GET /leases/leader')).json(200, lease('2', { team: 'x' }));
      const labelled = leaseOf(await again);
      expect(labelled.record).to.deep.equal(seen.record);
      const writing = store.write(labelled, claimOf('a'), signal);
      const call = await kube.next('PUT /leases/leader');
      expect(call.body).to.have.deep.nested.property('metadata.labels', { team: 'x' });
      expect(call.body).to.have.nested.property('metadata.resourceVersion', '2');
      expect(call.body).to.have.nested.property('spec.strategy', 'OldestEmulationVersion');
      call.json(200, lease('3', {}));
      await writing;
    } finally {
      await kube.close();
    }
  });

  it('is one for each class and shard', () => {
    const of = (name: string) => leaseName(name, 'cloudflare-warp');
    expect(leaseName('internal', 'cloudflare-warp', { index: 2, count: 3 })).to.equal(
      'cloudflare-warp-leader.shard-2-of-3.internal',
    );
    expect(of('cloudflare-warp')).to.equal('cloudflare-warp-leader');
    expect(of('internal')).to.equal('cloudflare-warp-leader.internal');
    expect(of('Not/A name')).to.match(/^cloudflare-warp-leader\.[0-9a-f]{20}$/);
  });
});

function leaseOf(result: Awaited<ReturnType<ReturnType<typeof createLeaseStore>['read']>>): SeenLease {
  if (!result.ok || result.value === null) throw new Error(JSON.stringify(result));
  return result.value;
}
