import { expect } from 'chai';
import {
  maxVerifiedTokens,
  VerifiedTokens,
  verifiedForMs,
} from '../../../src/tunnel/access/verified-tokens.ts';
import { ManualClock } from '../../support/manual-clock.ts';

describe('verified tokens', () => {
  const audiences = ['a'];

  it('are known for some minutes', async () => {
    const clock = new ManualClock();
    const tokens = new VerifiedTokens(clock);
    const token = { audiences, expiresAtMs: clock.now() + 3_600_000 };
    tokens.add('t', token);
    await clock.advance(verifiedForMs - 1);
    expect(tokens.find('t')).to.equal(token);
    expect(tokens.find('T')).to.equal(null);
    await clock.advance(1);
    expect(tokens.find('t')).to.equal(null);
    expect(tokens.size).to.equal(0);
  });

  it('are never known longer than they are valid', async () => {
    const clock = new ManualClock();
    const tokens = new VerifiedTokens(clock);
    tokens.add('t', { audiences, expiresAtMs: clock.now() + 1_000 });
    await clock.advance(999);
    expect(tokens.find('t')).to.not.equal(null);
    await clock.advance(1);
    expect(tokens.find('t')).to.equal(null);
  });

  it('make room by the one that was used longest ago', () => {
    const clock = new ManualClock();
    const tokens = new VerifiedTokens(clock);
    const token = { audiences, expiresAtMs: clock.now() + 3_600_000 };
    for (let i = 0; i < maxVerifiedTokens; i += 1) tokens.add(`t${i}`, token);
    tokens.find('t0');
    tokens.add('one more', token);
    expect(tokens.size).to.equal(maxVerifiedTokens);
    expect(tokens.find('t0')).to.equal(token);
    expect(tokens.find('t1')).to.equal(null);
  });
});
