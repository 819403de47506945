import { expect } from 'chai';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';
import type { MemoryRun } from '../support/memory-ports.ts';

const host = 'app.example.com';
const name = `warp-me-${host}`;

describe('a tunnel that the edge refuses', () => {
  let house: ActorHouse;
  beforeEach(async () => {
    house = new ActorHouse();
    await house.tell(service(), slice(), present(ingress('web', [host])), synced);
  });
  afterEach(() => house.stop());

  it('makes a tunnel again that somebody deleted at Cloudflare, and serves on the new one', async () => {
    house.cloudflare.tunnels.clear();
    house.cloudflare.idSuffix = '-anew';
    const run = house.runner.of(host)!;
    run.hear({ type: 'connections', registered: 0 });
    const fault = { code: 'edge-unauthorized' as const, message: 'Unauthorized: Tunnel not found' };
    for (let refusal = 0; refusal < 8; refusal++) run.hear({ type: 'lost', connIndex: 0, fault });
    await house.quiet();
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(`id-of-${name}-anew`);
    expect(house.cloudflare.records.get(host)).to.equal(`id-of-${name}-anew`);
    expect(house.runner.runs.map(({ request }) => request.tunnel.id)).to.deep.equal([`id-of-${name}-anew`]);
    expect(house.states.get(host)).to.equal('up');
  });

  it('notices it, too, while some of its connections meet another obstacle between the refusals', async () => {
    house.cloudflare.tunnels.clear();
    house.cloudflare.idSuffix = '-anew';
    const run = house.runner.of(host)!;
    run.hear({ type: 'connections', registered: 0 });
    for (let round = 0; round < 4; round++) {
      run.hear({ type: 'lost', connIndex: 0, fault: { code: 'edge-unauthorized', message: 'Unauthorized' } });
      run.hear({ type: 'lost', connIndex: 1, fault: { code: 'edge-dial', message: 'no route to host' } });
    }
    await house.quiet();
    expect(house.ledger.entries.get(host)?.tunnel?.id).to.equal(`id-of-${name}-anew`);
  });

  const spoilt: [title: string, hear: (successor: MemoryRun) => void][] = [
    [
      'is no token',
      (run) =>
        house.runner.end(run, { code: 'credentials-invalid', message: 'the tunnel token is not base64' }),
    ],
    [
      'holds another secret, which only the edge can tell',
      (run) => {
        const fault = { code: 'edge-unauthorized' as const, message: 'Unauthorized: Invalid tunnel secret' };
        for (let refusal = 0; refusal < 4; refusal++) run.hear({ type: 'lost', connIndex: 0, fault });
      },
    ],
  ];
  for (const [title, hear] of spoilt) {
    it(`asks Cloudflare for the token again when what somebody put into the ledger ${title}, and serves meanwhile`, async () => {
      const [run] = house.runner.runs;
      const entry = house.ledger.entries.get(host)!;
      house.runner.autoRegister = false;
      await house.ledger.put({ ...entry, tunnel: { ...entry.tunnel!, token: 'spoilt' } });
      await house.quiet();
      hear(house.runner.runs.find(({ request }) => request.tunnel.token === 'spoilt')!);
      await house.quiet();
      expect(house.ledger.entries.get(host)?.tunnel?.token).to.equal('token');
      expect(house.runner.runs).to.deep.equal([run]);
      expect(house.runner.closed).to.deep.equal([]);
    });
  }

  it('goes on as it was while a refused tunnel cannot be verified', async () => {
    const run = house.runner.of(host)!;
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 100);
    run.hear({ type: 'connections', registered: 0 });
    const fault = { code: 'edge-unauthorized' as const, message: 'Unauthorized' };
    for (let refusal = 0; refusal < 4; refusal++) run.hear({ type: 'lost', connIndex: 0, fault });
    await house.pass(60_000);
    expect(house.runner.runs).to.deep.equal([run]);
    run.hear({ type: 'connections', registered: 4 });
    await house.quiet();
    expect(house.states.get(host)).to.equal('up');
  });
});
