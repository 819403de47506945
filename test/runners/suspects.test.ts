import { assert } from 'chai';
import fc from 'fast-check';
import {
  type Death,
  lastingHealthMs,
  nextChangeMs,
  recent,
  suspectsOf,
  type Verdict,
  verdictOf,
  withDeath,
} from '../../src/runners/suspects.ts';

interface Account {
  readonly deaths: readonly Death[];
  readonly quarantined: Verdict['quarantined'];
}

function judged(deaths: readonly Death[], { quarantined }: Account, threads: number): Account {
  return {
    deaths,
    quarantined: verdictOf(deaths, { threads, tunnelsPerThread: 100 }, quarantined).quarantined,
  };
}

/** Deaths as `[atMs, tunnels]`, each tunnel a letter, judged one after the other. */
function accountOf(deaths: readonly (readonly [number, string])[], threads: number): Account {
  return deaths.reduce<Account>(
    (before, [atMs, tunnels]) =>
      judged(withDeath(before.deaths, { atMs, tunnels: new Set(tunnels) }), before, threads),
    { deaths: [], quarantined: new Map() },
  );
}

/** Who is alone, and, where there are such, who is among suspects: `alone|suspects`. */
function shown({ quarantined }: Account): string {
  const [alone, suspects] = (['nobody', 'suspects'] as const).map((kind) =>
    Array.from(quarantined, ([tunnel, company]) => (company === kind ? tunnel : ''))
      .sort()
      .join(''),
  );
  return suspects === '' ? `${alone}` : `${alone}|${suspects}`;
}

describe('quarantine', () => {
  const minute = 60_000;
  const cases: [string, [number, string][], number, string][] = [
    ['nobody after one death', [[0, 'abx']], 9, ''],
    [
      'the one that was on both dead threads',
      [
        [0, 'abx'],
        [1, 'cdx'],
      ],
      9,
      'x',
    ],
    [
      'all who were on both, as none of them can be told apart',
      [
        [0, 'abx'],
        [1, 'cax'],
      ],
      9,
      'ax',
    ],
    [
      'not more than there are threads for',
      [
        [0, 'abx'],
        [1, 'cax'],
      ],
      1,
      '',
    ],
    [
      'when the third death tells',
      [
        [0, 'abx'],
        [1, 'cax'],
        [2, 'bdx'],
      ],
      1,
      'x',
    ],
    [
      'all who were on both, among themselves where not all can be alone',
      [
        [0, 'abcdefghijklmnx'],
        [1, 'abcdefghijklmyx'],
      ],
      13,
      '|abcdefghijklmx',
    ],
    [
      'those alone who were on the third as well, and nobody else any more',
      [
        [0, 'abcdefghijklmnx'],
        [1, 'abcdefghijklmyx'],
        [2, 'azx'],
      ],
      13,
      'ax',
    ],
    [
      'nobody among suspects on so few threads that a death would hit most of them',
      [
        [0, 'abcdefghijklmnx'],
        [1, 'abcdefghijklmyx'],
      ],
      12,
      '',
    ],
    [
      'one that was alone both times',
      [
        [0, 'x'],
        [1, 'x'],
      ],
      9,
      'x',
    ],
    [
      'nobody, when two deaths have nobody in common',
      [
        [0, 'ab'],
        [1, 'cd'],
      ],
      9,
      '',
    ],
    [
      'nobody for a death that is long ago',
      [
        [0, 'ax'],
        [11 * minute, 'bx'],
      ],
      9,
      '',
    ],
    [
      'two, each for its own deaths',
      [
        [0, 'abx'],
        [1, 'cdy'],
        [2, 'efx'],
        [3, 'ghy'],
      ],
      9,
      'xy',
    ],
    [
      'the stronger suspect, when the weaker holds the only place',
      [
        [0, 'aw'],
        [1, 'bw'],
        [2, 'cdx'],
        [3, 'efx'],
        [4, 'ghx'],
      ],
      1,
      'x',
    ],
    [
      'no other one, while that one is proven guilty',
      [
        [0, 'aw'],
        [1, 'bw'],
        [2, 'w'],
        [3, 'cdx'],
        [4, 'efx'],
      ],
      1,
      'w',
    ],
    [
      'no longer those who died beside one that is now proven guilty',
      [
        [0, 'abx'],
        [1, 'abx'],
        [2, 'x'],
      ],
      9,
      'x',
    ],
  ];
  for (const [title, deaths, freeThreads, expected] of cases) {
    it(`is for ${title}`, () => assert.strictEqual(shown(accountOf(deaths, freeThreads)), expected));
  }

  it('ends after lasting health, counted from the last death', () => {
    const account = accountOf(
      [
        [0, 'abx'],
        [1000, 'cx'],
        [2000, 'dx'],
      ],
      9,
    );
    assert.strictEqual(nextChangeMs(account.deaths), lastingHealthMs);
    const later = judged(recent(account.deaths, lastingHealthMs + 1999), account, 9);
    assert.strictEqual(shown(later), 'x');
    const healthy = judged(recent(later.deaths, lastingHealthMs + 2000), later, 9);
    assert.strictEqual(shown(healthy), '');
    assert.isEmpty([...suspectsOf(healthy.deaths)]);
    assert.isNull(nextChangeMs(healthy.deaths));
  });

  it('finds a culprit among any neighbours by the second death that only it has seen', () => {
    const neighbours = fc.uniqueArray(
      fc.integer({ min: 0, max: 60 }).map((index) => `n${index}`),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(fc.array(neighbours, { minLength: 2, maxLength: 12 }), (threads) => {
        let account = accountOf([], 1);
        let common = new Set(threads[0]);
        for (const [atMs, tunnels] of threads.entries()) {
          account = judged(
            withDeath(account.deaths, { atMs, tunnels: new Set([...tunnels, 'x']) }),
            account,
            1,
          );
          common = new Set(tunnels.filter((tunnel) => common.has(tunnel)));
          if (atMs > 0 && common.size === 0) assert.isTrue(account.quarantined.has('x'));
        }
        const innocent = [...account.quarantined.keys()].filter((tunnel) => tunnel !== 'x');
        assert.isEmpty(innocent, 'with one free thread nobody but the one that was on all');
      }),
    );
  });
});
