import { expect } from 'chai';
import { sandboxImage } from '../../src/sandbox/node/node.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';
/** Of a Deployment. */
type Spec = {
  readonly replicas: number;
  readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
};
type Data = Readonly<Record<string, string>>;

describe('tunnels in pods', function () {
  this.timeout(90_000);
  let town: Town;

  beforeEach(async () => {
    town = await startTown();
    await town.startController(`--pod-image=${sandboxImage}`);
  });
  afterEach(() => town.stop());

  async function web(annotations: Readonly<Record<string, string>>): Promise<void> {
    const named = Object.entries(annotations).map(([key, value]) => [`cloudflare-warp/${key}`, value]);
    await town.user.apply(ingress('web', host, { annotations: Object.fromEntries(named) }));
  }

  async function served(annotations: Readonly<Record<string, string>>): Promise<void> {
    await town.user.apply(service('web'), slice('web-1', 'web', await town.origin('web')));
    await web(annotations);
    await town.answers(host, '/', 'web');
  }

  it('serve, close with the last endpoint, and go with the Ingress', async () => {
    await served({ mode: 'pod', replicas: '2' });
    await town.until('both pods are registered', () => town.connections(host) === 4);
    expect(await town.pods()).to.have.length(2);
    await town.until('that is told', async () => (await town.reasons('web')).includes('TunnelReady'));
    const name = `${town.tunnelIds()[0]}.cfargotunnel.com`;
    await town.until('the status has the name', async () => (await town.status('web')).includes(name));
    expect(await town.user.list('PodDisruptionBudget')).to.have.length(1);

    await town.user.apply(slice('web-1', 'web', await town.origin('web'), []));
    await town.until('no pod is left', async () => (await town.pods()).length === 0);
    expect(await town.user.list('Deployment')).to.be.empty;
    expect(town.tunnelIds()).to.have.length(1);

    await town.user.apply(slice('web-1', 'web', await town.origin('web')));
    await town.answers(host, '/', 'web');
    await town.user.remove('Ingress', 'web');
    await town.nothingLeft();
    await town.until('no pod is left', async () => (await town.user.list('Pod')).length === 0);
  });

  it('outlive the controller, whose successor writes nothing', async () => {
    await served({ mode: 'pod' });
    const [before] = await town.user.list('Deployment');
    const [pod] = await town.pods();
    await town.stopController();
    await town.answers(host, '/', 'web');
    const lines = town.log.length;
    await town.startController(`--pod-image=${sandboxImage}`);
    await town.until('the controller is ready', async () => (await town.ops('/readyz')).status === 200);
    const [after] = await town.user.list('Deployment');
    expect(after!.metadata.generation).to.equal(before!.metadata.generation);
    expect(town.log.slice(lines).join('')).not.to.contain('tunnel pods changed');
    expect((await town.pods()).map(({ metadata }) => metadata.name)).to.deep.equal([pod!.metadata.name]);
  });

  it('are as before when somebody has scaled or edited their Deployment', async () => {
    await served({ mode: 'pod' });
    const { name } = (await town.user.list('Deployment'))[0]!.metadata;
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } };
    const container = { name: 'tunnel', image: 'registry.example/other:1' };
    for (const spec of [{ replicas: 0 }, { template: { spec: { containers: [container] } } }]) {
      await town.user.apply({ ...deployment, spec });
      const isPutBack = async (): Promise<boolean> => {
        const now = (await town.user.get('Deployment', name))!.spec as Spec;
        return now.replicas === 1 && now.template.spec.containers[0]!.image === sandboxImage;
      };
      await town.hastened(town.until('it is put back', isPutBack));
    }
    await town.answers(host, '/', 'web');
    expect(town.log.join('')).to.contain('tunnel pods put back').and.not.to.contain('on their way in');
  });

  it('connect with the certificate when told to, and serve every path as the Ingress says', async () => {
    await town.stopController();
    await town.user.apply(await town.certSecret('cf'));
    await town.startController(
      `--pod-image=${sandboxImage}`,
      ...['--tunnel-mode=pod', '--pod-credentials=cert', '--pod-cert=secret/cf'],
    );
    for (const name of ['web', 'api']) {
      await town.user.apply(service(name), slice(`${name}-1`, name, await town.origin(name)));
    }
    const paths = [{ service: 'web' }, { path: '/api', service: 'api' }, { path: '/gone', service: 'gone' }];
    await town.user.apply(ingress('web', host, { paths }));
    await town.answers(host, '/', 'web');
    await town.answers(host, '/api', 'api');
    expect((await town.get(host, '/gone')).status).to.equal(503);
    const [token] = (await town.user.list('Secret')).flatMap(({ data }) => (data as Data).token ?? []);
    const deployments = JSON.stringify(await town.user.list('Deployment'));
    expect(deployments).not.to.contain(Buffer.from(token!, 'base64').toString());
    expect(deployments).to.contain('--origincert');
  });

  it('go on with the routes that they have when those of the Ingress are too long for a pod, which an Event says', async () => {
    await served({ mode: 'pod' });
    const many = Array.from({ length: 130 }, (_, index) => ({ path: `/${index}${'x'.repeat(1024)}` }));
    const web = (paths: readonly { readonly path?: string }[]) =>
      ingress('web', host, { paths, annotations: { 'cloudflare-warp/mode': 'pod' } });
    await town.user.apply(web([{}, ...many]));
    await town.until('an Event says it', async () => {
      const messages = await town.messages('web', 'InvalidIngress');
      return messages.some((text) => text.includes(host) && text.includes('128 KiB'));
    });
    await town.answers(host, '/', 'web');
    await town.user.apply(web([{ path: '/now' }]));
    await town.answers(host, '/now', 'web');
    await town.until('the paths of before are gone', async () => (await town.get(host)).status === 404);
  });

  it('say why none of them gets to run', async () => {
    await town.stopController();
    await town.startController('--pod-image=registry.example/unknown:1');
    await town.user.apply(service('web'), slice('web-1', 'web', await town.origin('web')));
    await web({ mode: 'pod' });
    await town.until('an Event says it', async () => {
      const messages = await town.messages('web', 'WaitingForPods');
      return messages.some((text) => text.includes('ImagePullBackOff') && text.includes('unknown:1'));
    });
    await web({ mode: 'worker' });
    await town.answers(host, '/', 'web');
    await town.until('no pod is left', async () => (await town.user.list('Pod')).length === 0);
  });

  it('are not begun where the controller may not, which an Event says', async () => {
    town.kubeFaults.add({ resource: 'deployments', verb: 'patch', fail: { code: 403 } });
    await town.user.apply(service('web'), slice('web-1', 'web', await town.origin('web')));
    await web({ mode: 'pod' });
    await town.until('an Event says it', async () => {
      const messages = await town.messages('web', 'WaitingForPods');
      return messages.some((text) => text.includes('APPLY deployments/') && text.includes('403'));
    });
  });

  describe('a move without a gap', () => {
    async function underLoad(change: () => Promise<void>): Promise<void> {
      const load = new SteadyLoad(town.edge.frontUrl, host, 'web');
      try {
        await town.until('the load runs', () => load.answered > 20);
        await change();
        const before = load.answered;
        await town.until('the load goes on', () => load.answered > before + 20);
      } finally {
        await load.stop();
      }
      expect(load.failures).to.deep.equal([]);
    }

    it('from threads to pods and back', async () => {
      await served({ mode: 'worker' });
      await underLoad(async () => {
        await web({ mode: 'pod' });
        await town.until('the pod serves alone', async () => await inPods());
        await web({ mode: 'worker' });
        await town.until('no pod is left', async () => (await town.user.list('Pod')).length === 0);
      });
    });

    it('from pods to pods of another making', async () => {
      await served({ mode: 'pod', replicas: '2' });
      await town.until('both pods are registered', () => town.connections(host) === 4);
      const before = await names();
      await underLoad(async () => {
        await web({ mode: 'pod', replicas: '2', 'ha-connections': '1' });
        await town.until('only new pods are left', async () => {
          const now = await names();
          return now.length === 2 && now.every((name) => !before.includes(name));
        });
        await town.until('they are all that there is', () => town.connections(host) === 2);
      });
    });

    it('from one image to the next, as an upgrade of the controller brings it', async () => {
      await served({ mode: 'pod' });
      const image = `${sandboxImage}-next`;
      await underLoad(async () => {
        await town.stopController();
        await town.startController(`--pod-image=${image}`);
        await town.until('only pods of the new image are left', async () => {
          const images = JSON.stringify(await town.user.list('Pod')).match(/"image":"[^"]*"/g) ?? [];
          return images.length > 0 && images.every((each) => each === `"image":"${image}"`);
        });
        await town.until('it serves alone', () => inPods());
      });
    });

    async function names(): Promise<readonly string[]> {
      return (await town.user.list('Pod')).map(({ metadata }) => metadata.name);
    }

    async function inPods(): Promise<boolean> {
      const pods = (await town.user.list('Pod')).length;
      return pods > 0 && town.connections(host) === 2 * pods;
    }
  });
});
