import { expect } from 'chai';
import { type CloudflareAdapter, createCloudflare } from '../../src/cloudflare/adapter.ts';
import { markContent, markName } from '../../src/cloudflare/owner-mark.ts';
import { tunnelHostname, tunnelName } from '../../src/domain/host.ts';
import { type CloudflareApi, startCloudflareApi } from '../../src/sandbox/cloudflare-api/server.ts';
import { systemClock } from '../../src/time/clock.ts';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';
import { eventually } from '../support/eventually.ts';

const identity = 'me';
const hostCount = 1_000;
const host = (index: number): string => `h${index}.example.com`;
const key = (index: number): string => `web-${index}`;
const settings = ingress('any', []).settings;

/**
 * The controller's actors and its real adapter over an imitation of Cloudflare's API, with as many hosts as an
 * account has tunnels, and no threads. Counted is what arrives at the API.
 */
describe('the API budget of a controller with 1,000 hosts', function () {
  this.timeout(60_000);
  let api: CloudflareApi;
  let cloudflare: CloudflareAdapter;
  let house: ActorHouse;

  /** What an earlier life has left: tunnels, records and a ledger of them all. */
  async function start(count: number): Promise<void> {
    api = await startCloudflareApi({ port: 0, zones: ['example.com'], maxTunnels: 2 * hostCount });
    const { accountId, token: apiToken, url } = api;
    const own = { accountId, apiToken, zoneId: null, apiUrl: null };
    const credentials = () => ({ ok: true, value: own }) as const;
    cloudflare = createCloudflare({ credentials, apiUrl: url, clock: systemClock });
    house = new ActorHouse({ cloudflare });
    const zone = api.zones.zones[0]!;
    const base = { proxied: false, ttl: 1, comment: null, tags: [] };
    for (let index = 0; index < count; index++) {
      const name = host(index);
      const named = tunnelName(identity, name);
      const { id, secret } = api.tunnels.create({ accountId, name: named, secret: null, configSrc: 'local' });
      const token = Buffer.from(JSON.stringify({ a: accountId, t: id, s: secret.toString('base64') }));
      const content = tunnelHostname(id);
      const cname = api.zones.put(zone, { ...base, type: 'CNAME', name, content, proxied: true });
      const mark = markContent({ owner: identity, host: name, record: cname.id });
      const txt = api.zones.put(zone, {
        ...base,
        type: 'TXT',
        name: markName(name, zone.name),
        content: mark,
      });
      await house.ledger.put({
        host: name,
        ingress: key(index),
        identity,
        tunnelName: named,
        tunnel: { accountId, id, token: token.toString('base64') },
        publishes: true,
        dns: { zoneId: zone.id, cnameId: cname.id, txtId: txt.id },
        resourceVersion: null,
      });
    }
    cloudflare.startCounting();
    await house.tellLedger();
    const specs = Array.from({ length: count }, (_, index) => present(ingress(key(index), [host(index)])));
    await house.tell(service(), slice(), ...specs, synced);
    await eventually('all tunnels run', () => house.runner.runs.length === count);
    await eventually('the account was counted', () => api.calls.length > 0);
  }

  /** Calls from a change until `done`, and for as long as more follow. */
  async function callsFor(change: () => void, what: string, done: () => boolean): Promise<string[]> {
    const before = api.calls.length;
    change();
    await eventually(what, () => (done() ? true : null));
    await house.quiet();
    return api.calls.slice(before).map(({ method, path }) => `${method} ${path}`);
  }

  const isPublished = (name: string): boolean => api.zones.tunnelForHost(name) !== null;

  afterEach(async () => {
    await house.stop();
    cloudflare.close();
    await api.stop();
  });

  it('unchanged at the start, and in the ten minutes after it, costs no more than 25 calls and no write', async () => {
    await start(hostCount);
    await house.pass(600_000);
    expect(api.calls.length).to.be.at.most(25);
    expect(api.calls.filter(({ method }) => method !== 'GET')).to.deep.equal([]);
    expect([...house.states.values()].every((state) => state === 'up')).to.equal(true);
  });

  describe('costs at most 6 calls for one host', () => {
    beforeEach(() => start(20));

    it('that is new', async () => {
      const change = () => house.tell(present(ingress('new', ['new.example.com'])));
      const calls = await callsFor(change, 'served', () => house.states.get('new.example.com') === 'up');
      expect(calls).to.have.length.within(3, 6);
      expect(isPublished('new.example.com')).to.equal(true);
    });

    it('that goes', async () => {
      const change = () => house.tell(removed(key(7)));
      const calls = await callsFor(change, 'forgotten', () => !house.ledger.entries.has(host(7)));
      expect(calls).to.have.length.within(2, 6);
      expect(isPublished(host(7))).to.equal(false);
    });

    it('whose records are handed over to its user', async () => {
      const change = () =>
        house.tell(present(ingress(key(7), [host(7)], { settings: { ...settings, dns: 'off' } })));
      const calls = await callsFor(
        change,
        'withdrawn',
        () => house.ledger.entries.get(host(7))?.dns === null,
      );
      expect(calls).to.have.length.within(2, 6);
      expect(isPublished(host(7))).to.equal(false);
    });

    it('whose tunnel somebody deleted', async () => {
      const { accountId } = api;
      const gone = house.ledger.entries.get(host(7))!.tunnel!.id;
      api.tunnels.delete(api.tunnels.get(accountId, gone)!);
      const run = house.runner.of(host(7))!;
      run.hear({ type: 'connections', registered: 0 });
      const refused = { code: 'edge-unauthorized', message: 'refused' } as const;
      const change = (): void => {
        for (let refusal = 0; refusal < 4; refusal++)
          run.hear({ type: 'lost', connIndex: 0, fault: refused });
      };
      const calls = await callsFor(change, 'led to the new tunnel', () => {
        const leads = api.zones.tunnelForHost(host(7));
        return leads !== gone && house.ledger.entries.get(host(7))?.dns != null;
      });
      expect(calls).to.have.length.within(2, 6);
    });

    it('and none for a change of its paths, its Service or its endpoints', async () => {
      const [rules] = ingress(key(7), [host(7)]).hosts;
      const paths = [...rules!.paths, { ...rules!.paths[0]!, path: '/more' }];
      const before = api.calls.length;
      await house.tell(present(ingress(key(7), [host(7)], { hosts: [{ host: host(7), paths }] })));
      await house.tell(service('web', 80, '10.0.0.9'), slice('web-2', 'web', ['10.1.0.2']));
      await eventually('followed', () => house.runner.of(host(7))?.routes.routes.length === 2);
      expect(api.calls.slice(before)).to.deep.equal([]);
    });
  });

  it('of which one changes its name costs what a new host and one that goes cost', async () => {
    await start(20);
    const change = async () => {
      await house.tell(present(ingress(key(7), ['renamed.example.com'])));
      // For so long the host might be on its way to another Ingress.
      await house.pass(5_000);
    };
    const calls = await callsFor(change, 'moved', () => !house.ledger.entries.has(host(7)));
    expect(calls).to.have.length.within(7, 12);
    expect(isPublished('renamed.example.com')).to.equal(true);
  });
});
