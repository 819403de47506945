import { expect } from 'chai';
import { visit } from '../support/eyeball.ts';
import { HoldingOrigin } from '../support/holding-origin.ts';
import { ingress, service, slice } from '../support/manifests.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import { type Answer, startTown, type Town } from '../support/town.ts';

const host = 'app.example.com';
const annotations = { 'cloudflare-warp/origin-via': 'endpoints' };

/** From the EndpointSlice through controller and thread to the sockets of two endpoints. */
describe('a Service reached by its endpoints', function () {
  this.timeout(60_000);
  let town: Town;
  let staying: HoldingOrigin;
  let going: HoldingOrigin;
  let load: SteadyLoad | null = null;

  before(async () => {
    town = await startTown();
    // One thread has the whole tunnel, so it alone counts what is under way.
    await town.startController('--tunnels-per-thread=1');
    await town.user.apply(service());
  });
  after(() => town.stop());

  beforeEach(async () => {
    [staying, going] = await Promise.all([HoldingOrigin.start(), HoldingOrigin.start()]);
    await town.user.apply(
      slice('web-staying', 'web', staying.port),
      slice('web-going', 'web', going.port),
      ingress('web', host, { annotations }),
    );
    await town.until('both endpoints serve', async () => {
      const { status } = await town.get(host);
      return status === 200 && staying.answered > 0 && going.answered > 0;
    });
  });
  afterEach(async () => {
    await load?.stop();
    load = null;
    await Promise.all([staying.close(), going.close()]);
  });

  /** Requests that wait for their end, one after the other. */
  async function hold(count: number): Promise<Promise<Answer>[]> {
    const answers: Promise<Answer>[] = [];
    for (let i = 0; i < count; i += 1) {
      const before = staying.held + going.held;
      answers.push(town.get(host, '/hold'));
      await town.until('the endpoint has it', () => staying.held + going.held > before);
    }
    return answers;
  }

  async function underLoad(): Promise<SteadyLoad> {
    load = new SteadyLoad(town.edge.frontUrl, host, 'ok');
    const [stayed, gone] = [staying.answered, going.answered];
    await town.until(
      'both are under load',
      () => staying.answered > stayed + 40 && going.answered > gone + 40,
    );
    return load;
  }

  it('has its requests where the least are under way', async () => {
    const first = await hold(6);
    expect([staying.held, going.held]).to.deep.equal([3, 3]);
    going.finish();
    await town.until('three are through', () => going.held === 0);
    const second = await hold(3);
    expect([staying.held, going.held]).to.deep.equal([3, 3]);
    for (const origin of [staying, going]) origin.finish();
    for (const { status } of await Promise.all([...first, ...second])) expect(status).to.equal(200);
  });

  it('loses no request when an endpoint goes that has some, and then refuses connections', async () => {
    const visitors = await underLoad();
    const held = await hold(4);
    const busy = going.held;
    expect(busy).to.be.greaterThan(0);

    await town.user.apply(slice('web-going', 'web', going.port, []));
    await town.until('what was idle there is closed', () => going.connections === busy);
    expect(going.held).to.equal(busy);
    const [before, later] = [going.answered, staying.answered + 80];
    going.refuse();
    await town.until('the other one serves alone', () => staying.answered > later);
    expect(going.answered).to.equal(before);

    for (const origin of [staying, going]) origin.finish();
    const whole = { status: 200, body: 'part and end' };
    expect(await Promise.all(held)).to.deep.equal(Array(4).fill(whole));
    await town.until('nothing is open there', () => going.connections === 0);
    await visitors.stop();
    expect(visitors.failures).to.deep.equal([]);
  });

  it('loses no request when an endpoint refuses connections that is still listed', async () => {
    const visitors = await underLoad();
    going.refuse();
    const before = staying.answered;
    await town.until('the other one serves alone', () => staying.answered > before + 80);
    for (let i = 0; i < 4; i += 1) {
      const { status } = await visit(town.edge.frontUrl, { host, method: 'POST', body: 'a body' });
      expect(status).to.equal(200);
    }
    await visitors.stop();
    expect(visitors.failures).to.deep.equal([]);
  });
});
