import { expect } from 'chai';
import fc from 'fast-check';
import type { Cloudflare } from '../../src/actors/ports.ts';
import { callTimeoutMs } from '../../src/cloudflare/client.ts';
import { markName, parseMark } from '../../src/cloudflare/owner-mark.ts';
import type { IngressSpec } from '../../src/domain/ingress.ts';
import type { DnsRecord, Zone } from '../../src/sandbox/cloudflare-api/zone-store.ts';
import type { Clock } from '../../src/time/clock.ts';
import { openStage, type Stage } from '../adapters/cloudflare/stage.ts';
import { ActorHouse, ingress, present, removed, service, slice, synced } from '../support/actor-house.ts';
import { settle } from '../support/manual-clock.ts';

/**
 * The actors over the real adapter and an imitation of Cloudflare's API: whatever users, strangers and failures did,
 * and wherever the controller was restarted, what is there in the end is what an obvious model says.
 */
const zoneName = 'example.com';
const hosts = [zoneName, `*.${zoneName}`, `app.${zoneName}`] as const;
const keys = ['one', 'two', 'three'] as const;

type Host = (typeof hosts)[number];
type Move =
  | { do: 'put'; key: string; hosts: Host[]; dns: 'managed' | 'off'; cutAfter: number | null }
  | { do: 'delete'; key: string; cutAfter: number | null }
  | { do: 'stranger comes' | 'stranger goes'; host: Host; type: 'A' | 'CNAME' }
  | { do: 'lose tunnel' | 'lose record' | 'lose mark' | 'lose record to stranger'; host: Host }
  | { do: 'api fails' | 'answer is lost'; method: 'GET' | 'POST' | 'DELETE'; count: number }
  | { do: 'ledger fails'; operation: 'put' | 'remove' }
  /** So many turns after `deleted`, if any, is deleted; and the process lives on until it has dealt with that. */
  | { do: 'lose ledger'; host: Host; deleted: string | null; turns: number }
  | { do: 'pass'; minutes: number }
  | { do: 'restart' };

const host = fc.constantFrom(...hosts);
const key = fc.constantFrom(...keys);
/** The process ends so many turns of the loop after it heard of the change, in the middle of its work. */
const cutAfter = fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(60));
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key,
      hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
      dns: fc.constantFrom('managed' as const, 'managed' as const, 'off' as const),
      cutAfter,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key, cutAfter }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('stranger comes' as const, 'stranger goes' as const),
      host,
      type: fc.constantFrom('A' as const, 'CNAME' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'lose tunnel' as const,
        'lose record' as const,
        'lose mark' as const,
        'lose record to stranger' as const,
      ),
      host,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('api fails' as const, 'answer is lost' as const),
      method: fc.constantFrom('GET' as const, 'POST' as const, 'DELETE' as const),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  fc.record({ do: fc.constant('ledger fails' as const), operation: fc.constantFrom('put', 'remove') }),
  fc.record({
    do: fc.constant('lose ledger' as const),
    host,
    deleted: fc.option(key),
    turns: fc.nat(60),
  }),
  fc.record({ do: fc.constant('pass' as const), minutes: fc.constantFrom(1, 10, 7 * 60) }),
  fc.record({ do: fc.constant('restart' as const) }),
);

/** Only the ledger knew that the record is ours when its mark and its tunnel were gone. */
const withoutMark: Move[] = [
  { do: 'put', key: 'one', hosts: [zoneName], dns: 'managed', cutAfter: null },
  { do: 'lose mark', host: zoneName },
  { do: 'lose tunnel', host: zoneName },
];

/** Nothing is waited for, and no call takes so long that it is given up. */
const hurried: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, fire) => {
    if (ms === callTimeoutMs) return { cancel() {} };
    const timer = setImmediate(fire);
    return { cancel: () => clearImmediate(timer) };
  },
};

