import { expect } from 'chai';
import { Random } from '../../fuzz/random.ts';
import { type Fault, fault, ok } from '../../src/fault.ts';
import { ConnectionSlot, connectionBackoff } from '../../src/tunnel/connection-slot.ts';
import { DialGate } from '../../src/tunnel/dial-gate.ts';
import type { EdgeConnectionEvents } from '../../src/tunnel/edge-connection.ts';
import { EdgeReturn } from '../../src/tunnel/edge-return.ts';
import { ManualClock } from '../support/manual-clock.ts';

const connections = 4_000;
const binMs = 100;
const address = { ip: '192.0.2.1', port: 7844 };

/** 1,000 tunnels with four connections each, before an edge that takes them or does not. */
class Fleet {
  readonly clock = new ManualClock();
  /** When each attempt was made, in order. */
  readonly attemptsMs: number[] = [];
  /** What the edge says to an attempt; null takes it. */
  refusal: Fault | null = null;
  /** Whether the edge drops what it has just taken. */
  drops = false;
  readonly #open = new Set<EdgeConnectionEvents>();
  readonly #slots: ConnectionSlot[];

  constructor() {
    const random = new Random(1);
    const gate = new DialGate(this.clock);
    const edgeReturn = new EdgeReturn(this.clock);
    this.#slots = Array.from({ length: connections }, (_, index) => {
      return new ConnectionSlot(index, {
        clock: this.clock,
        random: () => random.uint32() / 2 ** 32,
        edgeReturn,
        turn: (go) => gate.enter(0, go),
        address: async () => ok(address),
        rotate: () => {},
        open: (_address, _attempts, _index, events) => this.#attempt(events),
        registered: () => {},
        lost: () => {},
        configurationRefused: () => {},
        ended: () => {},
      });
    });
    for (const slot of this.#slots) slot.start();
  }

  get connected(): number {
    return this.#open.size;
  }

  cutAll(): void {
    this.attemptsMs.length = 0;
    for (const events of this.#open) this.#drop(events);
  }

  destroy(): void {
    for (const slot of this.#slots) slot.destroy();
  }

  /** Most attempts within one `binMs` from `fromMs` to `toMs` after `sinceMs`. */
  peak(sinceMs: number, fromMs: number, toMs: number): number {
    const bins = new Map<number, number>();
    for (const atMs of this.attemptsMs) {
      if (atMs < sinceMs + fromMs || atMs >= sinceMs + toMs) continue;
      const bin = Math.floor((atMs - sinceMs) / binMs);
      bins.set(bin, (bins.get(bin) ?? 0) + 1);
    }
    return Math.max(0, ...bins.values());
  }

  #drop(events: EdgeConnectionEvents): void {
    this.#open.delete(events);
    events.ended(fault('edge-lost', 'cut'));
  }

  #attempt(events: EdgeConnectionEvents) {
    this.attemptsMs.push(this.clock.monotonic());
    queueMicrotask(() => {
      if (this.refusal !== null) return events.ended(this.refusal);
      this.#open.add(events);
      events.registered({ connectionId: 'id', location: 'here', remotelyManaged: false });
      if (this.drops) this.#drop(events);
    });
    return { drain() {}, retire() {}, destroy() {} };
  }
}

describe('1,000 tunnels that lose the edge at once', function () {
  this.timeout(60_000);
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = new Fleet();
    await fleet.clock.advance(connectionBackoff.healthyAfterMs);
    expect(fleet.connected).to.equal(connections);
  });
  afterEach(() => {
    fleet.destroy();
    expect(fleet.clock.pendingTimers).to.equal(0);
  });

  it('are back within a second, none at once and no tenth of it with more than a third of them', async () => {
    const cutMs = fleet.clock.monotonic();
    fleet.cutAll();
    await fleet.clock.advance(499);
    expect(fleet.connected).to.equal(0);
    await fleet.clock.advance(501);
    expect(fleet.connected).to.equal(connections);
    expect(fleet.attemptsMs).to.have.length(connections);
    expect(fleet.peak(cutMs, 0, 1_000)).to.be.lessThan(connections / 3);
  });

  for (const [title, refusal] of [
    ['is away', fault('edge-dial', 'nobody listens')],
    ['asks them all to wait for ten seconds', fault('edge-refused', 'busy', 10_000)],
  ] as const) {
    it(`ask ever less while it ${title}, and spread more and more`, async () => {
      const cutMs = fleet.clock.monotonic();
      fleet.refusal = refusal;
      fleet.cutAll();
      await fleet.clock.advance(150_000);
      // By then each waits 15 to 30 seconds besides what it was asked for.
      expect(fleet.peak(cutMs, 90_000, 150_000)).to.be.lessThan(connections / 40);
      const late = fleet.attemptsMs.filter((atMs) => atMs >= cutMs + 90_000).length;
      expect(late).to.be.lessThan((connections * 60) / 15);
      fleet.refusal = null;
      await fleet.clock.advance(41_000);
      expect(fleet.connected).to.equal(connections);
    });
  }
  it('are all back within a second of the first when the edge was away for long, and spread meanwhile', async () => {
    fleet.refusal = fault('edge-timeout', 'nothing comes');
    fleet.cutAll();
    await fleet.clock.advance(150_000);
    fleet.refusal = null;
    while (fleet.connected === 0) await fleet.clock.advance(1);
    const backMs = fleet.clock.monotonic();
    await fleet.clock.advance(1_000);
    expect(fleet.connected).to.equal(connections);
    expect(fleet.peak(backMs, 1, 1_000)).to.be.lessThan(connections / 3);
  });

  it('ask ever less of an edge that takes them only to drop them', async () => {
    fleet.drops = true;
    fleet.cutAll();
    await fleet.clock.advance(90_000);
    fleet.attemptsMs.length = 0;
    await fleet.clock.advance(60_000);
    expect(fleet.attemptsMs.length).to.be.lessThan((connections * 60) / 15);
  });
});
