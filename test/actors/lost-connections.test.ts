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
    const lose = async (code: 'edge-lost' | 'edge-timeout'): Promise<void> => {
      for (const connIndex of [0, 1]) run.hear({ type: 'lost', connIndex, fault: fault(code, 'why') });
      await house.quiet();
    };
    run.hear({ type: 'connections', registered: 0 });
    await lose('edge-lost');
    for (let attempt = 0; attempt < 40; attempt++) {
      await lose('edge-timeout');
      await house.pass(10_000);
    }
    run.hear({ type: 'connections', registered: 2 });
    await lose('edge-timeout');
    await house.stop();
    const lost = lines.filter(({ msg }) => msg === 'edge connection lost');
    const warned = lost.filter(({ level }) => level === 'warn');
    const one = ['edge-lost', 'edge-timeout', 'edge-timeout', 'edge-timeout'];
    for (const connIndex of [0, 1]) {
      const codes = warned.filter(({ connIndex: of }) => of === connIndex).map(({ code }) => code);
      expect(codes).to.deep.equal(one);
    }
    expect(lost, 'the rest for who wants to know').to.have.length(2 * 42);
  });
});
