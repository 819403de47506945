import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Surroundings } from '../../../src/kube/access.ts';
import { connectKube, type KubeClient } from '../../../src/kube/client.ts';
import { unlessAborted } from '../../../src/kube/exchange.ts';
import { createAuthority } from '../../../src/sandbox/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ScriptedKube } from '../../support/scripted-kube.ts';

describe('kube client', () => {
  let kube: ScriptedKube;
  let dir: string;
  let clock: ManualClock;
  const { signal } = new AbortController();

  beforeEach(async () => {
    kube = await ScriptedKube.start();
    dir = await mkdtemp(join(tmpdir(), 'kube-client-'));
    clock = new ManualClock();
  });
  afterEach(async () => {
    expect(clock.pendingTimers, 'timers left behind').to.equal(0);
    await kube.close();
    await rm(dir, { recursive: true });
  });

  const nowhere = (): Surroundings => ({ env: {}, serviceAccountDir: join(dir, 'none'), home: dir });

  describe('finds the cluster and the namespace', () => {
    it('in the kubeconfig and its context', async () => {
      const kubeconfig = await kube.kubeconfig({ namespace: 'web' });
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      expect(connected.ok && connected.value.namespace).to.equal('web');
      expect(connected.ok && connected.value.server).to.equal(kube.url);
    });

    it('with the namespace that was asked for before all others', async () => {
      const kubeconfig = await kube.kubeconfig({ namespace: 'web' });
      const connected = await connectKube({ kubeconfig, namespace: 'shop' }, clock, nowhere());
      expect(connected.ok && connected.value.namespace).to.equal('shop');
    });

    it('with `default` where nothing names one', async () => {
      const kubeconfig = await kube.kubeconfig({});
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      expect(connected.ok && connected.value.namespace).to.equal('default');
    });

    it('by the service account of a pod', async () => {
      await writeFile(join(dir, 'token'), 'tok\n');
      await writeFile(join(dir, 'namespace'), 'own\n');
      const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
      const pod = { env, serviceAccountDir: dir, home: dir };
      const connected = await connectKube({ kubeconfig: null, namespace: null }, clock, pod);
      expect(connected.ok && connected.value.namespace).to.equal('own');
      expect(connected.ok && connected.value.server).to.equal('https://[fd00::1]');
    });

    it('merging several kubeconfigs, the first context wins', async () => {
      const other = join(dir, 'other');
      await writeFile(
        other,
        JSON.stringify({ 'current-context': 'far', contexts: [], clusters: [], users: [] }),
      );
      const kubeconfig = `${await kube.kubeconfig()}:${other}`;
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      expect(connected.ok && connected.value.server).to.equal(kube.url);
    });

    it('merging several kubeconfigs, of two things of one name the first counts', async () => {
      const other = join(dir, 'other');
      const cluster = { name: 'one', cluster: { server: 'https://elsewhere.example' } };
      await writeFile(other, JSON.stringify({ clusters: [cluster], users: [{ name: 'me', user: {} }] }));
      const kubeconfig = `${await kube.kubeconfig()}:${other}`;
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      expect(connected.ok && connected.value.server).to.equal(kube.url);
    });

    it('in those of several kubeconfigs that exist', async () => {
      const kubeconfig = `${join(dir, 'none')}:${await kube.kubeconfig()}:${join(dir, 'neither')}`;
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      expect(connected.ok && connected.value.server).to.equal(kube.url);
    });
  });

  describe('says what is wrong with the configuration', () => {
    const faultOf = async (kubeconfig: string | null): Promise<string> => {
      const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
      return connected.ok ? 'connected' : `${connected.fault.code}: ${connected.fault.message}`;
    };

    it('no kubeconfig anywhere', async () => {
      expect(await faultOf(null)).to.match(/^config-invalid: no way to a cluster/);
    });
    it('a file that is not there', async () => {
      expect(await faultOf(join(dir, 'none'))).to.match(
        /^config-invalid: kubeconfig .*none cannot be read: ENOENT/,
      );
    });
    for (const [name, text] of [
      ['an empty file', ''],
      ['no YAML', '{[:'],
      ['a list', '- 1'],
      ['a context that does not exist', '{current-context: x, clusters: [], contexts: [], users: []}'],
      [
        'a cluster without server',
        '{current-context: x, clusters: [{name: c, cluster: {}}], users: [], contexts: [{name: x, context: {cluster: c, user: u}}]}',
      ],
      [
        'a server that is no URL',
        '{current-context: x, clusters: [{name: c, cluster: {server: "ftp://x"}}], users: [], contexts: [{name: x, context: {cluster: c, user: u}}]}',
      ],
    ] as const) {
      it(name, async () => {
        await writeFile(join(dir, 'bad'), text);
        expect(await faultOf(join(dir, 'bad'))).to.match(/^config-invalid: kubeconfig .*bad.*: .+/);
      });
    }
  });

  it('asks in its namespace, with its credentials', async () => {
    const client = await kube.client(clock);
    const answer = client.call(
      { method: 'GET', resource: 'ingresses', name: 'a', subresource: 'status' },
      signal,
    );
    const call = await kube.next('GET /apis/networking.k8s.io/v1/namespaces/web/ingresses/a/status');
    expect(call.headers.authorization).to.equal('Bearer tok');
    call.json(200, { kind: 'Ingress' });
    expect(await answer).to.deep.equal({ ok: true, value: { kind: 'Ingress' } });
  });

  it('asks with the token that its file has now', async () => {
    const kubeconfig = await kube.kubeconfig({}, { tokenFile: 'token' });
    const file = join(dirname(kubeconfig), 'token');
    await writeFile(file, 'first');
    const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
    if (!connected.ok) return expect.fail(connected.fault.message);
    for (const token of ['first', 'rotated']) {
      await writeFile(file, `${token}\n`);
      const answer = connected.value.call({ method: 'GET', resource: 'services' }, signal);
      const call = await kube.next('GET /services');
      expect(call.headers.authorization).to.equal(`Bearer ${token}`);
      call.json(200, {});
      await answer;
    }
    connected.value.close();
  });

  it('asks a credential plugin once for all requests that wait for it', async () => {
    const asked = join(dir, 'asked');
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin', expirationTimestamp: new Date(0).toISOString() },
    };
    const script = `require('node:fs').appendFileSync(${JSON.stringify(asked)}, '.');
      console.log(${JSON.stringify(JSON.stringify(credential))});`;
    const exec = { apiVersion: credential.apiVersion, command: process.execPath, args: ['-e', script] };
    const kubeconfig = await kube.kubeconfig({}, { exec });
    const connected = await connectKube({ kubeconfig, namespace: null }, clock, nowhere());
    if (!connected.ok) return expect.fail(connected.fault.message);
    const { value: client } = connected;
    const answers = [1, 2, 3].map(() => client.call({ method: 'GET', resource: 'services' }, signal));
    for (const _ of answers) {
      const call = await kube.next('GET /services');
      expect(call.headers.authorization).to.equal('Bearer from-plugin');
      call.json(200, {});
    }
    await Promise.all(answers);
    expect(await readFile(asked, 'utf8')).to.equal('.');
    client.close();
  });

  it('reads the UID of its namespace', async () => {
    const client = await kube.client(clock);
    const uid = client.readNamespaceUid(signal);
    (await kube.next('GET /api/v1/namespaces/web')).json(200, { metadata: { name: 'web', uid: 'u-1' } });
    expect(await uid).to.deep.equal({ ok: true, value: 'u-1' });
  });

  describe('as the service account of a pod', () => {
    const authority = createAuthority('cluster');
    let secure: ScriptedKube;
    beforeEach(async () => {
      secure = await ScriptedKube.start(authority.issue({ ipAddresses: ['127.0.0.1'] }));
      await writeFile(join(dir, 'token'), 'first\n');
      await writeFile(join(dir, 'ca.crt'), authority.cert);
    });
    afterEach(() => secure.close());

    async function inPod(): Promise<KubeClient> {
      const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(secure.port) };
      const pod = { env, serviceAccountDir: dir, home: dir };
      const connected = await connectKube({ kubeconfig: null, namespace: 'web' }, clock, pod);
      if (!connected.ok) throw new Error(connected.fault.message);
      return connected.value;
    }

    it('asks over TLS, with the token as it is now', async () => {
      const client = await inPod();
      for (const token of ['first', 'rotated']) {
        await writeFile(join(dir, 'token'), token);
        const answer = client.call({ method: 'GET', resource: 'services' }, signal);
        const call = await secure.next('GET /services');
        expect(call.headers.authorization).to.equal(`Bearer ${token}`);
        call.json(200, {});
        await answer;
      }
      client.close();
    });

    it('trusts nobody but the CA of its cluster', async () => {
      const client = await inPod();
      await writeFile(join(dir, 'ca.crt'), createAuthority('another').cert);
      const answer = await client.call({ method: 'GET', resource: 'services' }, signal);
      expect(answer).to.have.nested.property('fault.code', 'kube-unreachable');
      expect(answer)
        .to.have.nested.property('fault.message')
        .that.matches(/certificate.*; expected one by the CA of the service account or of the kubeconfig$/);
      expect(secure.waiting).to.deep.equal([]);
      client.close();
    });

    it('says so when its token is gone', async () => {
      const client = await inPod();
      await rm(join(dir, 'token'));
      const answer = await client.call({ method: 'GET', resource: 'services' }, signal);
      expect(answer).to.have.nested.property('fault.code', 'kube-forbidden');
      client.close();
    });
  });

  it('is not hurt by what fails after it was given up', async () => {
    const unhandled: unknown[] = [];
    const hear = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', hear);
    const reading = Promise.withResolvers<never>();
    const given = unlessAborted(reading.promise, AbortSignal.abort(new Error('given up')));
    expect(await given.catch((thrown: Error) => thrown.message)).to.equal('given up');
    reading.reject(new Error('no such file'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', hear);
    expect(unhandled).to.deep.equal([]);
  });

  describe('names what the server refuses', () => {
    for (const [status, code] of [
      [401, 'kube-forbidden'],
      [403, 'kube-forbidden'],
      [404, 'kube-not-found'],
      [409, 'kube-conflict'],
      [410, 'kube-expired'],
      [422, 'kube-refused'],
      [429, 'kube-refused'],
      [500, 'kube-unreachable'],
      [302, 'kube-refused'],
    ] as const) {
      it(`${status} is ${code}`, async () => {
        const client = await kube.client(clock);
        const answer = client.call({ method: 'GET', resource: 'secrets', name: 'a' }, signal);
        (await kube.next('GET /secrets/a')).refuse(status, 'because', { 'retry-after': '7' });
        const { fault } = (await answer) as {
          fault: { code: string; message: string; retryAfterMs: number };
        };
        expect(fault.code).to.equal(code);
        expect(fault.message).to.match(new RegExp(`^GET secrets/a: ${status} .*because$`));
        expect(fault.retryAfterMs).to.equal(7_000);
      });
    }

    it('an answer that is no JSON', async () => {
      const client = await kube.client(clock);
      const answer = client.call({ method: 'GET', resource: 'services' }, signal);
      (await kube.next('GET /services')).begin().raw('<html>').end();
      expect(await answer).to.have.nested.property('fault.code', 'kube-refused');
    });

    it('a connection cut in the middle of an answer', async () => {
      const client = await kube.client(clock);
      const answer = client.call({ method: 'GET', resource: 'services' }, signal);
      (await kube.next('GET /services')).begin().raw('{').cut();
      expect(await answer).to.have.nested.property('fault.code', 'kube-unreachable');
    });

    it('a server that is not there', async () => {
      const client = await kube.client(clock);
      await kube.close();
      const answer = await client.call({ method: 'GET', resource: 'services' }, signal);
      expect(answer).to.have.nested.property('fault.code', 'kube-unreachable');
      kube = await ScriptedKube.start();
    });
  });

  for (const [method, seconds] of [
    ['GET', 16],
    ['POST', 30],
  ] as const) {
    it(`gives a ${method} up after ${seconds} s without an answer`, async () => {
      const client = await kube.client(clock);
      const answer = client.call({ method, resource: 'services' }, signal);
      await kube.next(`${method} /services`);
      await clock.advance(seconds * 1000 - 1);
      expect(clock.pendingTimers).to.equal(1);
      await clock.advance(1);
      const gaveUp = await answer;
      expect(gaveUp).to.have.nested.property('fault.code', 'kube-unreachable');
      expect(gaveUp)
        .to.have.nested.property('fault.message')
        .that.matches(new RegExp(`^${method} services: \\S+ did not answer within ${seconds} s$`));
    });
  }

  it('gives a request up 30 s after the head of its answer when the rest stalls', async () => {
    const client = await kube.client(clock);
    const answer = client.call({ method: 'GET', resource: 'services' }, signal);
    const call = await kube.next('GET /services');
    await clock.advance(15_000);
    call.begin().raw('{');
    await eventually('the head', () => clock.nextTimerMs === 30_000);
    await clock.advance(30_000);
    const gaveUp = await answer;
    expect(gaveUp).to.have.nested.property('fault.code', 'kube-unreachable');
    expect(gaveUp)
      .to.have.nested.property('fault.message')
      .that.matches(/did not finish its answer within 30 s$/);
  });

  it('ends a request whose signal is aborted', async () => {
    const client = await kube.client(clock);
    const abort = new AbortController();
    const answer = client.call({ method: 'GET', resource: 'services' }, abort.signal);
    await kube.next('GET /services');
    abort.abort();
    expect(await answer).to.have.nested.property('fault.code', 'stopped');
  });

  it('lets nobody make it wait for more than five minutes', async () => {
    const client = await kube.client(clock);
    const answer = client.call({ method: 'GET', resource: 'services' }, signal);
    (await kube.next('GET /services')).refuse(429, 'later', { 'retry-after': '999999' });
    expect(await answer).to.have.nested.property('fault.retryAfterMs', 300_000);
  });

  it('asks again where the server closed an idle connection just as we used it', async () => {
    const client = await kube.client(clock);
    const first = client.call({ method: 'GET', resource: 'services' }, signal);
    (await kube.next('GET /services')).json(200, {});
    await first;
    const second = client.call({ method: 'POST', resource: 'events', body: {} }, signal);
    (await kube.next('POST /events')).cut();
    (await kube.next('POST /events')).json(201, { kind: 'Event' });
    expect(await second).to.deep.equal({ ok: true, value: { kind: 'Event' } });
  });

  it('does not ask again where a new connection breaks', async () => {
    const client = await kube.client(clock);
    const answer = client.call({ method: 'GET', resource: 'services' }, signal);
    (await kube.next('GET /services')).cut();
    expect(await answer).to.have.nested.property('fault.code', 'kube-unreachable');
    expect(kube.waiting).to.deep.equal([]);
  });

  it('uses a connection again', async () => {
    const client = await kube.client(clock);
    for (let at = 0; at < 3; at += 1) {
      const answer = client.call({ method: 'GET', resource: 'services' }, signal);
      (await kube.next('GET /services')).json(200, {});
      await answer;
    }
    expect(kube.connections).to.equal(1);
  });
});
