import { expect } from 'chai';
import { parseDurationMs } from '../../src/time/duration.ts';

describe('parseDurationMs', () => {
  for (const [text, ms] of [
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['0', 0],
    ['0s', 0],
    ['1500us', 2],
    ['2h45m', 9_900_000],
    ['', null],
    ['30', null],
    ['s', null],
    ['-1s', null],
    ['1s ', null],
    ['1d', null],
    ['1e3s', null],
    ['9999999999999999h', null],
  ] as const) {
    it(`${JSON.stringify(text)} is ${ms === null ? 'no duration' : `${ms} ms`}`, () => {
      expect(parseDurationMs(text)).to.equal(ms);
    });
  }
});
