import { expect } from 'chai';
import fc from 'fast-check';
import { StreamSlots } from '../../../src/tunnel/wire/stream-slots.ts';

describe('stream slots', () => {
  it('hold what a Map would, whatever comes and goes', () => {
    const odd = fc.integer({ min: 0, max: 600 }).map((n) => n * 2 + 1);
    const step = fc.record({ id: odd, remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2000, size: 'max' }), (steps) => {
        const slots = new StreamSlots<number>();
        const map = new Map<number, number>();
        for (const [index, { id, remove }] of steps.entries()) {
          if (remove) expect(slots.delete(id)).to.equal(map.delete(id));
          else {
            slots.set(id, index);
            map.set(id, index);
          }
        }
        expect(slots.size).to.equal(map.size);
        expect([...slots.values()]).to.have.members([...map.values()]);
        for (const { id } of steps) expect(slots.get(id)).to.equal(map.get(id));
      }),
      { numRuns: 50 },
    );
  });
});
