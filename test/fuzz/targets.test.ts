import { expect } from 'chai';
import { failureOf } from '../../fuzz/campaign.ts';
import { type FuzzTarget, inputOf } from '../../fuzz/target.ts';
import { targets } from '../../fuzz/targets.ts';

/** The same ones in every run: `npm run fuzz` takes others, and as many as there is time for. */
const seed = 1;
const cases = 300;

describe('damaged input', function () {
  this.timeout(60_000);

  for (const target of targets) {
    it(`does no harm to ${target.name}`, async () => {
      for (let index = 0; index < cases; index += 1) {
        const input = inputOf(target, seed, index);
        const why = await failureOf(target, input);
        if (why !== null) throw new Error(`case ${index}, ${input.toString('base64')}: ${why}`);
      }
    });

    it(`of ${target.name} is the same for the same seed, and another one for another`, () => {
      const inputs = (from: number) =>
        Array.from({ length: 20 }, (_, index) => inputOf(target, from, index).toString('base64'));
      expect(inputs(seed)).to.deep.equal(inputs(seed));
      expect(inputs(seed + 1)).not.to.deep.equal(inputs(seed));
    });
  }

  it('that a decoder cannot bear is told, with the reason', async () => {
    const planted: FuzzTarget = {
      name: 'planted',
      make: (random) => random.bytes(2),
      check(input) {
        if (input[0] === 7) throw new RangeError('seven');
      },
    };
    const why = await Promise.all(
      Array.from({ length: 2_000 }, (_, index) => failureOf(planted, inputOf(planted, seed, index))),
    );
    expect(why.filter((one) => one?.includes('RangeError: seven'))).not.to.have.length(0);
    expect(why.filter((one) => one === null)).not.to.have.length(0);
  });
});
