import { assert } from 'chai';
import fc from 'fast-check';
import {
  type Evidence,
  lastingHealthMs,
  nextChangeMs,
  noEvidence,
  suspectsOf,
  withDeath,
  withTime,
} from '../../src/runners/suspects.ts';

/** Deaths as `[atMs, tunnels]`, each tunnel a letter. */
function evidenceOf(deaths: readonly (readonly [number, string])[], freeThreads = 100): Evidence {
  return deaths.reduce(
    (evidence, [atMs, tunnels]) => withDeath(evidence, { atMs, tunnels: new Set(tunnels) }, freeThreads),
    noEvidence,
  );
}

const quarantined = (evidence: Evidence): string => [...evidence.quarantined].sort().join('');

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
    it(`is for ${title}`, () => assert.strictEqual(quarantined(evidenceOf(deaths, freeThreads)), expected));
  }

  it('ends after lasting health, counted from the last death', () => {
    const evidence = evidenceOf([
      [0, 'abx'],
      [1000, 'cx'],
      [2000, 'x'],
    ]);
    assert.strictEqual(nextChangeMs(evidence), lastingHealthMs);
    assert.strictEqual(quarantined(withTime(evidence, lastingHealthMs + 1999)), 'x');
    const healthy = withTime(evidence, lastingHealthMs + 2000);
    assert.strictEqual(quarantined(healthy), '');
    assert.isEmpty([...suspectsOf(healthy)]);
    assert.isNull(nextChangeMs(healthy));
  });

  it('finds a culprit among any neighbours by the second death that only it has seen', () => {
    const neighbours = fc.uniqueArray(
      fc.integer({ min: 0, max: 60 }).map((index) => `n${index}`),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(fc.array(neighbours, { minLength: 2, maxLength: 12 }), (threads) => {
        let evidence = noEvidence;
        let common = new Set(threads[0]);
        for (const [atMs, tunnels] of threads.entries()) {
          evidence = withDeath(evidence, { atMs, tunnels: new Set([...tunnels, 'x']) }, 1);
          common = new Set(tunnels.filter((tunnel) => common.has(tunnel)));
          if (atMs > 0 && common.size === 0) assert.isTrue(evidence.quarantined.has('x'));
        }
        const innocent = [...evidence.quarantined].filter((tunnel) => tunnel !== 'x');
        assert.isEmpty(innocent, 'with one free thread nobody but the one that was on all');
      }),
    );
  });
});
