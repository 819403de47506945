import { expect } from 'chai';
import {
  candidacy,
  type LeaseRecord,
  leads,
  leaseDurationMs,
  renewalDeadlineMs,
  sight,
} from '../../src/domain/election.ts';

const of = (holder: string, stamp = 'a', durationMs = 10_000): LeaseRecord => ({ holder, stamp, durationMs });

describe('an election', () => {
  const cases = [
    { it: 'takes a Lease that is not there', record: null, atMs: 0, does: { do: 'take' } },
    { it: 'takes one that was given back', record: of(''), atMs: 0, does: { do: 'take' } },
    { it: 'renews its own, however old', record: of('me'), atMs: 99_000, does: { do: 'renew' } },
    { it: "waits for the rest of another's", record: of('b'), atMs: 9_999, does: { do: 'wait', forMs: 1 } },
    { it: "takes another's that did not change", record: of('b'), atMs: 10_000, does: { do: 'take' } },
    {
      it: 'asks the record how long it is valid',
      record: of('b', 'a', 2_000),
      atMs: 2_000,
      does: { do: 'take' },
    },
    { it: 'waits for nobody for ever', record: of('b', 'a', 1e12), atMs: 60_000, does: { do: 'take' } },
  ] as const;
  for (const { it: name, record, atMs, does } of cases) {
    it(name, () => expect(candidacy({ record, sinceMs: 0 }, 'me', atMs)).to.deep.equal(does));
  }

  it('counts from the last change that it saw', () => {
    const first = sight(null, of('b', '1'), 100);
    const unchanged = sight(first, of('b', '1'), 5_000);
    const renewed = sight(unchanged, of('b', '2'), 6_000);
    expect(unchanged.sinceMs).to.equal(100);
    expect(renewed.sinceMs).to.equal(6_000);
    expect(sight(renewed, null, 7_000)).to.deep.equal({ record: null, sinceMs: 7_000 });
  });

  it('has a holder give up well before anybody may take over', () => {
    expect(leads(0, renewalDeadlineMs - 1)).to.equal(true);
    expect(leads(0, renewalDeadlineMs)).to.equal(false);
    expect(leaseDurationMs - renewalDeadlineMs).to.be.at.least(3_000);
  });
});
