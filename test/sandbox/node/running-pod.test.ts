import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../../src/sandbox/kube-api/kube-api.ts';
import { plainDeletion } from '../../../src/sandbox/kube-api/registry/deletion.ts';
import { secrets } from '../../../src/sandbox/kube-api/resources/data.ts';
import { pods } from '../../../src/sandbox/kube-api/resources/pod.ts';
import { type SandboxNode, sandboxImage, startNode } from '../../../src/sandbox/node/node.ts';
import { eventually } from '../../support/eventually.ts';

const quiet = { dryRun: false, writer: null };
const volumeNames = ['a', 'b', 'c', 'd'];

describe('sandbox: a pod', () => {
  let api: KubeApi;
  let node: SandboxNode;
  let directory: string;

  beforeEach(async () => {
    api = await startKubeApi({ port: 0 });
    directory = await mkdtemp(join(tmpdir(), 'sandbox-node-'));
    node = startNode({ api, directory });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'files' }, data: { file: 'YQ==' } };
    api.registry.create(secrets, 'default', secret as never, quiet);
  });
  afterEach(async () => {
    await node.stop();
    await api.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('that is deleted while its volumes are laid leaves no file and no process', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'brief' },
      spec: {
        containers: [{ name: 'it', image: sandboxImage, args: ['--help'] }],
        volumes: volumeNames.map((name) => ({ name, secret: { secretName: 'files' } })),
      },
    };
    api.registry.create(pods, 'default', pod as never, quiet);
    const target = { definition: pods, namespace: 'default', name: 'brief' };
    await eventually('its first file', async () => (await readdir(directory)).length > 0);
    api.registry.delete(target, { ...plainDeletion, graceSeconds: 0 });
    await eventually('the pod is gone', () => api.registry.find(target) === null);
    await node.stop();
    expect(await readdir(directory)).to.deep.equal([]);
    expect(node.processIds()).to.deep.equal([]);
  });
});
