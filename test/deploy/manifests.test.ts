import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type KubeApi, startKubeApi } from '../../src/sandbox/kube-api/kube-api.ts';
import { type KubeObject, kubeUser } from '../support/kube-user.ts';
import {
  deployFolder,
  installedIn,
  kubectlIsHere,
  objectsIn,
  rendered,
  resourcesOf,
} from '../support/manifests-of.ts';
import { schemaErrors } from '../support/schema-errors.ts';

const run = promisify(execFile);
const kustomizations = readdirSync(deployFolder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('kustomization.yaml'))
  .map((file) => join(deployFolder, dirname(file)));
const base = join(deployFolder, 'base');

async function expectValid(objects: readonly KubeObject[]): Promise<void> {
  expect(objects).to.not.be.empty;
  const errors = await Promise.all(objects.map(schemaErrors));
  expect(errors.filter((error) => error !== '')).to.deep.equal([]);
}

describe('the manifests', () => {
  for (const folder of kustomizations) {
    it(`of ${folder.slice(dirname(deployFolder).length + 1)} are what Kubernetes' schemas describe`, async () => {
      await expectValid(objectsIn(folder));
    });

    if (kubectlIsHere()) {
      it(`of ${folder.slice(dirname(deployFolder).length + 1)} still are after kustomize`, async function () {
        this.timeout(30_000);
        await expectValid(rendered(folder));
      });
    }
  }

  it('that are wrong would be noticed', async () => {
    const [budget] = objectsIn(base).filter(({ kind }) => kind === 'PodDisruptionBudget');
    expect(await schemaErrors({ ...budget!, spec: { maxUnavailable: { of: 1 } } })).to.contain(
      'maxUnavailable',
    );
  });

  it('are all named by the kustomization beside them', () => {
    for (const folder of kustomizations) {
      const named = resourcesOf(folder);
      const files = readdirSync(folder)
        .filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
        .map((file) => join(folder, file));
      expect(named).to.include.members(files);
    }
  });
});

describe('the install', function () {
  this.timeout(30_000);
  let api: KubeApi;

  before(async () => {
    api = await startKubeApi({ namespaces: ['web'] });
  });
  after(() => api.stop());

  it('is taken by a server that refuses fields it does not know', async () => {
    const objects = installedIn('web', [
      ...objectsIn(base),
      ...objectsIn(join(deployFolder, 'overlays', 'pod-mode')),
    ]);
    await kubeUser(api, 'web').apply(...objects);
    const names = [...api.store.values('deployments.apps')].map(({ metadata }) => metadata.name);
    expect(names).to.deep.equal(['cloudflare-warp-ingress']);
  });

  it('would not be taken with a field misspelt', async () => {
    const [account] = installedIn('web', objectsIn(base));
    const refused = await kubeUser(api, 'web')
      .apply({ ...account!, automountServiceAccountTokens: true })
      .catch((error: Error) => error.message);
    expect(refused).to.contain('automountServiceAccountTokens');
  });

  if (kubectlIsHere()) {
    it('is one command, and changes nothing the second time', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'install-'));
      const kubeconfig = join(directory, 'kubeconfig');
      writeFileSync(kubeconfig, api.kubeconfig('default'), { mode: 0o600 });
      const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: directory };
      // Not the synchronous one: the server it talks to lives in this process.
      const apply = async (folder: string): Promise<string[]> => {
        const { stdout } = await run('kubectl', ['apply', '-k', folder], { env });
        return stdout.trim().split('\n');
      };
      try {
        for (const folder of ['.', 'overlays/pod-mode', 'overlays/ingressclass']) {
          const path = join(deployFolder, folder);
          expect((await apply(path)).filter((line) => !line.endsWith(' created'))).to.deep.equal([]);
          // Of a budget kubectl says each time that it configured it, also on a real server: its patch replaces the spec.
          const changed = (line: string): boolean => !/ unchanged$|^poddisruptionbudget/.test(line);
          expect((await apply(path)).filter(changed)).to.deep.equal([]);
        }
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  }

  it('keeps every selector on the labels of the pods it means', () => {
    const objects = new Map(objectsIn(base).map((object) => [object.kind, object as never]));
    const labels = at(objects.get('Deployment'), 'spec', 'template', 'metadata', 'labels');
    for (const selector of [
      at(objects.get('Deployment'), 'spec', 'selector', 'matchLabels'),
      at(objects.get('PodDisruptionBudget'), 'spec', 'selector', 'matchLabels'),
      at(objects.get('NetworkPolicy'), 'spec', 'podSelector', 'matchLabels'),
      at(objects.get('Service'), 'spec', 'selector'),
    ]) {
      expect(labels).to.include(selector);
    }
  });

  it('is not probed before it can listen, of which each start would leave a Warning', () => {
    const deployment = objectsIn(base).find(({ kind }) => kind === 'Deployment');
    const [container] = at(deployment, 'spec', 'template', 'spec', 'containers') as unknown as object[];
    // The other probes wait for this one.
    expect(at(container, 'startupProbe')).to.include({ initialDelaySeconds: 1, periodSeconds: 1 });
  });

  it('runs with nothing that it does not need', () => {
    const deployment = objectsIn(base).find(({ kind }) => kind === 'Deployment');
    expect(at(deployment, 'spec', 'template', 'spec', 'securityContext')).to.include({
      runAsNonRoot: true,
      runAsUser: 65532,
    });
    const [container] = at(deployment, 'spec', 'template', 'spec', 'containers') as unknown as object[];
    expect(at(container, 'securityContext')).to.deep.equal({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});

function at(value: unknown, ...path: readonly string[]): object {
  return path.reduce((found, key) => (found as Record<string, unknown>)[key], value) as object;
}
