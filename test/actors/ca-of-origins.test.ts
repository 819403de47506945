import { expect } from 'chai';
import { defaultOriginSettings } from '../../src/domain/ingress.ts';
import { fault } from '../../src/fault.ts';
import {
  ActorHouse,
  ingress,
  present,
  removed,
  rule,
  service,
  slice,
  synced,
} from '../support/actor-house.ts';
import { plainSettings } from '../support/ingress-settings.ts';

const host = 'app.example.com';

function withCa(caSecret: string | null, mode: 'worker' | 'pod' = 'worker') {
  const origin = { ...defaultOriginSettings, protocol: 'https' as const, caSecret };
  return present(ingress('web', [host], { settings: { ...plainSettings, mode, origin } }));
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
    house.caSecrets.set('my-ca', 'PEM 1');
    await serve('my-ca');
    expect(met()).to.equal('PEM 1');
    expect(house.sink.take()).to.deep.equal(['web TunnelReady']);
  });

  it('is not asked for where no Secret is named', async () => {
    await serve(null);
    expect(met()).to.equal(null);
    expect([...house.caSecrets.followed]).to.be.empty;
  });

  it('is waited for with the tunnel open and 503, one Event, and used once it is there', async () => {
    await serve('my-ca');
    expect(met()).to.equal(503);
    await house.pass(30_000);
    expect(house.sink.take().sort()).to.deep.equal(['web InvalidIngress', 'web TunnelReady']);
    house.caSecrets.set('my-ca', 'PEM 1');
    await house.quiet();
    expect(met()).to.equal('PEM 1');
  });

  it('is waited for without a tunnel, and without a gap of 503, until it was looked for', async () => {
    house.caSecrets.silent = true;
    await serve('my-ca');
    expect(met()).to.equal('no tunnel');
    expect(house.states.get(host)).to.equal('provisioning');
    house.caSecrets.silent = false;
    house.caSecrets.set('my-ca', 'PEM 1');
    await house.quiet();
    expect(met()).to.equal('PEM 1');
  });

  it('is renewed as soon as it is another one, in the tunnel that runs', async () => {
    house.caSecrets.set('my-ca', 'PEM 1');
    await serve('my-ca');
    house.caSecrets.set('my-ca', 'PEM 2');
    await house.quiet();
    expect(met()).to.equal('PEM 2');
    expect(house.runner.started).to.deep.equal([host]);
  });

  it('stays while its Secret cannot be read, and that is said', async () => {
    house.caSecrets.set('my-ca', 'PEM 1');
    await serve('my-ca');
    house.sink.take();
    house.caSecrets.set('my-ca', null);
    await house.quiet();
    expect(met()).to.equal('PEM 1');
    expect(house.sink.take()).to.deep.equal(['web InvalidIngress']);
  });

  it('leaves pods of an earlier process as they are while nobody can say what it is, and them alone', async () => {
    house.caSecrets.failure = fault('kube-unreachable', 'away');
    await house.tell(service(), slice(), withCa('my-ca', 'pod'), synced);
    expect(met()).to.equal('no tunnel');
    expect(house.runner.cleared, 'what another process has left').to.be.empty;
    expect(house.sink.take()).to.deep.equal(['web InvalidIngress']);
    house.caSecrets.failure = null;
    house.caSecrets.set('my-ca', 'PEM 1');
    await house.quiet();
    expect(met()).to.equal('PEM 1');
    house.caSecrets.failure = fault('kube-forbidden', 'not yet');
    await house.tell(withCa('other', 'pod'));
    expect(met(), 'while another one is not known').to.equal('PEM 1');
    house.caSecrets.failure = null;
    house.caSecrets.set('other', null);
    await house.quiet();
    expect(met(), 'once it is known that there is none').to.equal(503);
  });

  it('keeps no thread from beginning with what it can serve while nobody can say what it is', async () => {
    house.caSecrets.failure = fault('kube-unreachable', 'away');
    await serve('my-ca');
    expect(met()).to.equal(503);
  });

  it('that was read before keeps pods from no other change', async () => {
    house.caSecrets.set('my-ca', 'PEM 1');
    await house.tell(service(), slice(), withCa('my-ca', 'pod'), synced);
    house.caSecrets.failure = fault('kube-unreachable', 'away');
    house.caSecrets.set('my-ca', 'PEM 2');
    await house.quiet();
    await house.tell(service('web', 80, '10.0.0.2'));
    expect(met()).to.equal('PEM 1');
    const target = house.runner.of(host)!.routes.routes[0]!.target;
    expect(target).to.have.nested.property('origin.addresses[0].host', '10.0.0.2');
  });

  it('follows the annotation to another Secret at once, and away from it', async () => {
    house.caSecrets.set('my-ca', 'PEM 1');
    house.caSecrets.set('other', 'PEM 2');
    await serve('my-ca');
    await house.tell(withCa('other'));
    expect(met()).to.equal('PEM 2');
    await house.tell(withCa('missing'));
    expect(met(), 'no CA of another Secret').to.equal(503);
    await house.tell(withCa(null));
    expect(met()).to.equal(null);
  });

  it('is that of the Ingress that each path comes from', async () => {
    house.caSecrets.set('a', 'PEM a');
    house.caSecrets.set('b', 'PEM b');
    const origin = { ...defaultOriginSettings, protocol: 'https' as const, caSecret: 'b' };
    const hosts = [{ host, paths: [{ ...rule(), path: '/b' }] }];
    const other = ingress('other', [host], {
      createdAtMs: 2,
      hosts,
      settings: { ...plainSettings, origin },
    });
    await house.tell(service(), slice(), withCa('a'), present(other), synced);
    const routes = () =>
      house.runner
        .of(host)
        ?.routes.routes.map(({ path, target }) => [
          path,
          target.kind === 'origin' ? target.origin.ca : target.status,
        ]);
    expect(routes()).to.deep.equal([
      ['/b', 'PEM b'],
      ['/', 'PEM a'],
    ]);
    house.caSecrets.set('b', 'PEM b2');
    await house.quiet();
    expect(routes(), 'of the Ingress in whose tunnel the path is').to.deep.equal([
      ['/b', 'PEM b2'],
      ['/', 'PEM a'],
    ]);
  });

  it('is followed while an Ingress names it, for all that do', async () => {
    const origin = { ...defaultOriginSettings, protocol: 'https' as const, caSecret: 'a' };
    const other = ingress('other', ['other.example.com'], { settings: { ...plainSettings, origin } });
    house.caSecrets.set('a', 'PEM a');
    await house.tell(service(), slice(), withCa('a'), present(other), synced);
    await house.tell(withCa('b'));
    expect([...house.caSecrets.followed].sort()).to.deep.equal(['a', 'b']);
    await house.tell(removed('other'));
    expect([...house.caSecrets.followed]).to.deep.equal(['b']);
    await house.tell(removed('web'));
    expect([...house.caSecrets.followed]).to.be.empty;
  });
});
