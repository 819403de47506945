import { expect } from 'chai';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';
import { keptLog } from '../support/kept-log.ts';

const host = 'app.example.com';

/** What failed for so long that its own retries have become rare. */
describe('a host whose world was away for minutes', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const serve = () => house.tell(service(), slice(), present(ingress('web', [host])), synced);

  it('goes on at once when Cloudflare is back that was away or wanted no calls, and then only', async () => {
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 8);
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-rate-limited');
    house.cloudflare.failNext('ensureTunnel', 'quota-exceeded');
    await serve();
    await house.pass(150_000);
    const tries = (): number => house.cloudflare.calls.length;
    expect(tries()).to.equal(8);
    for (const expected of [9, 10, 10]) {
      await house.tell({ type: 'cloudflare.returned' });
      expect(tries()).to.equal(expected);
    }
    await house.pass(300_000);
    expect(house.states.get(host)).to.equal('up');
  });

  it('goes on at once also when its step is heard to have failed only after Cloudflare’s return, and then as ever', async () => {
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 2);
    const open = house.cloudflare.hold();
    await serve();
    await house.tell({ type: 'cloudflare.returned' });
    open();
    await house.quiet();
    expect(house.cloudflare.calls).to.have.length(2);
    expect(house.states.get(host)).to.equal('failed');
    await house.pass(1_000);
    expect(house.states.get(host)).to.equal('up');
  });

  it('says of each cause once why it waits, whichever of them it meets next and in whatever words', async () => {
    const words = (attempt: number) => `no calls for another ${60 - attempt} s`;
    for (let round = 0; round < 6; round++) {
      house.cloudflare.failNext('ensureTunnel', 'cloudflare-rate-limited', 2, () => words(round));
      house.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 1, () => words(round));
    }
    await serve();
    await house.pass(3_600_000);
    expect(house.sink.take()).to.deep.equal(['web RateLimited', 'web CloudflareFailed', 'web TunnelReady']);
  });

  it('says again why it waits once something has succeeded in between', async () => {
    house.cloudflare.failNext('ensureTunnel', 'cloudflare-rate-limited');
    house.cloudflare.failNext('ensureDns', 'cloudflare-rate-limited');
    await serve();
    await house.pass(600_000);
    expect(house.sink.take()).to.deep.equal(['web RateLimited', 'web RateLimited', 'web TunnelReady']);
  });

  it('is a warning for each cause and one every five minutes, not for each attempt', async () => {
    const { log, lines } = keptLog();
    const other = new ActorHouse({ log });
    other.cloudflare.failNext('ensureTunnel', 'cloudflare-unreachable', 6);
    other.cloudflare.failNext('ensureTunnel', 'cloudflare-refused', 100);
    await other.tell(service(), slice(), present(ingress('web', [host])), synced);
    await other.pass(600_000);
    await other.stop();
    const failures = lines.filter(({ msg }) => msg === 'step failed');
    const warned = failures.filter(({ level }) => level === 'warn').map(({ code }) => code);
    expect(warned).to.deep.equal(['cloudflare-unreachable', 'cloudflare-refused', 'cloudflare-refused']);
    expect(failures.length, 'the rest for who wants to know').to.be.above(10);
  });

  it('is a warning for each cause and one every five minutes also where its status is refused', async () => {
    const { log, lines } = keptLog();
    const other = new ActorHouse({ log });
    other.sink.failNext('publish', 'kube-unreachable', 3);
    other.sink.failNext('publish', 'kube-forbidden', 100);
    await other.tell(service(), slice(), present(ingress('web', [host])), synced);
    await other.pass(600_000);
    await other.stop();
    const failures = lines.filter(({ msg }) => msg === 'status not written');
    const warned = failures.filter(({ level }) => level === 'warn').map(({ code }) => code);
    expect(warned).to.deep.equal(['kube-unreachable', 'kube-forbidden', 'kube-forbidden']);
    expect(failures.length, 'the rest for who wants to know').to.be.above(8);
  });

  it('is no more of a warning where the causes alternate', async () => {
    const { log, lines } = keptLog();
    const other = new ActorHouse({ log });
    for (let round = 0; round < 20; round++) {
      for (const code of ['cloudflare-unreachable', 'cloudflare-rate-limited'] as const)
        other.cloudflare.failNext('ensureDns', code);
      for (const code of ['kube-unreachable', 'kube-refused'] as const) other.sink.failNext('publish', code);
    }
    await other.tell(service(), slice(), present(ingress('web', [host])), synced);
    await other.pass(290_000);
    await other.stop();
    const warned = lines.filter(
      ({ level, msg }) => level === 'warn' && /^(step failed|status not)/.test(String(msg)),
    );
    expect(warned.map(({ code }) => code).sort()).to.deep.equal([
      'cloudflare-rate-limited',
      'cloudflare-unreachable',
      'kube-refused',
      'kube-unreachable',
    ]);
  });

  it('has its status written at once by who leads again, also when that had failed for long', async () => {
    house.sink.failNext('publish', 'kube-unreachable', 9);
    await serve();
    await house.pass(250_000);
    expect(house.sink.status.size).to.equal(0);
    house.leadership.isLeading = false;
    house.leadership.isLeading = true;
    await house.quiet();
    expect(house.sink.status.get('web')).to.have.length(1);
  });
});
