import { expect } from 'chai';
import type { Result } from '../../src/fault.ts';
import { readOwnImage } from '../../src/kube/pods/own-image.ts';
import { systemClock } from '../../src/time/clock.ts';
import { type KubeCall, ScriptedKube } from '../support/scripted-kube.ts';

const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', HOSTNAME: 'controller-5d7' };
const controller = { name: 'controller', image: 'registry.example/warp:2' };
const sidecar = { name: 'proxy', image: 'registry.example/proxy:1' };

describe('the image of tunnel pods', () => {
  let kube: ScriptedKube;

  beforeEach(async () => {
    kube = await ScriptedKube.start();
  });
  afterEach(() => kube.close());

  async function read(answer: (call: KubeCall) => void): Promise<Result<string>> {
    const client = await kube.client(systemClock);
    const image = readOwnImage(client, inPod, new AbortController().signal);
    answer(await kube.next('GET /api/v1/namespaces/web/pods/controller-5d7'));
    return image;
  }

  async function refusalOf(answer: (call: KubeCall) => void): Promise<string> {
    const image = await read(answer);
    if (image.ok) return expect.fail(image.value);
    expect(image.fault.code).to.equal('config-invalid');
    expect(image.fault.message).to.contain('mode "pod"').and.to.contain('expected --pod-image');
    return image.fault.message;
  }

  for (const [title, containers, expected] of [
    ['the container "controller" of the own Pod', [sidecar, controller], controller.image],
    [
      'the first container where none has that name',
      [sidecar, { ...controller, name: 'warp' }],
      sidecar.image,
    ],
  ] as const) {
    it(`is that of ${title}`, async () => {
      const image = await read((call) => call.json(200, { spec: { containers } }));
      expect(image).to.deep.equal({ ok: true, value: expected });
    });
  }

  it('has to be told where the Pod cannot be read or names none', async () => {
    expect(await refusalOf((call) => call.refuse(403, 'pods is forbidden'))).to.contain('forbidden');
    expect(await refusalOf((call) => call.refuse(404, 'no such pod'))).to.contain('no such pod');
    expect(await refusalOf((call) => call.json(200, { spec: { containers: [] } }))).to.contain(
      'controller-5d7',
    );
  });

  it('has to be told outside of a Pod, which asks nobody', async () => {
    const client = await kube.client(systemClock);
    const image = await readOwnImage(client, { HOSTNAME: 'laptop' }, new AbortController().signal);
    expect(image.ok ? image.value : image.fault.message).to.contain('expected --pod-image');
    expect(kube.connections).to.equal(0);
  });

  it('is asked for again when the API server could not be reached', async () => {
    const image = await read((call) => call.cut());
    expect(image.ok ? image.value : image.fault.code).to.equal('kube-unreachable');
  });
});
