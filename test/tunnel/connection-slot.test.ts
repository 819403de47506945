import { expect } from 'chai';
import { type Fault, type FaultCode, fault, ok, type Result } from '../../src/fault.ts';
import { ConnectionSlot, lookupStallMs, type SlotHost } from '../../src/tunnel/connection-slot.ts';
import type { EdgeAddress } from '../../src/tunnel/edge-addresses.ts';
import type { EdgeConnectionEvents } from '../../src/tunnel/edge-connection.ts';
import { EdgeReturn, leastSilenceMs } from '../../src/tunnel/edge-return.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

const address: EdgeAddress = { ip: '192.0.2.1', port: 7844 };

/** A slot and everything around it, which tells what is asked of it. */
class Stage {
  readonly clock = new ManualClock();
  readonly edgeReturn = new EdgeReturn(this.clock);
  readonly told: string[] = [];
  /** Of each connection, in their order. */
  readonly opened: EdgeConnectionEvents[] = [];
  addresses: () => Promise<Result<EdgeAddress>> = () => Promise.resolve(ok(address));
  readonly slot = new ConnectionSlot(0, this.#host());

  #host(): SlotHost {
    const { clock, edgeReturn, told, opened } = this;
    return {
      ...{ clock, edgeReturn, random: () => 0.5 },
      turn: (go) => {
        queueMicrotask(go);
        return {
          dials: (where) => told.push(`dials ${where}`),
          reached: () => told.push('reached'),
          end: (registered) => told.push(registered ? 'turn done' : 'turn over'),
        };
      },
      address: () => this.addresses(),
      rotate: (_, unreachable) => told.push(unreachable ? 'address unreachable' : 'address taken'),
      open: (_, _attempts, _index, events) => {
        const name = opened.push(events) - 1;
        const ends = (how: string) => () => {
          told.push(`${how} ${name}`);
          if (how === 'destroy') events.ended(fault('stopped', ''));
        };
        return { drain: ends('drain'), retire: ends('retire'), destroy: ends('destroy') };
      },
      registered: () => told.push('registered'),
      lost: (_, { code }, retryInMs) => told.push(`lost: ${code}, ${retryInMs} ms`),
      configurationRefused: () => {},
      ended: () => told.push('ended'),
    };
  }

  /** What was told since the last look. */
  async news(): Promise<string[]> {
    await settle();
    return this.told.splice(0);
  }

  register(connection: number): void {
    this.opened[connection]!.registered({ connectionId: '', location: 'test01', remotelyManaged: false });
  }
}

