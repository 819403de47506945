import { expect } from 'chai';
import { type CloudflareAdapter, createCloudflare } from '../../src/cloudflare/adapter.ts';
import { type CloudflareApi, startCloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import { systemClock } from '../../src/time/clock.ts';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';
import { eventually } from '../support/eventually.ts';

const hosts = Array.from({ length: 30 }, (_, index) => `h${index}.example.com`);

/**
 * The controller's actors and its real adapter over an imitation of Cloudflare's API that is away for a while. The
 * actors' own clock stands still after the outage, so that no retry of theirs can bring about what is expected.
 */
describe('hosts that came while Cloudflare’s API was away', () => {
  let api: CloudflareApi;
  let cloudflare: CloudflareAdapter;
  let house: ActorHouse;

  beforeEach(async () => {
    api = await startCloudflareApi({ port: 0, zones: ['example.com'] });
    const { accountId, token: apiToken, url } = api;
    const own = { accountId, apiToken, zoneId: null, apiUrl: null };
    cloudflare = createCloudflare({
      credentials: () => ({ ok: true, value: own }),
      apiUrl: url,
      clock: systemClock,
      random: () => 0,
      returned: () => void house.tell({ type: 'cloudflare.returned' }),
    });
    house = new ActorHouse({ cloudflare });
    await house.tell(service(), slice(), present(ingress('old', ['old.example.com'])), synced);
    await eventually('the first serves', () => house.states.get('old.example.com') === 'up');
  });

  afterEach(async () => {
    await house.stop();
    cloudflare.close();
    await api.stop();
  });

  const breaks = {
    'not to be reached': () => {
      api.faults.outage = true;
    },
    throttled: () => api.faults.failNext({ status: 429, retryAfterSeconds: 1, count: 1_000_000 }),
    'broken inside': () => api.faults.failNext({ status: 500, count: 1_000_000 }),
  };
  for (const [how, begin] of Object.entries(breaks)) {
    it(`serve as soon as it is back, and go as well; meanwhile it is asked by one, not by all: ${how}`, async () => {
      begin();
      const before = api.calls.length;
      const specs = hosts.map((host, index) => present(ingress(`web-${index}`, [host])));
      await house.tell(removed('old'), ...specs);
      const haveFailed = () => hosts.every((host) => house.states.get(host) === 'failed');
      await eventually('all have failed', haveFailed);
      // Minutes of it, as far as hosts are concerned: whoever tries does so in vain.
      for (let minute = 0; minute < 3; minute++) await house.pass(60_000);
      expect(haveFailed()).to.equal(true);
      expect(api.calls.length - before, 'calls').to.be.below(50);
      api.faults.clear();
      await eventually('all serve', () => hosts.every((host) => house.states.get(host) === 'up'));
      await eventually('the old one is gone', () => !house.ledger.entries.has('old.example.com'));
    });
  }
});
