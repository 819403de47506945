import { expect } from 'chai';
import type { Cloudflare } from '../../src/actors/ports.ts';
import { type CloudflareAdapter, createCloudflare } from '../../src/cloudflare/adapter.ts';
import { type CloudflareApi, startCloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';
import { settle } from '../support/manual-clock.ts';

const hosts = Array.from({ length: 10 }, (_, index) => `h${index}.example.com`);
const hourMs = 3_600_000;
/** So short that a call, which takes no time on this clock, never meets its limit. */
const stepMs = 10_000;

/**
 * The controller's actors and its real adapter over an imitation of Cloudflare's API, its limit of calls included, all of
 * them on one clock that is driven: whatever they do from time to time is done as often as in a day, and counted.
 */
describe('a day in which nothing happens', function () {
  this.timeout(60_000);
  const realFetch = globalThis.fetch;
  let api: CloudflareApi;
  let adapter: CloudflareAdapter;
  let house: ActorHouse;
  let sent = 0;
  let done = 0;

  beforeEach(async () => {
    [sent, done] = [0, 0];
    globalThis.fetch = (...given) => {
      sent += 1;
      return realFetch(...given);
    };
    const cloudflare: Cloudflare = {
      ensureTunnel: (request, signal) => adapter.ensureTunnel(request, signal),
      removeTunnel: (removal, signal) => adapter.removeTunnel(removal, signal),
      ensureDns: (request, signal) => adapter.ensureDns(request, signal),
      removeDns: (removal, signal) => adapter.removeDns(removal, signal),
    };
    house = new ActorHouse({ cloudflare, random: Math.random });
    const now = (): number => house.clock.now();
    api = await startCloudflareApi({ port: 0, zones: ['example.com'], now });
    const { accountId, token: apiToken, url } = api;
    const own = { accountId, apiToken, zoneId: null, apiUrl: null };
    adapter = createCloudflare({
      credentials: () => ({ ok: true, value: own }),
      apiUrl: url,
      clock: house.clock,
      hooks: { called: () => void done++, tunnelsCounted() {} },
    });
  });

  afterEach(async () => {
    globalThis.fetch = realFetch;
    await house.stop();
    adapter.close();
    await api.stop();
  });

  /** Time passes only while no call is under way. */
  async function pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await house.clock.advance(stepMs);
      await settle();
      while (done < sent) await settle();
    }
  }

  it('costs eight calls to Cloudflare for each host and one an hour for all, none of them a write', async () => {
    const specs = hosts.map((host, index) => present(ingress(`web-${index}`, [host])));
    await house.tell(service(), slice(), ...specs, synced);
    adapter.startCounting();
    await pass(60_000);
    expect(hosts.every((host) => house.states.get(host) === 'up')).to.equal(true);
    const before = api.calls.length;
    await pass(24 * hourMs);
    const calls = api.calls.slice(before);
    expect(calls.filter(({ method }) => method !== 'GET')).to.deep.equal([]);
    const looks = calls.filter(({ path }) => path.includes('/dns_records/')).length;
    // Two each six hours, give or take a half.
    expect(looks / hosts.length).to.be.within(6, 11);
    expect(calls.length - looks).to.be.within(23, 25);
  });
});
