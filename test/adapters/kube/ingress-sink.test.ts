import { expect } from 'chai';
import type { EventNote } from '../../../src/domain/event.ts';
import { createIngressSink, type OwnedIngressSink } from '../../../src/kube/ingress-sink.ts';
import { eventually } from '../../support/eventually.ts';
import { plainSettings } from '../../support/ingress-settings.ts';
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
    const status = {
      ingress: { ingressClass: 'warp', defaults: plainSettings },
      isForeign: (hostname: string) => hostname.startsWith('theirs'),
    };
    const options = { clock, log: kept.log, instance: 'pod-1', leadership, status, random: () => 0.5 };
    sink = createIngressSink(await kube.client(clock), options);
  });
  afterEach(async () => {
    await sink.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    await kube.close();
  });

  describe('publishes hostnames', () => {
    const name = (tunnel: string) => ({ hostname: `${tunnel}.cfargotunnel.com` });
    const found = (version: string, tunnels: readonly string[], ingressClass = 'warp') => ({
      metadata: {
        name: 'a',
        uid: 'u-1',
        resourceVersion: version,
        annotations: { 'kubernetes.io/ingress.class': ingressClass },
      },
      status: { loadBalancer: { ingress: tunnels.map(name) } },
    });
    const get = () => kube.next('GET /ingresses/a');
    const patch = () => kube.next('PATCH /ingresses/a/status');
    const names = (tunnels: readonly string[]) => tunnels.map((tunnel) => name(tunnel).hostname);
    const publish = (...tunnels: readonly string[]) => sink.publish(ingress, names(tunnels), [], signal);
    const takeBack = (...tunnels: readonly string[]) => sink.publish(ingress, [], names(tunnels), signal);

    it('in the status, for exactly this Ingress as it was read', async () => {
      const published = publish('t');
      (await get()).json(200, found('7', []));
      const call = await patch();
      expect(call.headers['content-type']).to.equal('application/merge-patch+json');
      expect(call.body).to.deep.equal({
        metadata: { uid: 'u-1', resourceVersion: '7' },
        status: { loadBalancer: { ingress: [name('t')] } },
      });
      call.json(200, {});
      expect(await published).to.deep.equal({ ok: true, value: undefined });
    });

    it('and takes all of them away', async () => {
      const published = publish();
      (await get()).json(200, found('7', ['t']));
      const call = await patch();
      expect(call.body).to.have.nested.property('status.loadBalancer.ingress').that.deep.equals([]);
      call.json(200, {});
      expect(await published).to.have.property('ok', true);
    });

    it('only as its own part, beside what another shard has there', async () => {
      const published = publish('new');
      (await get()).json(200, found('7', ['theirs', 'old']));
      const call = await patch();
      expect(call.body).to.deep.include({
        status: { loadBalancer: { ingress: [name('theirs'), name('new')] } },
      });
      call.json(200, {});
      expect(await published).to.have.property('ok', true);
    });

    it('and keeps what another shard wrote in the same moment', async () => {
      const published = publish();
      (await get()).json(200, found('7', ['mine']));
      (await patch()).refuse(409, 'the object has been modified');
      (await get()).json(200, found('8', ['mine', 'theirs']));
      const call = await patch();
      expect(call.body).to.deep.equal({
        metadata: { uid: 'u-1', resourceVersion: '8' },
        status: { loadBalancer: { ingress: [name('theirs')] } },
      });
      call.json(200, {});
      expect(await published).to.have.property('ok', true);
    });

    it('not into one that changes hands while the write is under way', async () => {
      const published = publish('t');
      (await get()).json(200, found('7', []));
      (await patch()).refuse(409, 'the object has been modified');
      (await get()).json(200, found('8', [], 'nginx'));
      expect(await published).to.have.property('ok', true);
      expect(kube.waiting).to.deep.equal([]);
    });

    it('and takes them back from one that is not ours any more, also what it was about to write', async () => {
      for (const taken of [takeBack('t'), publish('t')]) {
        (await get()).json(200, found('7', ['t'], 'nginx'));
        const call = await patch();
        expect(call.body).to.deep.include({ status: { loadBalancer: { ingress: [] } } });
        call.json(200, {});
        expect(await taken).to.have.property('ok', true);
      }
    });

    it('and leaves there what somebody else has written since, a controller of another class, too', async () => {
      const left = takeBack('t');
      (await get()).json(200, found('8', ['of-another-class'], 'other-warp'));
      expect(await left).to.have.property('ok', true);

      const ours = takeBack('t');
      const theirs = [name('of-another-class'), { ip: '192.0.2.1', hostname: '' }];
      const status = { loadBalancer: { ingress: [name('t'), ...theirs] } };
      (await get()).json(200, { ...found('9', [], 'other-warp'), status });
      const call = await patch();
      expect(call.body).to.deep.include({ status: { loadBalancer: { ingress: theirs } } });
      call.json(200, {});
      expect(await ours).to.have.property('ok', true);
    });

    it('not where they are already', async () => {
      const published = publish('mine');
      (await get()).json(200, found('7', ['mine', 'theirs']));
      expect(await published).to.have.property('ok', true);
    });

    it('not into an Ingress of the same name that was created since', async () => {
      const published = sink.publish({ ...ingress, uid: 'u-0' }, names(['t']), [], signal);
      (await get()).json(200, found('7', []));
      expect(await published).to.have.property('ok', true);
    });

    it('and an Ingress that is gone is success', async () => {
      const published = publish('t');
      (await get()).json(200, found('7', []));
      (await patch()).refuse(404, 'not found');
      expect(await published).to.have.property('ok', true);
      const again = publish('t');
      (await get()).refuse(404, 'not found');
      expect(await again).to.have.property('ok', true);
    });

    it('or says why it cannot', async () => {
      const refused = publish('t');
      (await get()).json(200, found('7', []));
      (await patch()).refuse(422, 'something else');
      expect(await refused)
        .to.have.nested.property('fault.message')
        .that.contains('something else');
      const forbidden = publish('t');
      (await get()).json(200, found('7', []));
      (await patch()).refuse(403, 'cannot patch resource "ingresses/status"');
      expect(await forbidden).to.have.nested.property('fault.code', 'kube-forbidden');
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

    it('all of them when the wall clock is set forward while they wait, as at the boot of a machine without its own', async () => {
      sink.event(ingress, ready);
      sink.event(ingress, lost);
      const first = await post();
      clock.setWall(Date.UTC(2026, 5, 1));
      await accept(first);
      const call = await post();
      expect(call.body).to.include({ reason: 'TunnelLost', lastTimestamp: '2026-01-01T00:00:00Z' });
      await accept(call);
    });

    it('and one of its own for what comes again long after, although the wall clock was set back', async () => {
      sink.event(ingress, ready);
      await accept(await post());
      await clock.advance(600_000);
      clock.setWall(Date.UTC(2025, 11, 1));
      sink.event(ingress, ready);
      const call = await post();
      expect(call.body).to.include({ count: 1, firstTimestamp: '2025-12-01T00:00:00Z' });
      await accept(call);
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

    it('again, and in order, once an API server that was away or busy takes them', async () => {
      const pause = async (ms: number): Promise<void> => {
        await eventually('the pause', () => clock.nextTimerMs === ms);
        expect(kube.waiting).to.deep.equal([]);
        await clock.advance(ms);
      };
      sink.event(ingress, ready);
      sink.event(ingress, lost);
      (await post()).refuse(503, 'etcd is away');
      await pause(750);
      (await post()).refuse(500, 'etcd is away');
      await pause(1_500);
      const call = await post();
      expect(call.body).to.include({ reason: 'TunnelReady', count: 1 });
      call.refuse(409, 'already exists');
      await pause(100);
      const other = await post();
      expect(other.body).to.include({ reason: 'TunnelLost' });
      await accept(other);
      expect(kept.lines.map(({ msg, retryInMs }) => [msg, retryInMs])).to.deep.equal([
        ['event not written yet', 750],
        ['event not written yet', 1_500],
      ]);
    });

    it('also when that cost us the leadership for a moment, and none that is old', async () => {
      sink.event(ingress, ready);
      (await post()).refuse(503, 'etcd is away');
      await eventually('the pause', () => clock.nextTimerMs === 750);
      leadership.isLeading = false;
      await clock.advance(10_000);
      expect(kube.waiting).to.deep.equal([]);
      leadership.isLeading = true;
      (await post()).refuse(503, 'etcd is away');
      await eventually('the pause', () => clock.nextTimerMs === 750);
      leadership.isLeading = false;
      await clock.advance(20_001);
      leadership.isLeading = true;
      await clock.advance(60_000);
      expect(kube.waiting).to.deep.equal([]);
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
