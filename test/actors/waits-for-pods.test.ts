import { expect } from 'chai';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';

describe('a tunnel in pods', () => {
  const spec = ingress('web', [host]);
  const asPod = present({ ...spec, settings: { ...spec.settings, mode: 'pod' } });
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
    house.runner.autoRegister = false;
  });
  afterEach(() => house.stop());

  it('says once why no pod is ready, serves when one is, and says so of the next that is not', async () => {
    await house.tell(service(), slice(), asPod, synced);
    const [run] = house.runner.runs;
    const failing = async (message: string | null): Promise<void> => {
      const fault = message === null ? null : ({ code: 'pods-failing', message } as const);
      run!.hear({ type: 'failing', fault });
      await house.quiet();
    };
    for (let time = 0; time < 2; time++) await failing('no image');
    expect(house.states.get(host)).to.equal('failed');
    expect(house.sink.take()).to.deep.equal(['web WaitingForPods']);
    run!.hear({ type: 'connections', registered: 4 });
    await failing(null);
    expect(house.states.get(host)).to.equal('up');
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
    await failing('no image');
    expect(house.states.get(host), 'another pod serves').to.equal('up');
    expect(house.sink.take()).to.deep.equal(['web WaitingForPods']);
    expect(house.runner.runs, 'nothing was restarted').to.deep.equal([run]);
  });

  it('that cannot be started says why once, and opens when it can', async () => {
    await house.tell(service(), slice(), asPod, synced);
    for (let time = 0; time < 3; time++) {
      house.runner.end(house.runner.runs[0]!, { code: 'kube-forbidden', message: 'no' });
      await house.pass(30_000);
    }
    expect(house.states.get(host)).to.equal('failed');
    expect(house.sink.take()).to.deep.equal(['web WaitingForPods']);
    house.runner.runs[0]!.hear({ type: 'connections', registered: 4 });
    await house.quiet();
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('that should replace one in a thread says once why it cannot, and again when it could meanwhile', async () => {
    house.runner.autoRegister = true;
    await house.tell(service(), slice(), present(spec), synced);
    house.sink.take();
    house.runner.autoRegister = false;
    const refuse = async (): Promise<void> => {
      house.runner.end(house.runner.runs[1]!, { code: 'pods-failing', message: 'no image' });
      await house.pass(30_000);
    };
    await house.tell(asPod);
    for (let time = 0; time < 3; time++) await refuse();
    expect(house.sink.take()).to.deep.equal(['web WaitingForPods']);
    expect(house.states.get(host)).to.equal('up');
    await house.tell(present(spec));
    await house.tell(asPod);
    await refuse();
    expect(house.sink.take()).to.deep.equal(['web WaitingForPods']);
  });
});
