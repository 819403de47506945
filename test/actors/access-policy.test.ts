import { expect } from 'chai';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';

const host = 'app.example.com';

describe('the Access policy of an Ingress', () => {
  it('is in the routes from the start, and follows an edit without a new tunnel', async () => {
    const house = new ActorHouse();
    const spec = ingress('web', [host]);
    const asking = (team: string) => {
      const access = { team, audience: ['a'] };
      return present({ ...spec, settings: { ...spec.settings, access } });
    };
    await house.tell(service(), slice(), asking('acme'), synced);
    expect(house.runner.of(host)?.request.routes.access).to.deep.equal({ team: 'acme', audience: ['a'] });
    await house.tell(asking('other'));
    expect(house.runner.of(host)?.routes.access?.team).to.equal('other');
    expect(house.runner.started).to.deep.equal([host]);
    await house.stop();
  });
});
