import { assert } from 'chai';
import fc from 'fast-check';
import { Random } from '../../fuzz/random.ts';
import { type EdgeAddress, EdgeAddresses } from '../../src/tunnel/edge-addresses.ts';
import { avoidFailedMs, EdgeFailures, familyFallbackMs } from '../../src/tunnel/edge-failures.ts';

const at = (ip: string): EdgeAddress => ({ ip, port: 7844 });
const low = (): number => 0;

describe('edge addresses', () => {
  it('spread connections over both regions, each address used once', () => {
    const addresses = new EdgeAddresses([['a', 'b'].map(at), ['c', 'd'].map(at)], Math.random);
    const taken = [0, 1, 2, 3].map((connIndex) => addresses.take(connIndex, 0)?.ip ?? '');
    assert.sameMembers(taken, ['a', 'b', 'c', 'd']);
    const regions = taken.map((ip) => (ip < 'c' ? 1 : 2));
    assert.notStrictEqual(regions[0], regions[1], 'the second one goes to the other region');
  });

  it('are shared evenly when there are fewer than connections', () => {
    const addresses = new EdgeAddresses([[at('a')], [at('b')]], Math.random);
    const taken = [0, 1, 2, 3].map((connIndex) => addresses.take(connIndex, 0)?.ip ?? '');
    assert.sameMembers(taken, ['a', 'a', 'b', 'b']);
    assert.isNull(new EdgeAddresses([[], []], Math.random).take(0, 0));
  });

  it('rotate away from a dead one even when all others are used', () => {
    const addresses = new EdgeAddresses([[at('a')], [at('b')]], low);
    const before = [addresses.take(0, 0)?.ip, addresses.take(1, 0)?.ip];
    addresses.rotate(1, 0, true);
    assert.strictEqual(addresses.take(1, 0)?.ip, before[0]);
  });

  it('keep the address of a connection that asks again', () => {
    const addresses = new EdgeAddresses([['a', 'b'].map(at), ['c'].map(at)], Math.random);
    assert.strictEqual(addresses.take(0, 0), addresses.take(0, 0));
  });

  it('rotate to a different one', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (numbers) => {
        const random = (): number => numbers.next().value as number;
        const addresses = new EdgeAddresses([['a', 'b'].map(at), ['c'].map(at)], random);
        const before = addresses.take(0, 0);
        addresses.rotate(0, 0, true);
        assert.notStrictEqual(addresses.take(0, 0), before);
      }),
    );
  });

  it('rotate to the same one when there is no other', () => {
    const addresses = new EdgeAddresses([[at('a')], []], low);
    addresses.take(0, 0);
    addresses.rotate(0, 0, true);
    assert.strictEqual(addresses.take(0, 0)?.ip, 'a');
  });

  it('count each occurrence of a static address', () => {
    const addresses = new EdgeAddresses([[at('a')], [at('a')]], low);
    assert.strictEqual(addresses.take(0, 0)?.ip, 'a');
    assert.strictEqual(addresses.take(1, 0)?.ip, 'a');
  });

  it('go to IPv4 for a while when IPv6 cannot be reached', () => {
    const addresses = new EdgeAddresses([['::1', '::2', '10.0.0.1'].map(at), []], low);
    assert.strictEqual(addresses.take(0, 0)?.ip, '::1');
    addresses.rotate(0, 0, true);
    assert.strictEqual(addresses.take(0, 0)?.ip, '10.0.0.1');
    assert.include(addresses.take(1, familyFallbackMs)?.ip, '::', 'and later IPv6 comes first again');
  });

  it('leave a region that cannot be reached after two tries, however many addresses it has', () => {
    const region = (letter: string) => Array.from({ length: 10 }, (_, index) => at(`${letter}${index}`));
    fc.assert(
      fc.property(fc.integer({ min: 1 }), (seed) => {
        const random = new Random(seed);
        const addresses = new EdgeAddresses([region('a'), region('b')], () => random.uint32() / 2 ** 32);
        const ipOf = (connIndex: number): string => addresses.take(connIndex, 0)?.ip ?? '';
        const connections = [0, 1, 2, 3];
        connections.forEach(ipOf);
        let dials = 0;
        for (const connIndex of connections) {
          for (; ipOf(connIndex).startsWith('a'); dials += 1) addresses.rotate(connIndex, 0, true);
        }
        assert.isAtMost(dials, 3);
      }),
    );
  });

  it('that failed come last, until that was long ago', () => {
    const addresses = new EdgeAddresses([['a', 'b'].map(at), []], low);
    assert.strictEqual(addresses.take(0, 0)?.ip, 'a');
    addresses.rotate(0, 0, true);
    assert.strictEqual(addresses.take(1, 1)?.ip, 'b', 'shared rather than dead');
    assert.strictEqual(addresses.take(2, avoidFailedMs)?.ip, 'a');
  });

  it('are avoided on the next list, too, when they failed on this one', () => {
    const failures = new EdgeFailures();
    const before = new EdgeAddresses([[at('a')], []], low, failures);
    before.take(0, 0);
    before.rotate(0, 0, true);
    assert.strictEqual(new EdgeAddresses([['a', 'b'].map(at), []], low, failures).take(0, 1)?.ip, 'b');
  });

  it('know which addresses are held when they were looked up again', () => {
    const addresses = new EdgeAddresses([['a', 'b'].map(at), []], low);
    addresses.keep(1, at('a'));
    assert.strictEqual(addresses.take(0, 0)?.ip, 'b');
    assert.strictEqual(addresses.take(1, 0)?.ip, 'a');
  });
});
