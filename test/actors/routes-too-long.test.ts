import { expect } from 'chai';
import type { IngressSpec } from '../../src/domain/ingress.ts';
import { ActorHouse, ingress, present, rule, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';

describe('routes that are too long for a pod', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  /** An Ingress with so many paths that take a KiB each. */
  function web(mode: 'pod' | 'worker', kib: number): IngressSpec {
    const { settings } = ingress('web', [host]);
    const paths = Array.from({ length: kib }, (_, index) => ({
      ...rule(),
      path: `/${`${index}`.padEnd(1024, 'x')}`,
    }));
    return ingress('web', [], {
      hosts: [{ host, paths: [rule(), ...paths] }],
      settings: { ...settings, mode },
    });
  }
  const routes = () => house.runner.of(host)?.routes.routes.length;

  it('are told, start nothing, and are served as soon as they are shorter', async () => {
    await house.tell(service(), slice(), present(web('pod', 130)), synced);
    expect(house.runner.started).to.be.empty;
    expect(house.states.get(host)).to.equal('failed');
    expect(house.sink.take()).to.deep.equal(['web InvalidIngress']);
    await house.tell(slice('web-1', 'web', ['10.1.0.2']));
    expect(house.sink.take(), 'said once').to.be.empty;

    await house.tell(present(web('pod', 100)));
    expect(routes()).to.equal(101);
    expect(house.states.get(host)).to.equal('up');
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('leave what serves as it was, until they are shorter', async () => {
    await house.tell(service(), slice(), present(web('pod', 1)), synced);
    house.sink.take();
    await house.tell(present(web('pod', 130)));
    expect(house.sink.take()).to.deep.equal(['web InvalidIngress']);
    expect([routes(), house.states.get(host)]).to.deep.equal([2, 'up']);
    await house.tell(present(web('pod', 2)));
    expect(routes()).to.equal(3);
    expect(house.runner.started, 'one run all the while').to.deep.equal([host]);
  });

  it('leave a tunnel where it is that was to move into pods', async () => {
    await house.tell(service(), slice(), present(web('worker', 130)), synced);
    await house.tell(present(web('pod', 130)));
    expect(house.runner.of(host)?.request.place).to.deep.equal({ mode: 'worker' });
    await house.tell(present(web('pod', 2)));
    expect(house.runner.of(host)?.request.place).to.deep.equal({ mode: 'pod', replicas: 1 });
  });

  it('close with the last endpoint all the same', async () => {
    await house.tell(service(), slice(), present(web('pod', 1)), synced);
    await house.tell(present(web('pod', 130)), slice('web-1', 'web', []));
    expect(house.runner.hosts()).to.be.empty;
    expect(house.states.get(host)).to.equal('waiting');
  });

  it('let be, and in the status, what an earlier process has left running', async () => {
    await house.tell(service(), slice(), present(web('pod', 1)), synced);
    const next = house.successor();
    await next.tellLedger();
    const publishedHostnames = house.sink.status.get('web')!;
    next.sink.status.set('web', publishedHostnames);
    const large = { ...web('pod', 130), publishedHostnames };
    await next.tell(service(), slice(), present(large), synced);
    expect(next.runner.cleared).to.be.empty;
    expect(next.sink.status.get('web')).to.deep.equal(publishedHostnames);
    await next.tell(slice('web-1', 'web', []));
    expect(next.runner.cleared, 'without an endpoint nothing of it should run').to.deep.equal([host]);
    await next.stop();
  });
});
