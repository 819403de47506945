import { expect } from 'chai';
import { type ApiResult, failureOf } from '../../src/cloudflare/api-failure.ts';
import type { Credentials } from '../../src/cloudflare/credentials.ts';
import { SharedReading } from '../../src/cloudflare/shared-reading.ts';
import { fault } from '../../src/fault.ts';
import { ManualClock } from '../support/manual-clock.ts';

const mine: Credentials = { accountId: 'a', apiToken: 'mine', zoneId: null, apiUrl: null };
const maxAgeMs = 1_000;
const never = new AbortController().signal;

/** A reading whose answers the test gives, one by one. */
function stage() {
  const clock = new ManualClock();
  const answers: ((answer: ApiResult<string>) => void)[] = [];
  const signals: AbortSignal[] = [];
  const reading = new SharedReading<string>('test.list', clock, (_, signal) => {
    signals.push(signal);
    return new Promise((resolve) => answers.push(resolve));
  });
  const answer = (value: string): void => answers.shift()!({ ok: true, value });
  return { clock, reading, answers, answer, signals };
}

describe('a reading that is shared', () => {
  it('serves everybody who asks before it is too old, counted from its beginning', async () => {
    const { clock, reading, answers, answer } = stage();
    const asked = [reading.get(mine, maxAgeMs, never), reading.get(mine, maxAgeMs, never)];
    await clock.advance(400);
    answer('first');
    for (const result of await Promise.all(asked)) expect(result).to.deep.equal({ ok: true, value: 'first' });
    await clock.advance(599);
    expect(await reading.get(mine, maxAgeMs, never)).to.deep.equal({ ok: true, value: 'first' });
    await clock.advance(1);
    const next = reading.get(mine, maxAgeMs, never);
    answer('second');
    expect(await next).to.deep.equal({ ok: true, value: 'second' });
    expect(answers).to.deep.equal([]);
  });

  it('goes on for the others when one gives up, and ends with its owner', async () => {
    const { reading, answer, signals } = stage();
    const stop = new AbortController();
    const [one, other] = [reading.get(mine, maxAgeMs, stop.signal), reading.get(mine, maxAgeMs, never)];
    stop.abort();
    const given = await one;
    expect(!given.ok && given.fault.code).to.equal('stopped');
    answer('first');
    expect(await other).to.deep.equal({ ok: true, value: 'first' });
    reading.close();
    expect(signals.map((signal) => signal.aborted)).to.deep.equal([true]);
  });

  it('is not given to other credentials, neither while it lasts nor afterwards', async () => {
    const { reading, answers, answer } = stage();
    const theirs = { ...mine, apiToken: 'theirs' };
    const [one, other] = [reading.get(mine, maxAgeMs, never), reading.get(theirs, maxAgeMs, never)];
    expect(answers).to.have.length(2);
    answer('of mine');
    answer('of theirs');
    expect(await one).to.deep.equal({ ok: true, value: 'of mine' });
    expect(await other).to.deep.equal({ ok: true, value: 'of theirs' });
    expect(await reading.get(theirs, maxAgeMs, never)).to.deep.equal({ ok: true, value: 'of theirs' });
  });

  it('that failed is begun again by the next who asks', async () => {
    const { reading, answers, answer } = stage();
    const failing = reading.get(mine, maxAgeMs, never);
    answers.shift()!(failureOf(fault('cloudflare-unreachable', 'no answer')));
    const failed = await failing;
    expect(!failed.ok && failed.fault.code).to.equal('cloudflare-unreachable');
    const next = reading.get(mine, maxAgeMs, never);
    answer('first');
    expect(await next).to.deep.equal({ ok: true, value: 'first' });
  });
});
