import { expect } from 'chai';
import fc from 'fast-check';
import type { Change } from '../../src/domain/change.ts';
import type { CloudflareView } from '../../src/domain/host-forecast.ts';
import type { IngressSpec } from '../../src/domain/ingress.ts';
import { type Overview, overviewOf } from '../../src/domain/overview.ts';
import { ok } from '../../src/fault.ts';
import { ActorHouse, ingress, present, service, slice, synced } from '../support/actor-house.ts';

const hosts = ['a.example.com', 'b.example.com', 'c.example.com'];
const failing = ['put', 'ensureTunnel', 'ensureDns', 'removeDns', 'removeTunnel'] as const;

interface Choice {
  readonly key: string;
  readonly named: readonly string[];
  readonly unreadable: readonly string[];
  readonly dns: 'managed' | 'off';
  readonly refused: boolean;
  readonly createdAtMs: number;
}

const choices: fc.Arbitrary<readonly Choice[]> = fc.uniqueArray(
  fc.record({
    key: fc.constantFrom('one', 'two', 'three'),
    named: fc.subarray(hosts),
    unreadable: fc.subarray(hosts),
    dns: fc.constantFrom('managed', 'managed', 'off'),
    refused: fc.boolean(),
    createdAtMs: fc.integer({ min: 1, max: 2 }),
  }),
  { maxLength: 3, selector: ({ key }) => key },
);

function specOf({ key, named, unreadable, dns, refused, createdAtMs }: Choice): IngressSpec {
  const spec = ingress(key, named, { refused, createdAtMs });
  return {
    ...spec,
    settings: { ...spec.settings, dns },
    unservable: unreadable.filter((host) => !named.includes(host)),
  };
}

/** Tunnels and records in one place: `tunnel name` → id, `record host` → tunnel id. */
function stateOf({ cloudflare }: ActorHouse): Map<string, string> {
  return new Map([
    ...Array.from(cloudflare.tunnels, ([name, id]) => [`tunnel ${name}`, id] as const),
    ...Array.from(cloudflare.records, ([host, id]) => [`CNAME ${host}`, id] as const),
  ]);
}

function foresee(house: ActorHouse, ingresses: readonly IngressSpec[]): Overview {
  const { tunnels, records } = house.cloudflare;
  const live = new Set(tunnels.values());
  const change = (action: Change['action'], name: string): Change[] => [
    { action, kind: 'CNAME', name, detail: '' },
  ];
  const view: Omit<CloudflareView, 'takeTunnel'> = {
    tunnelNamed: (name) => tunnels.get(name) ?? null,
    isLive: (id) => live.has(id),
    publication: ({ host, tunnelId }) => {
      const leads = records.get(host);
      return ok(leads === tunnelId ? [] : change(leads === undefined ? 'create' : 'change', host));
    },
    removal: ({ host, tunnelId }) => ok(records.get(host) === tunnelId ? change('delete', host) : []),
  };
  return overviewOf({
    identity: 'me',
    ingresses,
    foreign: [],
    backends: new Map(),
    cas: new Map(),
    ledger: [...house.ledger.entries.values()],
    cloudflare: view,
    tunnels: tunnels.size,
    maxTunnels: 1_000,
  });
}

async function live(house: ActorHouse, ingresses: readonly IngressSpec[]): Promise<void> {
  await house.tellLedger();
  await house.tell(service(), slice(), ...ingresses.map(present), synced);
  await house.pass(60_000);
}

function differences(before: Map<string, string>, after: Map<string, string>): string[] {
  return [
    ...[...after].flatMap(([name, id]) => {
      if (!before.has(name)) return [`create ${name}`];
      return before.get(name) === id ? [] : [`change ${name}`];
    }),
    ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `delete ${name}`),
  ].sort();
}

describe('what plan foresees', () => {
  it('is what the actors then do, whatever an interrupted life before has left', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(choices, fc.subarray([...failing]), choices, async (first, faults, second) => {
        const before = new ActorHouse();
        for (const operation of faults) {
          before.cloudflare.failNext(operation, 'cloudflare-refused');
          before.ledger.failNext(operation, 'kube-refused');
        }
        await before.tell(service(), slice(), ...first.map(specOf).map(present), synced);
        await before.stop();

        const specs = second.map(specOf);
        const was = stateOf(before);
        const overview = foresee(before, specs);
        const after = before.successor();
        await live(after, specs);
        const foreseen = overview.changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`);
        expect(foreseen.sort()).to.deep.equal(differences(was, stateOf(after)));
        expect(foresee(after, specs).changes, 'and then nothing').to.deep.equal([]);
        await after.stop();
      }),
      { numRuns: 1_000 },
    );
  });
});
