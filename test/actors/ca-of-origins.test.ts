import { expect } from 'chai';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import { ActorHouse, ingress, present, rule, service, slice, synced } from '../support/actor-house.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const host = 'app.example.com';

function withCa(caSecret: string | null) {
  const origin = { ...defaultOriginSettings, protocol: 'https' as const, caSecret };
  return present(ingress('web', [host], { settings: { ...plainSettings, origin } }));
}

describe('the CA of origins', () => {
  let house: ActorHouse;
  beforeEach(() => {
    house = new ActorHouse();
  });
  afterEach(() => house.stop());

  const serve = (caSecret: string | null) => house.tell(service(), slice(), withCa(caSecret), synced);

  /** What requests of the host meet now: the CA they are checked with, or a status. */
  function met(): string | number | null {
    const target = house.runner.of(host)?.routes.routes[0]?.target;
    if (target === undefined) return 'no tunnel';
    return target.kind === 'status' ? target.status : target.origin.ca;
  }

  it('reaches the routes from the Secret that the Ingress names', async () => {
    house.secrets.cas.set('my-ca', 'PEM 1');
    await serve('my-ca');
    expect(met()).to.equal('PEM 1');
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('is not asked for where no Secret is named', async () => {
    await serve(null);
    expect(met()).to.equal(null);
    expect(house.secrets.reads).to.equal(0);
  });

  it('is waited for with the tunnel open and 503, one Event, and used once it is there', async () => {
    await serve('my-ca');
    expect(met()).to.equal(503);
    await house.pass(30_000);
    expect(house.sink.take().sort()).to.deep.equal(['web InvalidIngress', 'web TunnelReady']);
    house.secrets.cas.set('my-ca', 'PEM 1');
    await house.pass(60_000);
    expect(met()).to.equal('PEM 1');
  });

  it('is renewed within six minutes of its rotation', async () => {
    house.secrets.cas.set('my-ca', 'PEM 1');
    await serve('my-ca');
    house.secrets.cas.set('my-ca', 'PEM 2');
    await house.pass(6 * 60_000);
    expect(met()).to.equal('PEM 2');
    expect(house.runner.started).to.deep.equal([host]);
  });

  it('stays while its Secret cannot be read, and that is said', async () => {
    house.secrets.cas.set('my-ca', 'PEM 1');
    await serve('my-ca');
    house.sink.take();
    house.secrets.cas.delete('my-ca');
    await house.pass(20 * 60_000);
    expect(met()).to.equal('PEM 1');
    expect(house.sink.take()).to.deep.equal(['web InvalidIngress']);
  });

  it('follows the annotation to another Secret at once, and away from it', async () => {
    house.secrets.cas.set('my-ca', 'PEM 1').set('other', 'PEM 2');
    await serve('my-ca');
    await house.tell(withCa('other'));
    expect(met()).to.equal('PEM 2');
    await house.tell(withCa('missing'));
    expect(met(), 'no CA of another Secret').to.equal(503);
    await house.tell(withCa(null));
    expect(met()).to.equal(null);
  });

  it('is that of the Ingress that each path comes from', async () => {
    house.secrets.cas.set('a', 'PEM a').set('b', 'PEM b');
    const origin = { ...defaultOriginSettings, protocol: 'https' as const, caSecret: 'b' };
    const hosts = [{ host, paths: [{ ...rule(), path: '/b' }] }];
    const other = ingress('other', [host], {
      createdAtMs: 2,
      hosts,
      settings: { ...plainSettings, origin },
    });
    await house.tell(service(), slice(), withCa('a'), present(other), synced);
    const routes = house.runner
      .of(host)
      ?.routes.routes.map(({ path, target }) => [
        path,
        target.kind === 'origin' ? target.origin.ca : target.status,
      ]);
    expect(routes).to.deep.equal([
      ['/b', 'PEM b'],
      ['/', 'PEM a'],
    ]);
  });

  it('is asked for once at a time, however often the name changes', async () => {
    house.secrets.cas.set('a', 'PEM a').set('b', 'PEM b');
    await house.tell(service(), slice(), synced, withCa('a'), withCa('b'), withCa('a'));
    const { reads } = house.secrets;
    await house.pass(6 * 60_000);
    expect(house.secrets.reads - reads).to.equal(1);
  });
});
