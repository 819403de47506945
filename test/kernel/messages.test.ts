import { expect } from 'chai';
import { diarist, parentOf } from '../support/actor-family.ts';
import { type ActorWorld, actorWorld, childSpec, expectNothingWaits } from '../support/actor-world.ts';
import { settle } from '../support/manual-clock.ts';

describe('kernel: messages', () => {
  let world: ActorWorld;
  beforeEach(() => {
    world = actorWorld();
  });
  afterEach(() => expectNothingWaits(world));

  describe('messages', () => {
    it('are received in order, never on the stack of the teller', async () => {
      const { spec, diary } = diarist();
      const { root, child } = parentOf(world, spec);
      child().tell('a');
      child().tell('b');
      expect(diary).to.deep.equal(['born']);
      await settle();
      expect(diary).to.deep.equal(['born', 'a', 'b']);
      await root.stop();
    });

    it('are replaced by newer ones of the same key while they wait', async () => {
      const { spec, diary } = diarist({ keyOf: (order) => order.split('=')[0] });
      const { root, child } = parentOf(world, spec);
      for (const order of ['x=1', 'y=1', 'x=2', 'x=3']) child().tell(order);
      await settle();
      expect(diary).to.deep.equal(['born', 'x=3', 'y=1']);
      await root.stop();
    });

    it('to an actor that has ended are dead letters and no errors', async () => {
      const { spec, diary } = diarist();
      const { root, child } = parentOf(world, spec);
      await root.stop();
      child().tell('too late');
      await settle();
      expect(diary).to.deep.equal(['born', 'stop']);
      expect(world.deadLetters).to.deep.equal(['parent/c']);
    });

    it('that wait when their actor ends are dead letters, and counted as waiting until then', async () => {
      const { spec } = diarist();
      const { root, child } = parentOf(world, spec);
      child().tell('hang');
      await settle();
      child().tell('a');
      child().tell('b');
      expect(world.depths.get('child')).to.equal(2);
      const stopped = root.stop();
      await world.clock.advance(5_000);
      await stopped;
      expect(world.deadLetters).to.deep.equal(['parent/c', 'parent/c']);
    });

    it('of a thousand idle actors leave no timer and nothing waiting', async () => {
      const root = world.system.spawnRoot<string>(
        childSpec<string>((context) => {
          for (let index = 0; index < 1_000; index += 1) {
            context
              .spawn<string>(
                `${index}`,
                childSpec<string>(() => ({ receive() {} })),
              )
              .tell('hello');
          }
          return { receive() {} };
        }),
      );
      await settle();
      expect(world.clock.pendingTimers).to.equal(0);
      expect(world.depths.get('child')).to.equal(0);
      await root.stop();
    });
  });
});
