import { expect } from 'chai';
import { KubeCaSecrets } from '../../../src/kube/ca-secrets.ts';
import { createAuthority } from '../../../src/sandbox/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { keptLog } from '../../support/kept-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type KubeCall, ScriptedKube } from '../../support/scripted-kube.ts';

const authorities = { one: createAuthority('one').cert, two: createAuthority('two').cert };

const meta = (name: string, resourceVersion: string) => ({
  metadata: { name, uid: `u-${name}`, resourceVersion },
});
const secret = (name: string, resourceVersion: string, cert: string) => ({
  ...meta(name, resourceVersion),
  data: { 'ca.crt': Buffer.from(cert).toString('base64') },
});

describe('CA Secrets that are followed', () => {
  let kube: ScriptedKube;
  let clock: ManualClock;
  let kept: ReturnType<typeof keptLog>;
  let cas: KubeCaSecrets;
  let told: string[];

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    clock = new ManualClock();
    kept = keptLog();
    told = [];
    cas = new KubeCaSecrets({
      client: await kube.client(clock),
      clock,
      log: kept.log,
      telemetry: { events() {}, restarts() {} },
      random: () => 0.5,
      tell: ({ secret, result }) => {
        const [which] =
          Object.entries(authorities).find(([, cert]) => result.ok && result.value === cert) ?? [];
        told.push(`${secret} ${result.ok ? which : result.fault.code}`);
      },
    });
  });
  afterEach(async () => {
    await cas.close();
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    expect(kube.waiting.map(({ url }) => url.pathname)).to.deep.equal([]);
    await kube.close();
  });

  const read = (name: string): Promise<KubeCall> => kube.next(`GET /secrets/${name}`);
  const hear = (...expected: string[]) =>
    eventually(`${expected} of ${told}`, () => told.length >= expected.length).then(() =>
      expect(told.splice(0)).to.deep.equal(expected),
    );

  /** Followed, read, and the watch stands. */
  async function followed(...names: string[]): Promise<KubeCall> {
    for (const name of names) {
      cas.follow(name);
      (await read(name)).json(200, secret(name, '3', authorities.one));
      await hear(`${name} one`);
    }
    (await kube.next('GET /secrets')).list('10', [
      meta('stranger', '1'),
      ...names.map((name) => meta(name, '3')),
    ]);
    return (await kube.next('GET /secrets watch')).begin();
  }

  it('are read once, and again when they have changed: at once', async () => {
    const watch = await followed('a', 'b');
    watch.event('MODIFIED', meta('stranger', '11')).event('MODIFIED', meta('b', '12'));
    (await read('b')).json(200, secret('b', '12', authorities.two));
    await hear('b two');
    watch.event('DELETED', meta('a', '13'));
    (await read('a')).refuse(404, 'not found');
    await hear('a ingress-invalid');
    watch.event('ADDED', meta('a', '14'));
    (await read('a')).json(200, secret('a', '14', authorities.two));
    await hear('a two');
  });

  it('are read anew when they change while they are being read', async () => {
    const watch = await followed('a', 'b');
    watch.event('MODIFIED', meta('a', '11'));
    const first = await read('a');
    watch.event('MODIFIED', meta('a', '12')).event('MODIFIED', meta('b', '13'));
    // By then the line before has been heard, too.
    (await read('b')).json(200, secret('b', '13', authorities.one));
    await hear('b one');
    first.json(200, secret('a', '11', authorities.one));
    (await read('a')).json(200, secret('a', '12', authorities.two));
    await hear('a one', 'a two');
  });

  it('share one watch, which asks for metadata alone and ends with the last name', async () => {
    const watch = await followed('a', 'b');
    expect(watch.headers.accept).to.equal('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1');
    cas.forget('a');
    watch.event('MODIFIED', meta('a', '11')).event('MODIFIED', meta('b', '12'));
    (await read('b')).json(200, secret('b', '12', authorities.two));
    await hear('b two');
    cas.forget('b');
    await eventually('the watch has ended', () => watch.closed);
    await followed('c');
  });

  it('that are named again while they are being read are told once, as they are by then', async () => {
    await followed('b');
    cas.follow('a');
    const first = await read('a');
    cas.forget('a');
    cas.follow('a');
    const second = await read('a');
    first.json(200, secret('a', '3', authorities.one));
    second.json(200, secret('a', '4', authorities.two));
    await hear('a two');
  });

  it('are tried again soon when they cannot be read', async () => {
    cas.follow('a');
    (await read('a')).refuse(404, 'not found');
    await hear('a ingress-invalid');
    (await kube.next('GET /secrets')).list('10', []);
    (await kube.next('GET /secrets watch')).begin();
    await clock.advance(4_000);
    (await read('a')).json(200, secret('a', '11', authorities.one));
    await hear('a one');
  });

  it('are read each five minutes where they may not be watched, which is said once', async () => {
    cas.follow('a');
    (await read('a')).json(200, secret('a', '3', authorities.one));
    await hear('a one');
    const said = () =>
      kept.lines.filter(({ msg }) => msg === 'Secrets may not be watched: renewed CAs are found by reading');
    for (let round = 0; round < 2; round++) {
      (await kube.next('GET /secrets')).refuse(403, 'secrets is forbidden');
      await eventually('it is said', () => said().length > 0 && clock.pendingTimers === 1);
      await clock.advance(300_000);
      (await read('a')).json(200, secret('a', '4', authorities.two));
      await hear('a two');
    }
    expect(said()).to.have.length(1);
    // As soon as it is allowed the watch tells.
    (await kube.next('GET /secrets')).list('10', [meta('a', '4')]);
    (await kube.next('GET /secrets watch')).begin().event('MODIFIED', meta('a', '11'));
    (await read('a')).json(200, secret('a', '11', authorities.one));
    await hear('a one');
  });
});