describe('one connection over its lives', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage();
    stage.slot.start();
  });
  afterEach(() => {
    stage.slot.destroy();
    expect(stage.clock.pendingTimers).to.equal(0);
  });

  it('has its turn from the dial until it is registered', async () => {
    expect(await stage.news()).to.deep.equal(['dials 192.0.2.1:7844']);
    stage.opened[0]!.reached();
    stage.register(0);
    expect(await stage.news()).to.deep.equal(['reached', 'turn done', 'registered']);
  });

  it('gives its turn back when there is no address, and when it is ended while it waits for one', async () => {
    const answers: ((found: Result<EdgeAddress>) => void)[] = [];
    const other = new Stage();
    other.addresses = () => new Promise((resolve) => answers.push(resolve));
    other.slot.start();
    await settle();
    answers[0]!({ ok: false, fault: fault('edge-discovery', '') });
    expect(await other.news()).to.deep.equal(['turn over', 'lost: edge-discovery, 750 ms']);
    await other.clock.advance(750);
    other.slot.drain();
    answers[1]!(ok(address));
    expect([await other.news(), other.opened]).to.deep.equal([['turn over', 'ended'], []]);
    expect(other.clock.pendingTimers).to.equal(0);
  });

  it('holds nobody up while the edge is looked for, and has a turn again before it dials', async () => {
    const answers: ((found: Result<EdgeAddress>) => void)[] = [];
    const other = new Stage();
    other.addresses = () => new Promise((resolve) => answers.push(resolve));
    other.slot.start();
    await other.clock.advance(lookupStallMs - 1);
    expect(await other.news()).to.deep.equal([]);
    await other.clock.advance(1);
    expect(await other.news()).to.deep.equal(['turn over']);
    answers[0]!(ok(address));
    await settle();
    answers[1]!(ok(address));
    expect(await other.news()).to.deep.equal(['dials 192.0.2.1:7844']);
    await other.clock.advance(lookupStallMs);
    expect(await other.news()).to.deep.equal([]);
    other.slot.destroy();
    expect(other.clock.pendingTimers).to.equal(0);
  });

  describe('that the edge is leaving', () => {
    const leaving = fault('edge-lost', '');
    beforeEach(async () => {
      await settle();
      stage.register(0);
      stage.opened[0]!.leaving(leaving);
      await stage.news();
    });

    it('takes requests until another one is registered, and finishes them for an hour', async () => {
      await stage.clock.advance(750);
      expect(await stage.news()).to.deep.equal(['dials 192.0.2.1:7844']);
      stage.register(1);
      expect(await stage.news()).to.deep.equal(['turn done', 'retire 0', 'registered']);
      await stage.clock.advance(59 * 60_000);
      expect(await stage.news()).to.deep.equal([]);
      await stage.clock.advance(60_000);
      expect(await stage.news())
        .to.include('destroy 0')
        .and.not.include('ended');
    });

    it('is none that holds the edge: what waits is hastened when the next one registers', async () => {
      let hastened = false;
      await stage.clock.advance(750);
      const waiting = stage.edgeReturn.after(60_000, 1_000, () => {
        hastened = true;
      });
      await stage.clock.advance(leastSilenceMs);
      stage.register(1);
      // It ends once more, which counts no more.
      stage.opened[0]!.ended(leaving);
      await stage.clock.advance(1_000);
      waiting.cancel();
      expect(hastened).to.equal(true);
      hastened = false;
      const later = stage.edgeReturn.after(60_000, 1_000, () => {
        hastened = true;
      });
      await stage.clock.advance(leastSilenceMs);
      stage.edgeReturn.registered()();
      await stage.clock.advance(1_000);
      later.cancel();
      expect(hastened, 'while it holds').to.equal(false);
    });

    it('is drained with the slot, which waits for it', async () => {
      stage.slot.drain();
      expect(await stage.news()).to.deep.equal(['turn over', 'retire 0']);
      stage.opened[0]!.ended(fault('stopped', ''));
      expect((await stage.news()).at(-1)).to.equal('ended');
    });

    it('is destroyed with the slot', async () => {
      stage.slot.destroy();
      expect(await stage.news()).to.include.members(['destroy 0', 'ended']);
    });
  });

  /** What each says of the address, and of an edge that is back soon. */
  const ends: [code: FaultCode, wasRegistered: boolean, ofTheAddress: string | null, hastened: boolean][] = [
    ['edge-discovery', true, null, true],
    ['edge-dial', false, 'address unreachable', true],
    ['edge-tls', false, 'address unreachable', true],
    ['edge-timeout', true, 'address unreachable', true],
    ['edge-lost', true, null, true],
    ['edge-lost', false, 'address unreachable', true],
    ['edge-protocol', false, 'address unreachable', false],
    ['edge-duplicate', false, 'address taken', false],
    ['edge-refused', false, 'address taken', false],
    ['edge-unauthorized', false, null, false],
    ['files-exhausted', false, null, false],
  ];
  for (const [code, wasRegistered, ofTheAddress, hastened] of ends) {
    const when = wasRegistered ? 'once it was registered' : 'before it is registered';
    it(`that ends with ${code} ${when} is tried again${hastened ? ', soon if the edge is back' : ' as the edge asks'}`, async () => {
      const cause: Fault = fault(code, '', 60_000);
      await settle();
      if (wasRegistered) stage.register(0);
      await stage.news();
      stage.opened[0]!.ended(cause);
      const told = await stage.news();
      expect(told).to.deep.equal([
        ...['turn over', ...(ofTheAddress === null ? [] : [ofTheAddress])],
        `lost: ${code}, 60750 ms`,
      ]);
      await stage.clock.advance(leastSilenceMs);
      const over = stage.edgeReturn.registered();
      await stage.clock.advance(1_000);
      expect(stage.opened).to.have.length(hastened ? 2 : 1);
      await stage.clock.advance(60_000);
      expect(stage.opened).to.have.length(2);
      over();
    });
  }
});
