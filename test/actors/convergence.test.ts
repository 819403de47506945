import { expect } from 'chai';
import fc from 'fast-check';
import type { IngressSpec } from '../../src/domain/ingress.ts';
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

const hosts = ['a.example.com', 'b.example.com', 'c.example.com'] as const;
const keys = ['one', 'two', 'three'] as const;
const services = ['web', 'api'] as const;

type Move =
  | { do: 'put'; key: (typeof keys)[number]; hosts: string[]; service: string; dns: 'managed' | 'off' }
  | { do: 'delete'; key: (typeof keys)[number] }
  | { do: 'service' | 'no service' | 'endpoint' | 'no endpoint'; service: string }
  | { do: 'cloudflare fails'; operation: string }
  | { do: 'ledger fails'; operation: string }
  | { do: 'crash'; host: string }
  | { do: 'pass'; seconds: number }
  | { do: 'restart' };

const someService = fc.constantFrom(...services);
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key: fc.constantFrom(...keys),
      hosts: fc.uniqueArray(fc.constantFrom(...hosts), { minLength: 1, maxLength: 2 }),
      service: someService,
      dns: fc.constantFrom('managed' as const, 'off' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key: fc.constantFrom(...keys) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'service' as const,
        'no service' as const,
        'endpoint' as const,
        'no endpoint' as const,
      ),
      service: someService,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('cloudflare fails' as const),
      operation: fc.constantFrom('ensureTunnel', 'removeTunnel', 'ensureDns', 'removeDns'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('ledger fails' as const),
      operation: fc.constantFrom('put', 'remove'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), host: fc.constantFrom(...hosts) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

/** The slow, obvious model: what the world holds, and what must follow from it. */
class Model {
  readonly ingresses = new Map<string, IngressSpec & { readonly of: string }>();
  readonly services = new Set<string>();
  readonly endpoints = new Set<string>();
  #age = 0;

  put(move: Extract<Move, { do: 'put' }>): IngressSpec {
    const before = this.ingresses.get(move.key);
    const createdAtMs = before?.createdAtMs ?? ++this.#age;
    const spec = ingress(move.key, [], { createdAtMs, uid: `uid-${createdAtMs}` });
    const full = {
      ...spec,
      hosts: move.hosts.map((host) => ({ host, paths: [rule(move.service)] })),
      settings: { ...spec.settings, dns: move.dns },
      of: move.service,
    };
    this.ingresses.set(move.key, full);
    return full;
  }

  /** host → its owner. */
  owned(): Map<string, IngressSpec & { readonly of: string }> {
    const owners = new Map<string, IngressSpec & { readonly of: string }>();
    const byAge = [...this.ingresses.values()].sort((a, b) => b.createdAtMs - a.createdAtMs);
    for (const spec of byAge) for (const { host } of spec.hosts) owners.set(host, spec);
    return owners;
  }

  /** The hosts that can be served, in order. */
  usable(): string[] {
    return [...this.owned()]
      .filter(([, { of }]) => this.services.has(of) && this.endpoints.has(of))
      .map(([host]) => host)
      .sort();
  }

  messages() {
    return [
      ...[...this.services].map((name) => service(name)),
      ...[...this.endpoints].map((name) => slice(`${name}-1`, name)),
      ...[...this.ingresses.values()].map(present),
    ];
  }
}

async function play(moves: readonly Move[]): Promise<void> {
  const model = new Model();
  let house = new ActorHouse();
  await house.tell(synced);
  for (const step of moves) {
    const before = model.usable();
    house.runner.closed.length = 0;
    switch (step.do) {
      case 'put':
        await house.tell(present(model.put(step)));
        break;
      case 'delete':
        model.ingresses.delete(step.key);
        await house.tell(removed(step.key));
        break;
      case 'service':
        model.services.add(step.service);
        await house.tell(service(step.service));
        break;
      case 'no service':
        model.services.delete(step.service);
        await house.tell({ type: 'service.removed', name: step.service });
        break;
      case 'endpoint':
        model.endpoints.add(step.service);
        await house.tell(slice(`${step.service}-1`, step.service));
        break;
      case 'no endpoint':
        model.endpoints.delete(step.service);
        await house.tell({ type: 'slice.removed', name: `${step.service}-1` });
        break;
      case 'cloudflare fails':
        house.cloudflare.failNext(step.operation, 'cloudflare-unreachable');
        break;
      case 'ledger fails':
        house.ledger.failNext(step.operation, 'kube-unreachable');
        break;
      case 'crash': {
        const run = house.runner.of(step.host);
        if (run !== undefined) house.runner.end(run, { code: 'thread-exited', message: 'exited' });
        await house.quiet();
        break;
      }
      case 'pass':
        await house.pass(step.seconds * 1000);
        break;
      case 'restart': {
        const next = house.successor();
        await house.stop();
        house = next;
        await house.tellLedger();
        await house.tell(...model.messages(), synced);
        continue;
      }
    }
    const stays = model.usable().filter((host) => before.includes(host));
    expect(
      house.runner.closed.filter((host) => stays.includes(host)),
      'gaps',
    ).to.deep.equal([]);
  }
  await house.pass(20 * 60_000);

  const owned = model.owned();
  const names = [...owned.keys()].sort();
  const published = names.filter((host) => owned.get(host)!.settings.dns === 'managed');
  const usable = model.usable();
  expect([...house.ledger.entries.keys()].sort(), 'ledger').to.deep.equal(names);
  expect([...house.cloudflare.tunnels.keys()].sort(), 'tunnels').to.deep.equal(
    names.map((host) => `warp-me-${host}`),
  );
  expect([...house.cloudflare.records.keys()].sort(), 'records').to.deep.equal(published);
  expect(house.runner.hosts(), 'running').to.deep.equal(usable);
  for (const host of names) {
    expect(house.ledger.entries.get(host)!.ingress, 'owner').to.equal(owned.get(host)!.key);
    expect(house.states.get(host), 'state').to.equal(usable.includes(host) ? 'up' : 'waiting');
  }
  await house.stop();
}

describe('convergence', () => {
  it('whatever happened, the end is what the Ingresses say, also after restarts', async function () {
    this.timeout(60_000);
    await fc.assert(fc.asyncProperty(fc.array(move, { maxLength: 25 }), play), { numRuns: 150 });
  });
});
