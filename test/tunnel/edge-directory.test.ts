import { assert } from 'chai';
import { EdgeDirectory, rediscoverAfterMs } from '../../src/tunnel/edge-directory.ts';
import type { EdgeResolver } from '../../src/tunnel/edge-resolver.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('edge directory', () => {
  let clock: ManualClock;
  let lookups: number;
  let isDnsAway: boolean;
  /** Its services have no host: what the system's resolver makes of such a one is an empty list. */
  let isNowhere: boolean;
  let directory: EdgeDirectory;
  const resolver: EdgeResolver = {
    async services() {
      lookups += 1;
      if (isDnsAway) throw new Error('SERVFAIL');
      return ['one', 'two'].map((name) => ({ name, port: 7844, priority: 1, weight: 1 }));
    },
    addresses: async (name) =>
      isNowhere ? [] : name === 'one' ? ['192.0.2.1', '192.0.2.2'] : ['198.51.100.1'],
  };
  const ipOf = async (connIndex: number): Promise<string> => {
    const address = await directory.addressOf(connIndex);
    if (!address.ok) throw new Error(address.fault.message);
    return address.value.ip;
  };

  beforeEach(() => {
    clock = new ManualClock();
    lookups = 0;
    isDnsAway = false;
    isNowhere = false;
    const settings = { addresses: [], ca: null, region: '' };
    directory = new EdgeDirectory(settings, { clock, random: () => 0, resolver, log: keptLog().log });
  });
  afterEach(() => assert.strictEqual(clock.pendingTimers, 0));

  it('looks once for all connections, and again when one fails after the list has aged', async () => {
    await Promise.all([ipOf(0), ipOf(1)]);
    assert.strictEqual(lookups, 1);
    directory.rotate(0, true);
    await ipOf(0);
    assert.strictEqual(lookups, 1);
    await clock.advance(rediscoverAfterMs);
    directory.rotate(0, true);
    await ipOf(0);
    assert.strictEqual(lookups, 2);
  });

  it('gives what it knew while DNS is away, and asks again', async () => {
    const before = await ipOf(0);
    await clock.advance(rediscoverAfterMs);
    isDnsAway = true;
    directory.rotate(0, true);
    const other = await ipOf(0);
    assert.notStrictEqual(other, before);
    await clock.advance(0);
    isDnsAway = false;
    assert.strictEqual(await ipOf(0), other);
    assert.strictEqual(lookups, 3);
  });

  it('asks again after an answer without any address', async () => {
    isNowhere = true;
    const found = await directory.addressOf(0);
    assert.strictEqual(found.ok ? '' : found.fault.code, 'edge-discovery');
    isNowhere = false;
    assert.isNotEmpty(await ipOf(0));
  });

  it('keeps what it knew where a new answer has no address', async () => {
    const before = await ipOf(0);
    await clock.advance(rediscoverAfterMs);
    isNowhere = true;
    directory.rotate(0, true);
    await ipOf(0);
    await clock.advance(0);
    assert.notStrictEqual(await ipOf(0), before);
  });

  for (const [title, ageMs] of [
    ['a young list', 0],
    ['a list that is looked up again', rediscoverAfterMs],
  ] as const) {
    for (const unreachable of [true, false]) {
      it(`goes elsewhere from ${title} after ${unreachable ? 'a failed dial' : 'EDUPCONN'}`, async () => {
        const before = await ipOf(0);
        await clock.advance(ageMs);
        directory.rotate(0, unreachable);
        assert.notStrictEqual(await ipOf(0), before);
      });
    }
  }
});
