import { expect } from 'chai';
import { fault } from '../../src/fault.ts';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';
import { keptLog } from '../support/kept-log.ts';

describe('connections that are lost', () => {
  it('are warned of once for each cause, and of a long outage now and then, not with each attempt', async () => {
    const { log, lines } = keptLog();
    const house = new ActorHouse({ log });
    await house.tell(service(), slice(), present(ingress('web', ['app.example.com'])), synced);
    const run = house.runner.of('app.example.com')!;
    const lose = async (code: 'edge-lost' | 'edge-timeout' | 'edge-dial'): Promise<void> => {
      run.hear({ type: 'lost', connIndex: 1, fault: fault(code, 'why') });
      await house.pass(1_000);
    };
    run.hear({ type: 'connections', registered: 0 });
    await lose('edge-lost');
    for (let attempt = 0; attempt < 40; attempt++) {
      await lose(attempt % 2 === 0 ? 'edge-timeout' : 'edge-dial');
      await house.pass(9_000);
    }
    run.hear({ type: 'connections', registered: 2 });
    await lose('edge-timeout');
    await house.stop();
    const lost = lines.filter(({ msg }) => msg === 'edge connection lost');
    const warned = lost.filter(({ level }) => level === 'warn').map(({ code }) => code);
    expect(warned).to.deep.equal([
      'edge-lost',
      'edge-timeout',
      'edge-dial',
      'edge-timeout',
      'edge-dial',
      'edge-timeout',
    ]);
    expect(lost, 'the rest for who wants to know').to.have.length(42);
  });

  it('at about the same time are one line for each cause, those of a thread none beside its own', async () => {
    const { log, lines } = keptLog();
    const house = new ActorHouse({ log });
    const hosts = Array.from({ length: 50 }, (_, index) => `h${index}.example.com`);
    await house.tell(service(), slice(), present(ingress('web', hosts)), synced);
    const lose = (host: string, connIndex: number, code: 'edge-lost' | 'edge-timeout' | 'thread-exited') =>
      house.runner.of(host)!.hear({ type: 'lost', connIndex, fault: fault(code, 'why') });
    for (const host of hosts) for (const connIndex of [0, 1]) lose(host, connIndex, 'edge-lost');
    for (const connIndex of [2, 3]) lose(hosts[0]!, connIndex, 'edge-timeout');
    lose(hosts[1]!, 2, 'thread-exited');
    await house.pass(1_000);
    await house.stop();
    const warned = lines.filter(({ level, msg }) => level === 'warn' && String(msg).includes('lost'));
    expect(
      warned.map(({ msg, code, host, tunnels, connections }) => [msg, code, host ?? tunnels, connections]),
    ).to.deep.equal([
      ['edge connections lost', 'edge-lost', 50, 100],
      ['edge connections lost', 'edge-timeout', hosts[0], 2],
    ]);
  });

  it('just before the end are told of as well', async () => {
    const { log, lines } = keptLog();
    const house = new ActorHouse({ log });
    await house.tell(service(), slice(), present(ingress('web', ['app.example.com'])), synced);
    house.runner
      .of('app.example.com')!
      .hear({ type: 'lost', connIndex: 1, fault: fault('edge-lost', 'why') });
    await house.quiet();
    await house.stop();
    expect(lines.filter(({ msg }) => msg === 'edge connection lost')).to.have.length(1);
  });
});
