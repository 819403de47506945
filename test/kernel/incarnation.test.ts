import { expect } from 'chai';
import { FaultError } from '../../src/fault.ts';
import type { ActorContext } from '../../src/kernel/actor.ts';
import { diarist, lost, parentOf } from '../support/actor-family.ts';
import { type ActorWorld, actorWorld, childSpec, expectNothingWaits } from '../support/actor-world.ts';
import { settle } from '../support/manual-clock.ts';

describe('kernel: incarnation', () => {
  let world: ActorWorld;
  beforeEach(() => {
    world = actorWorld();
  });
  afterEach(() => expectNothingWaits(world));

  describe('an incarnation that is over', () => {
    it('hears nothing more from its own effects, timers and callbacks, and neither does the next one', async () => {
      const effect = Promise.withResolvers<string>();
      const { spec, diary, contexts } = diarist();
      const { root, child } = parentOf(world, spec);
      const first = contexts[0]!;
      first.run(
        () => effect.promise,
        (value) => value,
      );
      first.after(500, 'a timer of the first');
      child().tell('fail');
      await world.clock.advance(1_000);
      effect.resolve('an effect of the first');
      first.self.tell('a callback of the first');
      first.after(1, 'a late timer of the first');
      first.run(
        async () => 'a late effect of the first',
        (value) => value,
      );
      first.fail(lost);
      first.finish();
      await world.clock.advance(1_000);
      expect(diary).to.deep.equal(['born', 'fail', 'stop', 'born']);
      expect(world.restarts).to.have.length(1);
      expect(world.deadLetters, 'the callback').to.deep.equal(['parent/c']);
      await root.stop();
    });

    it('takes the outcomes with it that it had not read yet', async () => {
      const { spec, diary, contexts } = diarist();
      const { root, child } = parentOf(world, spec);
      child().tell('fail');
      contexts[0]!.self.tell('for the first only');
      child().tell('for whoever lives');
      await world.clock.advance(1_000);
      expect(diary).to.deep.equal(['born', 'fail', 'stop', 'born', 'for whoever lives']);
      await root.stop();
    });

    it('cannot spawn children that nobody would own', async () => {
      const { spec, contexts } = diarist();
      const { root, child } = parentOf(world, spec);
      child().tell('fail');
      await settle();
      expect(() => contexts[0]!.spawn('late', spec)).to.throw(FaultError, 'has ended');
      await root.stop();
    });

    it('does no harm when its receive, killed long ago, throws at last', async () => {
      const late = Promise.withResolvers<void>();
      const diary: string[] = [];
      let first: ActorContext<string> | undefined;
      const spec = childSpec<string>((context) => {
        first ??= context;
        return {
          receive(order) {
            diary.push(order);
            return order === 'hang' ? late.promise : undefined;
          },
        };
      });
      const { root, child } = parentOf(world, spec);
      child().tell('hang');
      await settle();
      first!.fail(lost);
      child().tell('waits');
      await world.clock.advance(5_000);
      expect(world.killed).to.deep.equal(['parent/c']);
      await world.clock.advance(1_000);
      late.reject(new Error('much too late'));
      await settle();
      expect(diary).to.deep.equal(['hang', 'waits']);
      expect(world.restarts).to.have.length(1);
      await root.stop();
    });
  });

  describe('effects', () => {
    it('come back as a message, and leave the mailbox free while they run', async () => {
      const effect = Promise.withResolvers<number>();
      const { spec, diary, contexts } = diarist();
      const { root, child } = parentOf(world, spec);
      contexts[0]!.run(
        () => effect.promise,
        (value) => `result ${value}`,
      );
      child().tell('meanwhile');
      await settle();
      effect.resolve(42);
      await settle();
      expect(diary).to.deep.equal(['born', 'meanwhile', 'result 42']);
      await root.stop();
    });

    it('that reject fail the actor', async () => {
      const { spec, contexts } = diarist();
      const { root, heard } = parentOf(world, spec);
      contexts[0]!.run(
        () => Promise.reject(new FaultError(lost)),
        () => 'never',
      );
      await settle();
      expect(heard).to.deep.equal(['c failed: edge-lost, 1000 ms']);
      await root.stop();
    });

    it('see their signal aborted when the actor stops', async () => {
      let seen: AbortSignal | undefined;
      const { spec, contexts } = diarist();
      const { root } = parentOf(world, spec);
      contexts[0]!.run(
        (signal) => {
          seen = signal;
          return new Promise<string>(() => {});
        },
        (value) => value,
      );
      await root.stop();
      expect(seen?.aborted).to.equal(true);
    });
  });

  describe('timers', () => {
    it('tell self later, once, and not when cancelled', async () => {
      const { spec, diary, contexts } = diarist();
      const { root } = parentOf(world, spec);
      contexts[0]!.after(100, 'later');
      contexts[0]!.after(50, 'cancelled').cancel();
      await world.clock.advance(200);
      expect(diary).to.deep.equal(['born', 'later']);
      await root.stop();
    });
  });
});
