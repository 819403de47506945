import { expect } from 'chai';
import fc from 'fast-check';
import { FaultError, fault } from '../../src/fault.ts';
import type { ActorRef } from '../../src/kernel/actor.ts';
import { actorWorld, childSpec } from '../support/actor-world.ts';

interface Letter {
  readonly id: number;
  readonly takesMs: number;
  readonly fails: 'no' | 'throws' | 'rejects' | 'effect';
}

type Step =
  | { readonly do: 'tell'; readonly letter: Omit<Letter, 'id'> }
  | { readonly do: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('tell' as const),
    letter: fc.record({
      takesMs: fc.constantFrom(0, 0, 1, 700, 3_000),
      fails: fc.constantFrom(
        'no' as const,
        'no' as const,
        'throws' as const,
        'rejects' as const,
        'effect' as const,
      ),
    }),
  }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(0, 1, 499, 1_000, 5_000, 40_000) }),
);

const windowMs = 20_000;
const maxRestarts = 3;

describe('kernel, for any sequence of messages, failures and waits', () => {
  for (const whenExceeded of ['escalate', 'hold'] as const) {
    it(`restarts in time and not too often, reads one message at a time and loses none (${whenExceeded})`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 40 }),
          // Sixteenths, so that sums of times are exact.
          fc.nat(15).map((sixteenths) => sixteenths / 16),
          async (steps, random) => {
            const world = actorWorld(() => random);
            const read: number[] = [];
            const births: number[] = [];
            let reading = 0;
            let mostAtOnce = 0;
            let ref: ActorRef<Letter> | undefined;
            const spec = childSpec<Letter>(
              (context) => {
                births.push(world.clock.monotonic());
                return {
                  async receive({ id, takesMs, fails }) {
                    read.push(id);
                    reading += 1;
                    mostAtOnce = Math.max(mostAtOnce, reading);
                    const failure = new FaultError(fault('edge-lost', 'random'));
                    if (fails === 'effect')
                      context.run(
                        () => Promise.reject(failure),
                        (value: Letter) => value,
                      );
                    try {
                      if (fails === 'throws') throw failure;
                      if (takesMs > 0) await new Promise<void>((done) => world.clock.after(takesMs, done));
                      if (fails === 'rejects') throw failure;
                    } finally {
                      reading -= 1;
                    }
                  },
                };
              },
              { intensity: { maxRestarts, windowMs, whenExceeded } },
            );
            const root = world.system.spawnRoot<string>(
              childSpec<string>(
                (context) => {
                  ref = context.spawn('c', spec);
                  return { receive() {} };
                },
                { restart: 'temporary' },
              ),
            );
            let told = 0;
            for (const next of steps) {
              if (next.do === 'tell') ref!.tell({ ...next.letter, id: told++ });
              else await world.clock.advance(next.ms);
            }
            await world.clock.advance(1_000_000);

            const decided = world.restarts.filter(({ path }) => path === 'child/c');
            expect(mostAtOnce, 'messages read at once').to.be.at.most(1);
            expect(births.length, 'one incarnation per restart').to.equal(decided.length + 1);
            expect(births.slice(1), 'each restart at its time').to.deep.equal(
              decided.map(({ atMs, delayMs }) => atMs + delayMs),
            );
            expect(read, 'each message once, in the order they were told').to.deep.equal(
              read.map((_, index) => index),
            );
            expect(read.length + world.deadLetters.length, 'read, or dead with its actor').to.equal(told);
            if (whenExceeded === 'hold') expect(read.length, 'nothing is lost').to.equal(told);
            else {
              for (const [index, { atMs }] of decided.entries()) {
                const laterMs = decided[index + maxRestarts]?.atMs ?? Number.POSITIVE_INFINITY;
                expect(laterMs - atMs, 'more restarts than the intensity allows').to.be.at.least(windowMs);
              }
            }
            await root.stop();
            expect(world.clock.pendingTimers).to.equal(0);
          },
        ),
        { numRuns: 100 },
      );
    });
  }
});
