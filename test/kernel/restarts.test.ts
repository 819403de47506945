import { expect } from 'chai';
import { FaultError } from '../../src/fault.ts';
import { diarist, lost, parentOf } from '../support/actor-family.ts';
import { type ActorWorld, actorWorld, childSpec, expectNothingWaits } from '../support/actor-world.ts';
import { settle } from '../support/manual-clock.ts';

describe('kernel: restarts', () => {
  let world: ActorWorld;
  beforeEach(() => {
    world = actorWorld();
  });
  afterEach(() => expectNothingWaits(world));

  describe('a restart', () => {
    it('comes after the backoff and not before; the failing message is gone, the waiting ones are not', async () => {
      const { spec, diary } = diarist();
      const { root, heard, child } = parentOf(world, spec);
      for (const order of ['a', 'fail', 'b']) child().tell(order);
      await settle();
      child().tell('c');
      await world.clock.advance(999);
      expect(diary).to.deep.equal(['born', 'a', 'fail', 'stop']);
      expect(heard).to.deep.equal(['c failed: edge-lost, 1000 ms']);
      await world.clock.advance(1);
      expect(diary).to.deep.equal(['born', 'a', 'fail', 'stop', 'born', 'b', 'c']);
      expect(world.restarts).to.deep.equal([
        { path: 'parent/c', atMs: 0, delayMs: 1_000, code: 'edge-lost' },
      ]);
      expect(world.logged, 'its parent has heard of it').to.deep.equal([]);
      await root.stop();
    });

    it('follows a receive that rejects', async () => {
      const spec = childSpec<string>(() => ({ receive: () => Promise.reject(new FaultError(lost)) }));
      const { root, heard, child } = parentOf(world, spec);
      child().tell('a');
      await settle();
      expect(heard).to.deep.equal(['c failed: edge-lost, 1000 ms']);
      await root.stop();
    });

    it('follows a factory that throws, with growing delays and each bug in the log', async () => {
      let births = 0;
      const spec = childSpec<string>(() => {
        births += 1;
        if (births < 3) throw new TypeError('no such thing');
        return { receive() {} };
      });
      const { root, heard } = parentOf(world, spec);
      await world.clock.advance(3_000);
      expect(births).to.equal(3);
      expect(heard).to.deep.equal(['c failed: bug, 1000 ms', 'c failed: bug, 2000 ms']);
      expect(world.logged.map(({ message }) => message)).to.deep.equal([
        'actor threw',
        'actor restarts',
        'actor threw',
        'actor restarts',
      ]);
      await root.stop();
    });

    it('forgets earlier failures only after lasting health', async () => {
      const { spec } = diarist();
      const { root, child } = parentOf(world, spec);
      for (const healthMs of [0, 59_999, 60_000]) {
        await world.clock.advance(healthMs);
        child().tell('fail');
        await settle();
        await world.clock.advance(world.restarts.at(-1)!.delayMs);
      }
      expect(world.restarts.map(({ delayMs }) => delayMs)).to.deep.equal([1_000, 2_000, 1_000]);
      await root.stop();
    });

    it('is not for a transient child that finished: its parent hears the ending and may use the name again', async () => {
      const { spec, diary } = diarist({ restart: 'transient' });
      const { root, heard, child } = parentOf(world, spec);
      child().tell('finish');
      await settle();
      expect(heard).to.deep.equal(['c ended: normal']);
      root.ref.tell('spawn again');
      await settle();
      child().tell('hello');
      await settle();
      expect(diary).to.deep.equal(['born', 'finish', 'stop', 'born', 'hello']);
      await root.stop();
    });

    it('is for a permanent child that finished', async () => {
      const { spec, diary } = diarist();
      const { root, child } = parentOf(world, spec);
      child().tell('finish');
      await world.clock.advance(1_000);
      expect(diary).to.deep.equal(['born', 'finish', 'stop', 'born']);
      await root.stop();
    });

    it('does not wait for a parent that is busy', async () => {
      const { spec, diary } = diarist();
      const { root, child } = parentOf(world, spec);
      root.ref.tell('hang');
      await settle();
      child().tell('fail');
      await world.clock.advance(1_000);
      expect(diary).to.deep.equal(['born', 'fail', 'stop', 'born']);
      const stopped = root.stop();
      await world.clock.advance(5_000);
      await stopped;
    });

    it('with a name that is taken is a bug of the parent', async () => {
      const { spec } = diarist();
      const { root } = parentOf(world, spec);
      root.ref.tell('spawn again');
      await settle();
      expect(world.restarts.map(({ path, code }) => [path, code])).to.deep.equal([['parent', 'bug']]);
      await root.stop();
    });
  });

  describe('restart intensity', () => {
    const tooOften = { maxRestarts: 2, windowMs: 600_000 } as const;

    it('exceeded × escalate fails the parent, whose next incarnation has a child of its own', async () => {
      const { spec, diary } = diarist({ intensity: { ...tooOften, whenExceeded: 'escalate' } });
      const { root, child } = parentOf(world, spec);
      for (let failure = 0; failure < 3; failure += 1) {
        child().tell('fail');
        await world.clock.advance(5_000);
      }
      expect(world.restarts.map(({ path, code }) => `${path} ${code}`)).to.deep.equal([
        'parent/c edge-lost',
        'parent/c edge-lost',
        'parent restart-intensity',
      ]);
      child().tell('hello');
      await settle();
      expect(diary.slice(-2)).to.deep.equal(['born', 'hello']);
      await root.stop();
    });

    it('exceeded × hold goes on at the longest backoff and the parent feels nothing', async () => {
      const { spec } = diarist({ intensity: { ...tooOften, whenExceeded: 'hold' } });
      const { root, child } = parentOf(world, spec);
      for (let failure = 0; failure < 4; failure += 1) {
        child().tell('fail');
        await world.clock.advance(16_000);
      }
      expect(world.restarts.map(({ path, delayMs }) => [path, delayMs])).to.deep.equal([
        ['parent/c', 1_000],
        ['parent/c', 2_000],
        ['parent/c', 16_000],
        ['parent/c', 16_000],
      ]);
      await root.stop();
    });

    it('exceeded at the root ends the system with the fault', async () => {
      const { spec } = diarist({ intensity: { maxRestarts: 0, windowMs: 1_000, whenExceeded: 'escalate' } });
      const root = world.system.spawnRoot(spec);
      root.ref.tell('fail');
      const ending = await root.ended;
      expect(ending.how === 'failed' && ending.fault.code).to.equal('restart-intensity');
    });
  });
});
