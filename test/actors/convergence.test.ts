import { expect } from 'chai';
import fc from 'fast-check';
import type { SupervisorMessage } from '../../src/actors/messages.ts';
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
  | { do: 'restart'; who: number }
  | HandOver;

type HandOver =
  | { do: 'lead'; who: number | null }
  /** Calls are held, and what is given up meanwhile has arrived. */
  | { do: 'cloudflare is slow' }
  | { do: 'cloudflare answers' };

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
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), who: fc.nat(1) }) },
);

const handOver: fc.Arbitrary<HandOver> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('lead' as const), who: fc.constantFrom(0, 1, null) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('cloudflare is slow' as const, 'cloudflare answers' as const),
    }),
  },
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

/** Controllers in one world, of which one leads or none. All hear of everything. */
class Replicas {
  readonly model = new Model();
  readonly houses: ActorHouse[];
  #release: (() => void) | null = null;

  constructor(count: number) {
    const first = new ActorHouse();
    this.houses = [first, ...Array.from({ length: count - 1 }, () => first.replica())];
    this.shared.cloudflare.givenUpArrives = true;
  }

  /** Of the world that they share. */
  get shared(): ActorHouse {
    return this.houses[0]!;
  }

  async each(act: (house: ActorHouse) => Promise<void> | void): Promise<void> {
    for (const house of this.houses) await act(house);
    for (const house of this.houses) await house.quiet();
  }

  tell(message: SupervisorMessage): Promise<void> {
    return this.each((house) => house.tell(message));
  }

  lead(who: number | null): Promise<void> {
    for (const house of this.houses) house.leadership.isLeading = false;
    if (who !== null) this.houses[who % this.houses.length]!.leadership.isLeading = true;
    return this.each(() => {});
  }

  hold(): void {
    this.#release ??= this.shared.cloudflare.hold();
  }

  async release(): Promise<void> {
    this.#release?.();
    this.#release = null;
    await this.each(() => {});
  }

  /** One that is alone leads again at once; else nobody does for the moment. */
  async restart(who: number): Promise<void> {
    const index = who % this.houses.length;
    const before = this.houses[index]!;
    const next = before.replica();
    const led = before.leadership.isLeading;
    before.leadership.isLeading = false;
    await before.stop();
    this.houses[index] = next;
    if (led && this.houses.length === 1) next.leadership.isLeading = true;
    await next.tellLedger();
    await next.tell(...this.model.messages(), synced);
    expect(before.trespasses, 'written while not leading').to.deep.equal([]);
  }

  async make(step: Move): Promise<void> {
    const { model, shared } = this;
    switch (step.do) {
      case 'put':
        return this.tell(present(model.put(step)));
      case 'delete':
        model.ingresses.delete(step.key);
        return this.tell(removed(step.key));
      case 'service':
        model.services.add(step.service);
        return this.tell(service(step.service));
      case 'no service':
        model.services.delete(step.service);
        return this.tell({ type: 'service.removed', name: step.service });
      case 'endpoint':
        model.endpoints.add(step.service);
        return this.tell(slice(`${step.service}-1`, step.service));
      case 'no endpoint':
        model.endpoints.delete(step.service);
        return this.tell({ type: 'slice.removed', name: `${step.service}-1` });
      case 'cloudflare fails':
        return shared.cloudflare.failNext(step.operation, 'cloudflare-unreachable');
      case 'ledger fails':
        return shared.ledger.failNext(step.operation, 'kube-unreachable');
      case 'crash':
        return this.each(({ runner }) => {
          const run = runner.of(step.host);
          if (run !== undefined) runner.end(run, { code: 'thread-exited', message: 'exited' });
        });
      case 'pass':
        await shared.pass(step.seconds * 1000);
        return this.each(() => {});
      case 'lead':
        return this.lead(step.who);
      case 'cloudflare is slow':
        return this.hold();
      case 'cloudflare answers':
        return this.release();
      case 'restart':
        return this.restart(step.who);
    }
  }
}

async function play(count: number, moves: readonly Move[]): Promise<void> {
  const replicas = new Replicas(count);
  const { model, shared } = replicas;
  await replicas.tell(synced);
  for (const step of moves) {
    const before = model.usable();
    for (const { runner } of replicas.houses) runner.closed.length = 0;
    await replicas.make(step);
    if (step.do === 'restart') continue;
    const stays = model.usable().filter((host) => before.includes(host));
    for (const { runner } of replicas.houses) {
      const gaps = runner.closed.filter((host) => stays.includes(host));
      expect(gaps, 'gaps').to.deep.equal([]);
    }
  }
  await replicas.release();
  if (!replicas.houses.some(({ leadership }) => leadership.isLeading)) await replicas.lead(count - 1);
  await replicas.make({ do: 'pass', seconds: 20 * 60 });

  const owned = model.owned();
  const names = [...owned.keys()].sort();
  const published = names.filter((host) => owned.get(host)!.settings.dns === 'managed');
  const usable = model.usable();
  expect([...shared.ledger.entries.keys()].sort(), 'ledger').to.deep.equal(names);
  expect([...shared.cloudflare.tunnels.keys()].sort(), 'tunnels').to.deep.equal(
    names.map((host) => `warp-me-${host}`),
  );
  expect([...shared.cloudflare.records.keys()].sort(), 'records').to.deep.equal(published);
  for (const host of names) {
    expect(shared.ledger.entries.get(host)!.ingress, 'owner').to.equal(owned.get(host)!.key);
  }
  for (const { runner, states, trespasses } of replicas.houses) {
    expect(runner.hosts(), 'running').to.deep.equal(usable);
    const expected = names.map((host) => `${host} ${usable.includes(host) ? 'up' : 'waiting'}`);
    expect(Array.from(states, ([host, state]) => `${host} ${state}`).sort(), 'states').to.deep.equal(
      expected,
    );
    expect(trespasses, 'written while not leading').to.deep.equal([]);
  }
  for (const house of replicas.houses) await house.stop();
}

describe('convergence', () => {
  it('whatever happened, the end is what the Ingresses say, also after restarts', async function () {
    this.timeout(60_000);
    const moves = fc.array(move, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(moves, (steps) => play(1, steps)),
      { numRuns: 150 },
    );
  });

  it('the same again after a restart at every point of what happens, and after one at each', async function () {
    this.timeout(60_000);
    const restart: Move = { do: 'restart', who: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 8 }), async (steps) => {
        for (let point = 0; point <= steps.length; point++) await play(1, steps.toSpliced(point, 0, restart));
        await play(
          1,
          steps.flatMap((step) => [step, restart]),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('the same with two replicas, whenever leadership is lost and gained', async function () {
    this.timeout(60_000);
    const moves = fc.array(fc.oneof({ weight: 4, arbitrary: move }, { weight: 1, arbitrary: handOver }), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(moves, (steps) => play(2, steps)),
      { numRuns: 150 },
    );
  });
});
