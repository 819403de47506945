import { expect } from 'chai';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { must, openStage, running, type Stage } from './stage.ts';

function fill(stage: Stage, tunnels: number): void {
  const { accountId } = stage.api;
  for (let made = 0; made < tunnels; made++) {
    stage.api.tunnels.create({ accountId, name: `other-${made}`, secret: null, configSrc: 'local' });
  }
}

const named = (host: string) => ({ host, name: `warp-me-${host}`, identity: 'me' });

describe('the quota of tunnels', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('is counted in one call at the start and every hour, deleted tunnels left out', async () => {
    const clock = new ManualClock();
    stage = await openStage({}, clock);
    fill(stage, 3);
    const { tunnels, accountId } = stage.api;
    tunnels.delete(tunnels.live(accountId)[0]!);
    stage.cloudflare.startCounting();
    await eventually('counted', () => stage.tunnels === 2);
    expect(stage.counted()).to.deep.equal(['tunnels.count 200']);
    fill(stage, 1);
    await clock.advance(3_599_000);
    expect(stage.counted()).to.deep.equal([]);
    await clock.advance(1_000);
    await eventually('counted again', () => stage.tunnels === 3);
    expect(stage.counted()).to.deep.equal(['tunnels.count 200']);
  });

  it('is warned of at 80 %, once, counting along what we create and remove, without a call', async () => {
    stage = await openStage();
    const { cloudflare } = stage;
    fill(stage, 798);
    cloudflare.startCounting();
    await eventually('counted', () => stage.tunnels === 798);
    must(await cloudflare.ensureTunnel(named('one.example.com'), running()));
    expect(stage.log).to.deep.equal([]);
    const two = must(await cloudflare.ensureTunnel(named('two.example.com'), running()));
    must(await cloudflare.ensureTunnel(named('three.example.com'), running()));
    expect(stage.log).to.deep.equal(['warn account nears its limit of tunnels']);
    must(await cloudflare.ensureTunnel(named('two.example.com'), running()));
    expect(stage.tunnels, 'a tunnel that is found is not counted twice').to.equal(801);
    must(
      await cloudflare.removeTunnel(
        { name: named('two.example.com').name, tunnel: two, force: false },
        running(),
      ),
    );
    expect(stage.tunnels).to.equal(800);
    expect(stage.counted().filter((call) => call.startsWith('tunnels.count'))).to.have.length(1);
  });

  it('that is used up is a refusal that says so and what to do, however Cloudflare words its own', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    fill(stage, 1_000);
    const refused = await cloudflare.ensureTunnel(named('app.example.com'), running());
    expect(!refused.ok && refused.fault.code).to.equal('quota-exceeded');
    expect(!refused.ok && refused.fault.message).to.match(
      /^the account has all the 1000 tunnels .*warp-ingress cleanup/,
    );
    const unknown = {
      status: 400,
      code: 1234,
      message: 'no',
      matches: (method: string) => method === 'POST',
    };
    api.faults.failNext({ count: 1, ...unknown });
    const again = await cloudflare.ensureTunnel(named('app.example.com'), running());
    expect(again, 'as a refusal for another reason would not be').to.have.nested.property(
      'fault.code',
      'quota-exceeded',
    );
    expect(stage.log).to.deep.equal(['error account has no tunnels left']);
    expect(stage.counted().filter((call) => call.startsWith('tunnels.count'))).to.have.length(1);
  });

  it('explains nothing while there are tunnels left', async () => {
    stage = await openStage();
    stage.api.faults.failNext({ count: 1, status: 400, code: 1234, message: 'no' });
    const refused = await stage.cloudflare.ensureTunnel(named('app.example.com'), running());
    expect(!refused.ok && refused.fault.code).to.equal('cloudflare-refused');
  });
});
