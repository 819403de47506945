import { expect } from 'chai';
import { FaultError } from '../../src/fault.ts';
import type { ChildSpec } from '../../src/kernel/actor.ts';
import { diarist, lost, parentOf } from '../support/actor-family.ts';
import { type ActorWorld, actorWorld, childSpec, expectNothingWaits } from '../support/actor-world.ts';
import { settle } from '../support/manual-clock.ts';

describe('kernel: stops', () => {
  let world: ActorWorld;
  beforeEach(() => {
    world = actorWorld();
  });
  afterEach(() => expectNothingWaits(world));

  describe('a stop', () => {
    it('lets the running receive finish, then asks, then ends', async () => {
      const work = Promise.withResolvers<void>();
      const diary: string[] = [];
      const spec = childSpec<string>(() => ({
        async receive(order) {
          await work.promise;
          diary.push(order);
        },
        stop: () => void diary.push('stop'),
      }));
      const { root, heard, child } = parentOf(world, spec);
      child().tell('work');
      child().tell('never read');
      await settle();
      root.ref.tell('stop child');
      await settle();
      expect(diary).to.deep.equal([]);
      work.resolve();
      await settle();
      expect(diary).to.deep.equal(['work', 'stop']);
      expect(heard).to.deep.equal(['stop child', 'c ended: stopped']);
      expect(world.killed).to.deep.equal([]);
      await root.stop();
    });

    it('is never stuck behind a receive that does not settle: killed when its time is over', async () => {
      const { spec, diary, contexts } = diarist();
      const { root, heard, child } = parentOf(world, spec);
      child().tell('hang');
      await settle();
      root.ref.tell('stop child');
      await world.clock.advance(4_999);
      expect(contexts[0]!.signal.aborted).to.equal(true);
      expect(heard).to.deep.equal(['stop child']);
      await world.clock.advance(1);
      expect(heard).to.deep.equal(['stop child', 'c ended: stopped']);
      expect(world.killed).to.deep.equal(['parent/c']);
      expect(diary, 'no stop while receive runs').to.deep.equal(['born', 'hang']);
      await root.stop();
    });

    it('kills an actor whose stop does not settle, counting the receive before it', async () => {
      const receive = Promise.withResolvers<void>();
      const spec = childSpec<string>(() => ({
        receive: () => receive.promise,
        stop: () => new Promise<void>(() => {}),
      }));
      const { root, heard, child } = parentOf(world, spec);
      child().tell('work');
      await settle();
      root.ref.tell('stop child');
      await world.clock.advance(3_000);
      receive.resolve();
      await world.clock.advance(1_999);
      expect(heard).to.deep.equal(['stop child']);
      await world.clock.advance(1);
      expect(heard).to.deep.equal(['stop child', 'c ended: stopped']);
      await root.stop();
    });

    it('ends a child that waits for its restart at once', async () => {
      const { spec, diary } = diarist();
      const { root, heard, child } = parentOf(world, spec);
      child().tell('fail');
      await settle();
      root.ref.tell('stop child');
      await settle();
      expect(heard.at(-1)).to.equal('c ended: stopped');
      expect(world.clock.pendingTimers).to.equal(0);
      await world.clock.advance(60_000);
      expect(diary).to.deep.equal(['born', 'fail', 'stop']);
      await root.stop();
    });

    it('that comes while a failed child still closes is the end of it', async () => {
      const closing = Promise.withResolvers<void>();
      const spec = childSpec<string>(() => ({
        receive: () => Promise.reject(new FaultError(lost)),
        stop: () => closing.promise,
      }));
      const { root, heard, child } = parentOf(world, spec);
      child().tell('fail');
      await settle();
      root.ref.tell('stop child');
      await settle();
      closing.resolve();
      await settle();
      expect(heard).to.deep.equal(['stop child', 'c ended: stopped']);
      expect(world.restarts).to.deep.equal([]);
      await root.stop();
    });

    it('goes from the leaves to the root, siblings at the same time, each within its own bound', async () => {
      const order: string[] = [];
      const leaf = (name: string, takesMs: number, stopWithinMs: number): ChildSpec<string> =>
        childSpec<string>(
          (context) => ({
            receive() {},
            stop: () =>
              new Promise<void>((resolve) => {
                context.clock.after(takesMs, () => {
                  order.push(name);
                  resolve();
                });
              }),
          }),
          { stopWithinMs },
        );
      const root = world.system.spawnRoot<string>(
        childSpec<string>(
          (context) => {
            context.spawn('slow', leaf('slow', 20_000, 30_000));
            context.spawn('quick', leaf('quick', 1_000, 30_000));
            context.spawn('too slow', leaf('too slow', 25_000, 10_000));
            return { receive() {}, stop: () => void order.push('parent') };
          },
          { stopWithinMs: 1 },
        ),
      );
      const stopped = root.stop();
      await world.clock.advance(19_999);
      expect(order).to.deep.equal(['quick']);
      expect(world.killed).to.deep.equal(['child/too slow']);
      await world.clock.advance(1);
      await stopped;
      expect(order).to.deep.equal(['quick', 'slow', 'parent']);
      expect(await root.ended).to.deep.equal({ how: 'stopped' });
      await world.clock.advance(10_000);
    });

    it('goes on when stop throws, which is only logged', async () => {
      const spec = childSpec<string>(() => ({
        receive() {},
        stop: () => Promise.reject(new Error('broken')),
      }));
      const { root } = parentOf(world, spec);
      await root.stop();
      expect(world.logged.map(({ message }) => message)).to.deep.equal(['actor threw']);
      expect(world.restarts).to.deep.equal([]);
    });

    it('twice is a stop once', async () => {
      const { spec, diary } = diarist();
      const { root } = parentOf(world, spec);
      await Promise.all([root.stop(), root.stop()]);
      await root.stop();
      expect(diary).to.deep.equal(['born', 'stop']);
    });
  });
});
