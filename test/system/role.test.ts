import { join } from 'node:path';
import { expect } from 'chai';
import type { Attempt, Decision } from '../../src/sandbox/kube-api/authorization.ts';
import { sandboxImage } from '../../src/sandbox/node/node.ts';
import type { KubeObject } from '../support/kube-user.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { deployFolder, installedIn, objectsIn } from '../support/manifests-of.ts';
import { startTown, type Town } from '../support/town.ts';

const account = 'cloudflare-warp-ingress';
const host = 'app.example.com';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const named = ({ verb, group, resource }: Pick<Attempt, 'verb' | 'group' | 'resource'>): string =>
  `${verb} ${resource}${group && `.${group}`}`;

function isOfAccount({ kind }: KubeObject): boolean {
  return /^(ServiceAccount|Role|RoleBinding)$/.test(kind);
}

function granted(objects: readonly KubeObject[]): string[] {
  return objects
    .filter(({ kind }) => kind === 'Role')
    .flatMap((role) => role.rules as Rule[])
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => named({ verb, group, resource }))),
      ),
    );
}

/**
 * The controller as the ServiceAccount of the manifests, under their Role, which the API server enforces. It goes through
 * all that it does; what it was refused is missing in the Role, what it never asked for is too much there.
 */
describe('the Role of the manifests', function () {
  this.timeout(60_000);
  const base = join(deployFolder, 'base');
  const podMode = join(deployFolder, 'overlays', 'pod-mode');
  let town: Town;
  const decisions: Decision[] = [];

  before(async () => {
    town = await startTown();
    town.onDecision((decision) => void decisions.push(decision));
  });
  after(() => town.stop());

  it('is what the controller needs, no less', async () => {
    await town.user.apply(...installedIn('town', objectsIn(base).filter(isOfAccount)));
    await town.actAs(account);
    await town.startController();

    const caSecret = { annotations: { 'cloudflare-warp/ca-secret': 'my-ca' } };
    await town.user.apply(
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'my-ca' }, data: { 'ca.crt': '' } },
      ingress('web', host),
      ingress('private', 'private.example.com', caSecret),
    );
    // The status is refused once: then the controller looks at what became of the Ingress.
    town.kubeFaults.add({ resource: 'ingresses', verb: 'patch', times: 1, fail: { code: 409 } });
    await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
    await town.answers(host, '/', 'web');
    await town.until('the status names the tunnel', async () => (await town.status('web')).length === 1);
    // The same Events once more: counted in the ones there are.
    for (const ready of [false, true, false, true]) {
      await town.user.apply(
        slice('web-1', 'web', await town.origin('web'), [{ address: '127.0.0.1', ready }]),
      );
      await town.until('the tunnel follows', () => town.connections(host) > 0 === ready);
    }
    await town.until('an Event is counted', () =>
      decisions.some(({ verb, resource }) => verb === 'patch' && resource === 'events'),
    );
    await town.user.remove('Ingress', 'web');
    await town.user.remove('Ingress', 'private');
    await town.user.remove('Secret', 'my-ca');
    await town.nothingLeft();
    await town.stopController();

    expect(decisions).to.not.be.empty;
    expect(decisions.filter(({ allowed }) => !allowed).map(named)).to.deep.equal([]);
  });

  it('is what the controller needs, no more', () => {
    const used = new Set(decisions.map(named));
    expect(granted(objectsIn(base)).filter((each) => !used.has(each))).to.deep.equal([]);
  });

  it('is with that of tunnels in pods what these need, no less and no more', async () => {
    const before = decisions.length;
    await town.user.apply(...installedIn('town', objectsIn(podMode).filter(isOfAccount)));
    // The Pod that the controller would run in: it names the image of the tunnel pods, and is on another node.
    const containers = [
      { name: 'sidecar', image: 'registry.example/sidecar:1' },
      { name: 'controller', image: sandboxImage },
    ];
    const own = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'controller-1' } };
    await town.user.apply({ ...own, spec: { nodeName: 'elsewhere', containers } });
    const surroundings = { KUBERNETES_SERVICE_HOST: '127.0.0.1', HOSTNAME: 'controller-1' };
    const kept = Object.keys(surroundings).map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, surroundings);
    try {
      await town.actAs(account);
      await town.startController();
      await town.user.apply(service(), slice('web-1', 'web', await town.origin('web')));
      const inPods = (replicas: string) => ({
        annotations: { 'cloudflare-warp/mode': 'pod', 'cloudflare-warp/replicas': replicas },
      });
      await town.user.apply(ingress('web', host, inPods('2')));
      await town.answers(host, '/', 'web');
      await town.until('both pods are registered', () => town.connections(host) === 4);
      await town.user.apply(ingress('web', host, inPods('1')));
      await town.until('there is no budget for one', async () => {
        return (await town.user.list('PodDisruptionBudget')).length === 0;
      });
      await town.user.remove('Ingress', 'web');
      await town.nothingLeft();
      await town.stopController();
    } finally {
      for (const [name, value] of kept) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      await town.user.remove('Pod', 'controller-1');
    }
    const decided = decisions.slice(before);
    expect(decided.filter(({ allowed }) => !allowed).map(named)).to.deep.equal([]);
    const used = new Set(decided.map(named));
    expect(granted(objectsIn(podMode)).filter((each) => !used.has(each))).to.deep.equal([]);
  });

  it('is refused to anybody else, and says what was', async () => {
    await town.user.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } });
    await town.actAs('nobody');
    await town.startController();
    const refusal =
      'User \\"system:serviceaccount:town:nobody\\" cannot get resource \\"namespaces\\" in API group \\"\\" in the namespace \\"town\\"';
    await town.until('the log says so, and what helps', () =>
      town.log.some((line) => line.includes(refusal) && line.includes('or --identity')),
    );
    await town.stopController();
  });
});
