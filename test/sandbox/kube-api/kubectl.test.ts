import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { pods } from '../../../src/sandbox/kube-api/resources/pod.ts';
import { eventually } from '../../support/eventually.ts';
import { endpointSlice, ingress, service } from './objects.ts';

function kubectlIsHere(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

if (kubectlIsHere()) {
  describe('kube-api with the kubectl that is on the PATH', function () {
    this.timeout(60_000);
    let api: KubeApi;
    let directory: string;
    let manifest: string;

    before(async () => {
      api = await startKubeApi();
      directory = mkdtempSync(join(tmpdir(), 'kube-api-'));
      writeFileSync(join(directory, 'kubeconfig'), api.kubeconfig(), { mode: 0o600 });
      manifest = join(directory, 'objects.json');
      write(8080);
    });
    after(async () => {
      await api.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    function write(port: number): void {
      const items = [ingress('web'), service('web'), endpointSlice('web-1', 'web', port)];
      writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    }

    function kubectl(...args: string[]): Promise<string> {
      const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig'), HOME: directory };
      return new Promise((resolve, reject) => {
        execFile('kubectl', args, { env }, (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`kubectl ${args.join(' ')}: ${stderr}`));
        });
      });
    }

    it('applies, and finds nothing to change the second time', async () => {
      expect(await kubectl('apply', '-f', manifest)).to.contain('ingress.networking.k8s.io/web created');
      expect(await kubectl('apply', '-f', manifest)).to.contain('ingress.networking.k8s.io/web unchanged');
      expect(await kubectl('diff', '-f', manifest)).to.equal('');
    });

    it('changes by apply what the manifest changed, and nothing else', async () => {
      await kubectl('label', 'endpointslice', 'web-1', 'kept=yes');
      write(9090);
      await kubectl('apply', '-f', manifest);
      const slice = JSON.parse(await kubectl('get', 'endpointslice', 'web-1', '-o', 'json'));
      expect(slice.ports[0].port).to.equal(9090);
      expect(slice.metadata.labels.kept).to.equal('yes');
    });

    it('shows tables', async () => {
      const [header = '', row = ''] = (await kubectl('get', 'ingress')).split('\n');
      expect(header.trim().split(/\s+/)).to.deep.equal(['NAME', 'CLASS', 'HOSTS', 'ADDRESS', 'PORTS', 'AGE']);
      expect(
        row
          .trim()
          .split(/\s{2,}/)
          .slice(0, 3),
      ).to.deep.equal(['web', '<none>', 'web.example.test']);
      expect(await kubectl('get', 'svc', '-o', 'wide')).to.contain('app=web');
      expect(await kubectl('get', 'ingress', '-o', 'name')).to.equal('ingress.networking.k8s.io/web\n');
      expect(await kubectl('get', 'svc', 'web', '-o', 'jsonpath={.spec.ports[0].port}')).to.equal('8080');
    });

    it('describes an Ingress with its backends and Events', async () => {
      const { uid } = JSON.parse(await kubectl('get', 'ingress', 'web', '-o', 'json')).metadata;
      const event = join(directory, 'event.json');
      writeFileSync(
        event,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Event',
          metadata: { name: 'web.1' },
          involvedObject: {
            apiVersion: 'networking.k8s.io/v1',
            kind: 'Ingress',
            name: 'web',
            namespace: 'default',
            uid,
          },
          reason: 'TunnelReady',
          message: 'the tunnel is up',
          type: 'Normal',
        }),
      );
      await kubectl('create', '-f', event);
      const described = await kubectl('describe', 'ingress', 'web');
      expect(described).to.match(/\/\s+web:8080 \(127\.0\.0\.1:9090\)/);
      expect(described).to.match(/Normal\s+TunnelReady.*the tunnel is up/);
      expect(await kubectl('events', '--for', 'ingress/web')).to.contain('TunnelReady');
    });

    it('patches, annotates, labels and replaces', async () => {
      await kubectl('annotate', 'ingress', 'web', 'kubernetes.io/ingress.class=cloudflare-warp');
      await kubectl('patch', 'svc', 'web', '-p', '{"spec":{"ports":[{"port":8080,"targetPort":9090}]}}');
      await kubectl(
        'patch',
        'svc',
        'web',
        '--type=json',
        '-p',
        '[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]',
      );
      await kubectl('patch', 'svc', 'web', '--type=merge', '-p', '{"metadata":{"labels":{"c":"d"}}}');
      const shown = JSON.parse(await kubectl('get', 'svc', 'web', '-o', 'json'));
      expect(shown.spec.ports).to.deep.equal([
        { name: 'http', port: 8080, protocol: 'TCP', targetPort: 9090 },
      ]);
      expect(shown.metadata.labels).to.deep.equal({ a: 'b', c: 'd' });
      const file = join(directory, 'svc.json');
      writeFileSync(file, JSON.stringify({ ...shown, metadata: { ...shown.metadata, labels: {} } }));
      expect(await kubectl('replace', '-f', file)).to.contain('service/web replaced');
    });

    it('applies on the server, and is told of conflicts', async () => {
      const file = join(directory, 'map.json');
      const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' }, data: { a: '1' } };
      writeFileSync(file, JSON.stringify(map));
      await kubectl('apply', '--server-side', '-f', file);
      writeFileSync(file, JSON.stringify({ ...map, data: { a: '2' } }));
      const other = ['apply', '--server-side', '--field-manager=other', '-f', file];
      const refused = await kubectl(...other).catch((error: Error) => error.message);
      expect(refused).to.contain('conflict with "kubectl": .data.a');
      expect(await kubectl(...other, '--force-conflicts')).to.contain('serverside-applied');
    });

    it('goes on by applying on the server with what it has applied from here, save for what somebody else changed', async () => {
      const file = join(directory, 'moved.json');
      const map = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'moved' },
        data: { a: '1', b: '1' },
      };
      writeFileSync(file, JSON.stringify(map));
      await kubectl('apply', '-f', file);
      writeFileSync(file, JSON.stringify({ ...map, data: { a: '2', b: '1' } }));
      expect(await kubectl('apply', '--server-side', '-f', file)).to.contain('serverside-applied');
      const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
      const { metadata, data } = JSON.parse(await kubectl('get', 'cm', 'moved', '-o', 'json'));
      expect(data).to.deep.equal({ a: '2', b: '1' });
      expect(JSON.parse(metadata.annotations[annotation]).data).to.deep.equal({ a: '2', b: '1' });
      await kubectl('delete', 'cm', 'moved');
      await kubectl('apply', '-f', file);
      await kubectl('patch', 'cm', 'moved', '-p', '{"data":{"a":"9"}}');
      writeFileSync(file, JSON.stringify({ ...map, data: { a: '3', b: '3' } }));
      const refused = await kubectl('apply', '--server-side', '-f', file).catch(
        (error: Error) => error.message,
      );
      expect(refused).to.contain(
        'Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.a',
      );
    });

    it('creates from flags, whatever encoding it sends', async () => {
      await kubectl('create', 'secret', 'generic', 'from-flags', '--from-literal=a=b');
      expect(await kubectl('get', 'secret', 'from-flags', '-o', 'jsonpath={.data.a}')).to.equal('Yg==');
      await kubectl(
        'create',
        'ingress',
        'from-flags',
        '--rule=x.example.test/*=web:http',
        '--class=cloudflare-warp',
      );
      const created = JSON.parse(await kubectl('get', 'ingress', 'from-flags', '-o', 'json'));
      expect(created.spec.ingressClassName).to.equal('cloudflare-warp');
      expect(created.spec.rules[0].http.paths[0].backend.service.port).to.deep.equal({ name: 'http' });
      await kubectl('create', 'deployment', 'from-flags', '--image=example.test/a:1', '--replicas=0');
      expect(await kubectl('get', 'deployment', 'from-flags', '-o', 'jsonpath={.spec.replicas}')).to.equal(
        '0',
      );
    });

    it('knows what there is and what is allowed', async () => {
      expect(await kubectl('api-resources', '-o', 'name')).to.contain('ingresses.networking.k8s.io');
      expect(await kubectl('api-versions')).to.contain('discovery.k8s.io/v1');
      expect(await kubectl('auth', 'can-i', 'create', 'ingresses')).to.equal('yes\n');
      expect(await kubectl('explain', 'ingress.spec.rules.host'))
        .to.contain('host <string>')
        .and.contain('fully qualified domain name');
      expect(await kubectl('explain', 'ingress.spec')).to.contain('IngressSpec describes the Ingress');
    });

    it('explains in the words of the API, without the escapes of the models that they are from', async () => {
      const explained = (await kubectl('explain', 'ingress.spec.rules.host')).replace(/\s+/g, ' ');
      expect(explained).to.contain('deviations from the "host" part').and.not.contain('\\');
    });

    it('asks in the name of a service account, and of nobody else', async () => {
      const robot = 'system:serviceaccount:default:robot';
      await kubectl('create', 'role', 'reader', '--verb=get', '--resource=ingresses');
      await kubectl('create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=default:robot');
      expect(await kubectl('auth', 'can-i', 'get', 'ingresses', `--as=${robot}`)).to.equal('yes\n');
      const failure = (...args: string[]) =>
        kubectl(...args).then(
          () => '',
          (error: Error) => error.message,
        );
      expect(await failure('get', 'secrets', `--as=${robot}`)).to.contain(
        `User "${robot}" cannot list resource "secrets"`,
      );
      expect(await failure('get', 'ingresses', '--as=jane')).to.contain('expected system:serviceaccount:');
    });

    it('scales a Deployment', async () => {
      await kubectl('create', 'deployment', 'sized', '--image=example.test/a:1', '--replicas=0');
      const size = () => kubectl('get', 'deployment', 'sized', '-o', 'jsonpath={.spec.replicas}');
      expect(await kubectl('scale', 'deployment', 'sized', '--replicas=3')).to.contain('scaled');
      expect(await size()).to.equal('3');
      await kubectl('scale', 'deployment', 'sized', '--current-replicas=3', '--replicas=2');
      expect(await size()).to.equal('2');
      await kubectl('delete', 'deployment', 'sized');
    });

    it('shows what a pod has written, and goes on until it is gone', async () => {
      await kubectl('run', 'talker', '--image=example.test/a:1');
      const early = await kubectl('logs', 'talker').catch((error: Error) => error.message);
      expect(early).to.contain('container "talker" in pod "talker" is waiting to start: ContainerCreating');
      const target = { definition: pods, namespace: 'default', name: 'talker' };
      const { uid } = api.registry.get(target).metadata;
      api.registry.update(target, 'status', { dryRun: false, writer: null }, (pod) => {
        const state = { running: { startedAt: '2026-01-01T00:00:00Z' } };
        return { ...pod, status: { phase: 'Running', containerStatuses: [{ name: 'talker', state }] } };
      });
      for (const text of ['one', 'two']) api.logs.add(uid, { container: 'talker', text, atMs: 0 });
      expect(await kubectl('logs', 'talker')).to.equal('one\ntwo\n');
      expect(await kubectl('logs', 'talker', '--tail=1')).to.equal('two\n');
      api.logs.add(uid, { container: 'talker', text: 'now', atMs: Date.now() });
      expect(await kubectl('logs', 'talker', '--since=1h')).to.equal('now\n');
      expect(await kubectl('logs', 'talker', '--since-time=2026-01-01T00:00:00Z')).to.equal('now\n');
      expect(await kubectl('logs', 'talker', '--limit-bytes=5')).to.equal('one\nt');
      const previous = await kubectl('logs', 'talker', '-p').catch((error: Error) => error.message);
      expect(previous).to.contain('previous terminated container "talker" in pod "talker" not found');
      const followed = kubectl('logs', '-f', 'talker');
      await eventually('it is followed', () => api.logs.followers(uid) === 1);
      api.logs.add(uid, { container: 'talker', text: 'three', atMs: 0 });
      api.logs.end(uid);
      expect(await followed).to.equal('one\ntwo\nnow\nthree\n');
      await kubectl('delete', 'pod', 'talker', '--now', '--wait=false');
    });

    it('refuses an unknown field before it stores anything', async () => {
      const file = join(directory, 'typo.json');
      writeFileSync(file, JSON.stringify({ ...service('typo'), spec: { port: [{ port: 80 }] } }));
      const refused = await kubectl('create', '-f', file).catch((error: Error) => error.message);
      expect(refused).to.contain('unknown field "spec.port"');
    });

    it('waits for a deletion that a finalizer holds up', async () => {
      const file = join(directory, 'held.json');
      const held = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'held', finalizers: ['example.test/hold'] },
      };
      writeFileSync(file, JSON.stringify(held));
      await kubectl('create', '-f', file);
      await kubectl('delete', 'configmap', 'held', '--wait=false');
      const gone = kubectl('wait', '--for=delete', 'configmap/held', '--timeout=30s');
      await kubectl('patch', 'configmap', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
      await gone;
      await kubectl('delete', '-f', manifest);
      expect(JSON.parse(await kubectl('get', 'svc,endpointslice', '-o', 'json')).items).to.deep.equal([]);
    });
  });
}
