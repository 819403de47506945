import { join } from 'node:path';
import { expect } from 'chai';
import type { Attempt, Decision } from '../../src/sandbox/kube-api/authorization.ts';
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

function granted(objects: readonly KubeObject[]): string[] {
  return objects
    .filter(({ kind }) => kind === 'Role')
    .flatMap((role) => role['rules'] as Rule[])
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
  let town: Town;
  const decisions: Decision[] = [];

  before(async () => {
    town = await startTown();
    town.onDecision((decision) => void decisions.push(decision));
  });
  after(() => town.stop());

  it('is what the controller needs, no less', async () => {
    const ofAccount = objectsIn(base).filter(({ kind }) => /^(ServiceAccount|Role|RoleBinding)$/.test(kind));
    await town.user.apply(...installedIn('town', ofAccount));
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
    // It asks once whether there are tunnels in pods; without their overlay the refusal is the answer.
    const ofPods = granted(objectsIn(join(deployFolder, 'overlays', 'pod-mode')));
    const refused = decisions.filter(({ allowed }) => !allowed).map(named);
    expect(refused.filter((each) => !ofPods.includes(each))).to.deep.equal([]);
  });

  it('is what the controller needs, no more', () => {
    const used = new Set(decisions.map(named));
    expect(granted(objectsIn(base)).filter((each) => !used.has(each))).to.deep.equal([]);
  });

  it('is refused to anybody else, and says what was', async () => {
    await town.user.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } });
    await town.actAs('nobody');
    await town.startController();
    const refusal =
      'User \\"system:serviceaccount:town:nobody\\" cannot get resource \\"namespaces\\" in API group \\"\\" in the namespace \\"town\\"';
    await town.until('the log says so', () => town.log.some((line) => line.includes(refusal)));
    await town.stopController();
  });
});
