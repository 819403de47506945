import { assert } from 'chai';
import { PodNudges } from '../../src/runners/pod-nudges.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

/** Kubernetes with a quota: who is asked again for is refused again, or gets pods while there is room. */
class Namespace {
  readonly clock = new ManualClock();
  readonly nudges = new PodNudges({ clock: this.clock, random: () => 0.5 });
  readonly served = new Set<number>();
  /** Each try, by the number of the tunnel. */
  readonly tries: number[] = [];
  room = 0;
  readonly tunnels: readonly { askAgain(): Promise<void> }[];

  constructor(count: number) {
    this.tunnels = Array.from({ length: count }, (_, index) => ({ askAgain: () => this.#ask(index) }));
    for (const tunnel of this.tunnels) this.nudges.look(tunnel, true, false);
  }

  async #ask(index: number): Promise<void> {
    this.tries.push(index);
    const tunnel = this.tunnels[index]!;
    await settle();
    this.nudges.look(tunnel, false, false);
    await settle();
    if (this.room > 0 && !this.served.has(index)) {
      this.room -= 1;
      this.served.add(index);
    }
    const isServed = this.served.has(index);
    this.nudges.look(tunnel, !isServed, isServed);
  }

  async later(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 1_000) {
      await this.clock.advance(1_000);
      for (let turn = 0; turn < 60; turn++) await settle();
    }
  }
}

describe('tunnels whose pods a quota refuses', () => {
  it('are tried a few at a time however many they are, each in its turn', async () => {
    const namespace = new Namespace(1_000);
    await namespace.later(600_000);
    assert.isBelow(namespace.tries.length, 100);
    assert.lengthOf(new Set(namespace.tries), namespace.tries.length);
  });

  it('are all tried soon once there is room', async () => {
    const namespace = new Namespace(1_000);
    await namespace.later(300_000);
    namespace.room = 1_000;
    await namespace.later(120_000);
    assert.lengthOf(namespace.served, 1_000);
    assert.strictEqual(namespace.clock.pendingTimers, 0);
  });

  it('are tried by no more than two for each that gets room, beside those that feel for it', async () => {
    const namespace = new Namespace(1_000);
    await namespace.later(300_000);
    const before = namespace.tries.length;
    namespace.room = 5;
    await namespace.later(120_000);
    assert.lengthOf(namespace.served, 5);
    assert.isAtMost(namespace.tries.length - before, 2 * 8 + 2 * 5);
  });

  it('are tried no more when nobody wants their pods', async () => {
    const namespace = new Namespace(3);
    for (const tunnel of namespace.tunnels) namespace.nudges.leave(tunnel);
    assert.strictEqual(namespace.clock.pendingTimers, 0);
    await namespace.later(120_000);
    assert.isEmpty(namespace.tries);
  });
});