class History {
  readonly #stage: Stage;
  readonly #zone: Zone;
  readonly #ingresses = new Map<string, IngressSpec>();
  readonly #strangers = new Map<string, DnsRecord>();
  readonly #foreign: readonly DnsRecord[];
  readonly #ledger: ActorHouse['ledger'];
  #house: ActorHouse;
  #inFlight = 0;
  #age = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#zone = stage.api.zones.zones[0]!;
    const { tunnels, accountId } = stage.api;
    for (const tunnel of tunnels.live(accountId)) tunnels.delete(tunnel);
    for (const name of ['warp-you-app.example.com', 'warp-me-app.example.com.old', 'by-hand']) {
      tunnels.create({ accountId, name, secret: null, configSrc: 'local' });
    }
    this.#zone.records.clear();
    this.#foreign = [
      this.#put('NS', zoneName, 'ns.example.net'),
      this.#put('TXT', zoneName, '"v=spf1 -all"'),
      this.#put('A', `www.${zoneName}`, '192.0.2.9'),
    ];
    stage.restart();
    this.#house = new ActorHouse({ cloudflare: this.#counted() });
    this.#ledger = this.#house.ledger;
  }

  async begin(): Promise<void> {
    for (const message of [service(), slice()]) await this.#house.tell(message);
    const entries = [...this.#ledger.entries.values()];
    for (const entry of entries) await this.#house.tell({ type: 'ledger.present', entry });
    for (const spec of this.#ingresses.values()) await this.#house.tell(present(spec));
    await this.#house.tell(synced);
    await this.#quiet();
  }

  async make(step: Move): Promise<void> {
    const { faults } = this.#stage.api;
    switch (step.do) {
      case 'put': {
        const createdAtMs = this.#ingresses.get(step.key)?.createdAtMs ?? ++this.#age;
        const spec = ingress(step.key, step.hosts, { createdAtMs, uid: `uid-${createdAtMs}` });
        const full = { ...spec, settings: { ...spec.settings, dns: step.dns } };
        this.#ingresses.set(step.key, full);
        return this.#tell(present(full), step.cutAfter);
      }
      case 'delete':
        this.#ingresses.delete(step.key);
        return this.#tell(removed(step.key), step.cutAfter);
      case 'stranger comes':
        if (this.#addressesAt(step.host).length === 0) this.#strangerAt(step.host, step.type);
        return;
      case 'stranger goes': {
        const record = this.#strangers.get(step.host);
        if (record !== undefined) this.#zone.records.delete(record.id);
        this.#strangers.delete(step.host);
        return;
      }
      case 'lose tunnel':
        for (const tunnel of this.#tunnels()) {
          if (tunnel.name === `warp-me-${step.host}`) this.#stage.api.tunnels.delete(tunnel);
        }
        return this.#refuse();
      case 'lose record':
      case 'lose record to stranger': {
        if (this.#strangers.has(step.host)) return;
        const ours = this.#addressesAt(step.host);
        for (const { id } of ours) this.#zone.records.delete(id);
        if (step.do === 'lose record to stranger' && ours.length > 0) this.#strangerAt(step.host, 'CNAME');
        return;
      }
      case 'lose mark':
        for (const { id } of this.#at(markName(step.host, zoneName))) this.#zone.records.delete(id);
        return;
      case 'api fails':
        return faults.failNext({
          count: step.count,
          status: 503,
          matches: (method) => method === step.method,
        });
      case 'answer is lost':
        return faults.loseAnswers(step.count, (method) => method === step.method);
      case 'ledger fails':
        return this.#ledger.failNext(step.operation, 'kube-unreachable');
      case 'lose ledger':
        this.#stage.api.faults.clear();
        if (step.deleted !== null && this.#ingresses.delete(step.deleted)) {
          // `tell` itself lets twenty turns go by.
          void this.#house.tell(removed(step.deleted));
        }
        for (let turn = 0; turn < step.turns; turn++) await settle();
        this.#ledger.lose(step.host);
        return this.#pass(10);
      case 'pass':
        return this.#pass(step.minutes);
      case 'restart':
        return this.#restart();
    }
  }

  /** Everybody lets be, and time passes: long enough for each host to have been looked at again. */
  async end(): Promise<void> {
    this.#stage.api.faults.clear();
    for (let round = 0; round < 2; round++) await this.#pass(7 * 60);
    const owners = this.#owners();
    expect(
      this.#tunnels()
        .map(({ name }) => name)
        .sort(),
      'tunnels',
    ).to.deep.equal(
      [...owners.keys()]
        .map((name) => `warp-me-${name}`)
        .concat('warp-you-app.example.com', 'warp-me-app.example.com.old', 'by-hand')
        .sort(),
    );
    const untouched = [...this.#foreign, ...this.#strangers.values()];
    for (const record of untouched) expect(this.#zone.records.get(record.id)).to.equal(record);
    const left = [...this.#zone.records.values()].filter((record) => !untouched.includes(record));
    const published = [...owners].filter(
      ([name, spec]) => spec.settings.dns === 'managed' && !this.#strangers.has(name),
    );
    for (const [name] of published) {
      const tunnel = this.#tunnels().find((found) => found.name === `warp-me-${name}`)!;
      const [cname, ...more] = this.#addressesAt(name);
      expect(more).to.deep.equal([]);
      const content = `${tunnel.id}.cfargotunnel.com`;
      expect(cname, name).to.include({ type: 'CNAME', proxied: true, content });
      const marks = this.#at(markName(name, zoneName)).map((record) => parseMark(record.content));
      expect(marks, name).to.deep.equal([{ owner: 'me', host: name, record: cname!.id }]);
    }
    // Beside a stranger's record our mark may stay, until we are through with the host.
    const waiting = [...owners.keys()].filter((name) => this.#strangers.has(name));
    const allowed = [
      ...published.flatMap(([name]) => [name, markName(name, zoneName)]),
      ...waiting.map((name) => markName(name, zoneName)),
    ];
    expect(left.map(({ name }) => name).filter((name) => !allowed.includes(name))).to.deep.equal([]);
    expect([...this.#ledger.entries.keys()].sort(), 'ledger').to.deep.equal([...owners.keys()].sort());
    for (const [name, { key: owner }] of owners) {
      const id = this.#tunnels().find((found) => found.name === `warp-me-${name}`)!.id;
      expect(this.#ledger.entries.get(name)).to.deep.include({ ingress: owner });
      expect(this.#house.runner.runs.map(({ request }) => request.tunnel.id)).to.include(id);
    }
    expect(this.#house.runner.runs).to.have.length(owners.size);
    await this.#house.stop();
  }

  #owners(): Map<string, IngressSpec> {
    const owners = new Map<string, IngressSpec>();
    const youngestFirst = [...this.#ingresses.values()].sort((a, b) => b.createdAtMs - a.createdAtMs);
    for (const spec of youngestFirst) for (const rules of spec.hosts) owners.set(rules.host, spec);
    return owners;
  }

  async #tell(message: Parameters<ActorHouse['tell']>[0], turns: number | null): Promise<void> {
    if (turns === null) {
      await this.#house.tell(message);
      return this.#quiet();
    }
    // `tell` itself lets twenty turns go by.
    void this.#house.tell(message);
    for (let turn = 0; turn < turns; turn++) await settle();
    return this.#restart();
  }

  async #restart(): Promise<void> {
    await this.#house.stop();
    await this.#quiet();
    this.#stage.restart();
    this.#house = new ActorHouse({ cloudflare: this.#counted(), ledger: this.#ledger });
    await this.begin();
  }

  async #pass(minutes: number): Promise<void> {
    const { clock } = this.#house;
    const untilMs = clock.monotonic() + minutes * 60_000;
    this.#refuse();
    await this.#quiet();
    while (clock.nextTimerMs !== undefined && clock.monotonic() + clock.nextTimerMs <= untilMs) {
      await clock.advance(clock.nextTimerMs);
      await this.#quiet();
    }
    await clock.advance(untilMs - clock.monotonic());
  }

  /** The edge refuses connectors of tunnels that are gone. */
  #refuse(): void {
    const live = new Set(this.#tunnels().map(({ id }) => id));
    for (const run of this.#house.runner.runs.filter(({ request }) => !live.has(request.tunnel.id))) {
      this.#house.runner.register(run, 0);
      const refusal = { code: 'edge-unauthorized', message: 'Unauthorized: Tunnel not found' } as const;
      for (let time = 0; time < 4; time++) run.hear({ type: 'lost', connIndex: 0, fault: refusal });
    }
  }

  async #quiet(): Promise<void> {
    for (let calm = 0; calm < 20; calm++) {
      await settle();
      if (this.#inFlight > 0) calm = 0;
    }
  }

  #counted(): Cloudflare {
    const { cloudflare } = this.#stage;
    const counting =
      <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
      async (...args: A): Promise<T> => {
        this.#inFlight += 1;
        try {
          return await call(...args);
        } finally {
          this.#inFlight -= 1;
        }
      };
    return {
      ensureTunnel: counting(cloudflare.ensureTunnel),
      removeTunnel: counting(cloudflare.removeTunnel),
      ensureDns: counting(cloudflare.ensureDns),
      removeDns: counting(cloudflare.removeDns),
    };
  }

  #tunnels() {
    return this.#stage.api.tunnels.live(this.#stage.api.accountId);
  }

  #at(name: string): DnsRecord[] {
    return [...this.#zone.records.values()].filter((record) => record.name === name);
  }

  #addressesAt(name: string): DnsRecord[] {
    return this.#at(name).filter(({ type }) => type === 'A' || type === 'CNAME');
  }

  #strangerAt(name: string, type: 'A' | 'CNAME'): void {
    const content = type === 'A' ? '192.0.2.1' : 'theirs.example.net';
    this.#strangers.set(name, this.#put(type, name, content));
  }

  #put(type: string, name: string, content: string): DnsRecord {
    const base = { proxied: false, ttl: 1, comment: null, tags: [] };
    return this.#stage.api.zones.put(this.#zone, { ...base, type, name, content });
  }
}

/** The version that a removal wrote before it failed is known from the watch alone, also after a restart. */
const removalFails: Move[] = [
  { do: 'restart' },
  { do: 'put', key: 'two', hosts: [`app.${zoneName}`], dns: 'managed', cutAfter: null },
  { do: 'api fails', method: 'GET', count: 3 },
  { do: 'put', key: 'two', hosts: [zoneName], dns: 'managed', cutAfter: null },
  { do: 'put', key: 'one', hosts: [`app.${zoneName}`], dns: 'managed', cutAfter: null },
];

/** The ledger goes while the removal that needs it is under way: only this process knows what is left. */
const lostWhileRemoved: Move[] = [
  { do: 'put', key: 'one', hosts: [`app.${zoneName}`], dns: 'managed', cutAfter: null },
  { do: 'lose ledger', host: `app.${zoneName}`, deleted: 'one', turns: 5 },
];

describe('what is at Cloudflare in the end', () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage({ zones: [zoneName], callsPerFiveMinutes: 1e9 }, hurried);
  });
  after(() => stage.close());

  async function live(moves: readonly Move[]): Promise<void> {
    const history = new History(stage);
    await history.begin();
    for (const step of moves) await history.make(step);
    await history.end();
  }

  it('is what the Ingresses say and what was others’, whatever happened and wherever it was restarted', async function () {
    this.timeout(90_000);
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 14 }), (moves) => live(moves)),
      {
        numRuns: Number(process.env.HISTORIES ?? 30),
        examples: [[withoutMark], [removalFails], [lostWhileRemoved]],
      },
    );
  });

  it('is the same again after a restart at every point of what happened, and after one at each', async function () {
    this.timeout(90_000);
    const restart: Move = { do: 'restart' };
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 5 }), async (moves) => {
        for (let point = 0; point <= moves.length; point++) await live(moves.toSpliced(point, 0, restart));
        await live(moves.flatMap((step) => [step, restart]));
      }),
      { numRuns: 5, examples: [[withoutMark]] },
    );
  });
});
