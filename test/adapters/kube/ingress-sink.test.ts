import { expect } from 'chai';
import type { EventNote } from '../../../src/domain/event.ts';
import { createIngressSink, type OwnedIngressSink } from '../../../src/kube/ingress-sink.ts';
import { eventually } from '../../support/eventually.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type KubeCall, ScriptedKube } from '../../support/scripted-kube.ts';
import { ScriptedLeadership } from '../../support/scripted-leadership.ts';

const ingress = { name: 'a', uid: 'u-1' };
const ready: EventNote = { type: 'Normal', reason: 'TunnelReady', message: 'four connections' };
const lost: EventNote = { type: 'Warning', reason: 'TunnelLost', message: 'the edge is gone' };

describe('ingress sink', () => {
  let kube: ScriptedKube;
  let clock: ManualClock;
  let sink: OwnedIngressSink;
  let kept: ReturnType<typeof keptLog>;
  let leadership: ScriptedLeadership;
  const { signal } = new AbortController();

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    clock = new ManualClock(Date.UTC(2026, 0, 1));
    kept = keptLog();
    leadership = new ScriptedLeadership();
    const options = { clock, log: kept.log, instance: 'pod-1', leadership };
    sink = createIngressSink(await kube.client(clock), options);
  });
  afterEach(async () => {
    await sink.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    await kube.close();
  });

  describe('publishes beside what another shard has in the same status', () => {
    const name = (tunnel: string) => ({ hostname: `${tunnel}.cfargotunnel.com` });
    const found = (version: string, ...tunnels: string[]) => ({
      metadata: { name: 'a', uid: 'u-1', resourceVersion: version },
      status: { loadBalancer: { ingress: tunnels.map(name) } },
    });
    const get = () => kube.next('GET /ingresses/a');
    const patch = () => kube.next('PATCH /ingresses/a/status');

    beforeEach(async () => {
      await sink.close();
      const isForeign = (hostname: string): boolean => hostname.startsWith('theirs');
      sink = createIngressSink(await kube.client(clock), {
        clock,
        log: kept.log,
        instance: 'pod-1',
        leadership,
        isForeign,
      });
    });

    it('only its own part changes, under the version that was read', async () => {
      const published = sink.publish(ingress, ['new.cfargotunnel.com'], signal);
      (await get()).json(200, found('7', 'theirs', 'old'));
      const call = await patch();
      expect(call.body).to.deep.equal({
        metadata: { uid: 'u-1', resourceVersion: '7' },
        status: { loadBalancer: { ingress: [name('theirs'), name('new')] } },
      });
      call.json(200, {});
      expect(await published).to.have.property('ok', true);
    });

    it('what the other wrote in the same moment is kept', async () => {
      const published = sink.publish(ingress, [], signal);
      (await get()).json(200, found('7', 'mine'));
      (await patch()).refuse(409, 'the object has been modified');
      (await get()).json(200, found('8', 'mine', 'theirs'));
      const call = await patch();
      expect(call.body).to.deep.include({ metadata: { uid: 'u-1', resourceVersion: '8' } });
      expect(call.body)
        .to.have.nested.property('status.loadBalancer.ingress')
        .that.deep.equals([name('theirs')]);
      call.json(200, {});
      expect(await published).to.have.property('ok', true);
    });

    it('nothing is written where nothing changes, and nothing into an Ingress of the same name', async () => {
      const same = sink.publish(ingress, ['mine.cfargotunnel.com'], signal);
      (await get()).json(200, found('7', 'mine', 'theirs'));
      expect(await same).to.have.property('ok', true);
      const gone = sink.publish({ ...ingress, uid: 'u-0' }, ['mine.cfargotunnel.com'], signal);
      (await get()).json(200, found('7', 'other'));
      expect(await gone).to.have.property('ok', true);
    });
  });

  describe('publishes hostnames', () => {
    const patch = () => kube.next('PATCH /ingresses/a/status');
    const get = () => kube.next('GET /ingresses/a');

    it('in the status, for exactly this Ingress', async () => {
      const published = sink.publish(ingress, ['t.cfargotunnel.com'], signal);
      const call = await patch();
      expect(call.headers['content-type']).to.equal('application/merge-patch+json');
      expect(call.body).to.deep.equal({
        metadata: { uid: 'u-1' },
        status: { loadBalancer: { ingress: [{ hostname: 't.cfargotunnel.com' }] } },
      });
      call.json(200, {});
      expect(await published).to.deep.equal({ ok: true, value: undefined });
    });

    it('and takes all of them away', async () => {
      const published = sink.publish(ingress, [], signal);
      const call = await patch();
      expect(call.body).to.have.nested.property('status.loadBalancer.ingress').that.deep.equals([]);
      call.json(200, {});
      await published;
    });

    it('an Ingress that is gone is success', async () => {
      const published = sink.publish(ingress, [], signal);
      (await patch()).refuse(404, 'not found');
      expect(await published).to.have.property('ok', true);
    });

    for (const status of [409, 422]) {
      it(`an Ingress of that name created since is success (${status})`, async () => {
        const published = sink.publish(ingress, [], signal);
        (await patch()).refuse(status, 'metadata.uid: field is immutable');
        (await get()).json(200, { metadata: { name: 'a', uid: 'u-2' } });
        expect(await published).to.have.property('ok', true);
      });
      it(`another ${status} is not`, async () => {
        const published = sink.publish(ingress, [], signal);
        (await patch()).refuse(status, 'something else');
        (await get()).json(200, { metadata: { name: 'a', uid: 'u-1' } });
        expect(await published)
          .to.have.nested.property('fault.message')
          .that.contains('something else');
      });
    }

    it('what is forbidden is said', async () => {
      const published = sink.publish(ingress, [], signal);
      (await patch()).refuse(403, 'cannot patch resource "ingresses/status"');
      expect(await published).to.have.nested.property('fault.code', 'kube-forbidden');
    });
  });

  describe('writes Events', () => {
    const post = () => kube.next('POST /api/v1/namespaces/web/events');
    const accept = async (call: KubeCall): Promise<string> => {
      call.json(call.method === 'POST' ? 201 : 200, {});
      // The pause between two writes.
      await eventually('the pause', () => clock.nextTimerMs === 100);
      await clock.advance(100);
      return (call.body as { metadata: { name: string } }).metadata?.name;
    };

    it('that kubectl shows under the Ingress', async () => {
      sink.event(ingress, ready);
      const { body, ...call } = await post().then((call) => ({
        call,
        body: call.body as Record<string, unknown>,
      }));
      expect((body.metadata as { name: string }).name).to.match(/^a\.[0-9a-f]{16}$/);
      expect(body).to.deep.include({
        involvedObject: {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'Ingress',
          name: 'a',
          namespace: 'web',
          uid: 'u-1',
        },
        type: 'Normal',
        reason: 'TunnelReady',
        message: 'four connections',
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        reportingComponent: 'cloudflare-warp-ingress',
      });
      await accept(call.call);
    });

    it('only while we lead: of what was noted before, what nobody may have said', async () => {
      leadership.isLeading = false;
      sink.event(ingress, ready);
      await clock.advance(20_001);
      sink.event(ingress, lost);
      await clock.advance(15_000);
      expect(kube.waiting).to.deep.equal([]);
      leadership.isLeading = true;
      const call = await post();
      expect(call.body).to.include({ reason: 'TunnelLost' });
      await accept(call);
      expect(kube.waiting).to.deep.equal([]);
    });

    it('and none that waits for its turn when leadership goes', async () => {
      sink.event(ingress, ready);
      sink.event(ingress, lost);
      const call = await post();
      leadership.isLeading = false;
      await accept(call);
      await clock.advance(1_000);
      expect(kube.waiting).to.deep.equal([]);
    });

    it('and counts a repeat on the same one', async () => {
      sink.event(ingress, ready);
      const name = await accept(await post());
      await clock.advance(60_000);
      sink.event(ingress, ready);
      const call = await kube.next(`PATCH /events/${name}`);
      expect(call.body).to.deep.equal({ count: 2, lastTimestamp: '2026-01-01T00:01:00Z' });
      await accept(call);
    });

    it('repeats that come while the first is being written are one write', async () => {
      sink.event(ingress, ready);
      const first = await post();
      for (let at = 0; at < 5; at += 1) sink.event(ingress, ready);
      const name = await accept(first);
      const call = await kube.next(`PATCH /events/${name}`);
      expect(call.body).to.have.property('count', 6);
      await accept(call);
      expect(kube.waiting).to.deep.equal([]);
    });

    it('as a new one when the repeat comes late, or from another Ingress of the name', async () => {
      sink.event(ingress, ready);
      const first = await accept(await post());
      await clock.advance(600_000);
      sink.event(ingress, ready);
      const second = await accept(await post());
      sink.event({ ...ingress, uid: 'u-2' }, ready);
      const third = await accept(await post());
      expect(new Set([first, second, third]).size).to.equal(3);
    });

    it('anew when the API server has forgotten it', async () => {
      sink.event(ingress, ready);
      const name = await accept(await post());
      sink.event(ingress, ready);
      (await kube.next(`PATCH /events/${name}`)).refuse(404, 'not found');
      const again = await post();
      expect(again.body).to.have.property('count', 2);
      await accept(again);
    });

    it('one after the other, with a pause between them', async () => {
      sink.event(ingress, ready);
      sink.event(ingress, lost);
      (await post()).json(201, {});
      await eventually('the pause', () => clock.nextTimerMs === 100);
      expect(kube.waiting).to.deep.equal([]);
      await clock.advance(100);
      await accept(await post());
    });

    it('best effort: a refusal is logged and the next one is written', async () => {
      sink.event(ingress, ready);
      sink.event(ingress, lost);
      const call = await post();
      call.refuse(403, 'cannot create resource "events"');
      await eventually('the pause', () => clock.nextTimerMs === 100);
      await clock.advance(100);
      await accept(await post());
      expect(kept.lines.map(({ msg, code }) => [msg, code])).to.deep.equal([
        ['event not written', 'kube-forbidden'],
      ]);
    });

    it('with names and messages that the API accepts, however long they are', async () => {
      sink.event(
        { name: `${'a'.repeat(235)}.${'b'.repeat(17)}`, uid: 'u' },
        { ...lost, message: 'x'.repeat(5_000) },
      );
      const call = await post();
      const body = call.body as { message: string; metadata: { name: string } };
      expect(body.message.length).to.equal(1_024);
      expect(body.metadata.name).to.match(/^a{235}\.[0-9a-f]{16}$/);
      await accept(call);
    });

    it('never more than a bounded number', async () => {
      for (let at = 0; at < 1_500; at += 1) sink.event(ingress, { ...lost, message: `number ${at}` });
      expect(kept.lines.filter(({ msg }) => msg === 'too many events wait; one is dropped')).to.have.length(
        499,
      );
      await post();
    });

    it('no more of them once it is closed', async () => {
      sink.event(ingress, ready);
      const call = await post();
      await sink.close();
      await eventually('the request to be given up', () => call.closed);
      sink.event(ingress, lost);
      await clock.advance(1_000);
      expect(kube.waiting).to.deep.equal([]);
    });
  });
});
