import { expect } from 'chai';
import { type ApiResult, failureOf } from '../../src/cloudflare/api-failure.ts';
import { Availability } from '../../src/cloudflare/availability.ts';
import { shareOfBudget } from '../../src/cloudflare/budget.ts';
import { fault } from '../../src/fault.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

const answer: ApiResult<unknown> = { ok: true, value: null };
const silence = failureOf(fault('cloudflare-unreachable', 'no answer'));
const refusal = failureOf(fault('cloudflare-refused', 'no'));
const create = 'tunnels.create';

/** Probes are answered with `now`, and noted with the second at which they were made. */
function stage(processes = 1) {
  const clock = new ManualClock();
  const api: { now: ApiResult<unknown> } = { now: answer };
  const probes: string[] = [];
  const returns: number[] = [];
  const log = { info() {}, warn() {} };
  const availability = new Availability({
    clock,
    random: () => 0,
    processes,
    log,
    probe: async (area) => {
      probes.push(`${area} ${clock.monotonic() / 1000}`);
      return api.now;
    },
    returned: () => returns.push(clock.monotonic() / 1000),
  });
  const isAway = (op = create): boolean => availability.faultOf(op) !== null;
  return { clock, api, probes, returns, availability, isAway };
}

/** The API has been found to be away, for creations of tunnels. */
async function awayStage() {
  const staged = stage();
  staged.api.now = silence;
  staged.availability.heard(create, silence);
  await settle();
  return staged;
}

describe('whether Cloudflare’s API is there', () => {
  it('is asked by one probe, ever less often, and told as soon as there is an answer', async () => {
    const { clock, api, probes, returns, availability, isAway } = stage();
    api.now = silence;
    for (let call = 0; call < 1_000; call++) availability.heard(create, silence);
    await settle();
    expect(isAway()).to.equal(true);
    await clock.advance(300_000);
    // One each 2.5 s, the cap without jitter.
    expect(probes.length).to.be.within(115, 125);
    expect(returns).to.deep.equal([]);
    api.now = refusal;
    await clock.advance(5_000);
    expect(isAway()).to.equal(false);
    expect(returns).to.have.length(1);
    expect(clock.pendingTimers).to.equal(0);
  });

  for (const processes of [1, 2, 8, 64]) {
    it(`is asked with half at most of what each of ${processes} processes may spend, so that the rest is for who has to do`, async () => {
      const { clock, api, probes, availability } = stage(processes);
      const budget = shareOfBudget(0, processes);
      api.now = silence;
      availability.heard('dns.create', silence);
      availability.heard(create, silence);
      await clock.advance(300_000);
      const settled = probes.length;
      const minutes = 10 * processes;
      await clock.advance(minutes * 60_000);
      for (let spent = budget.remaining(0); spent > 0; spent--) budget.spend(0);
      const earned = (minutes * 60_000) / budget.waitMs(0);
      expect((probes.length - settled) / earned).to.be.below(0.55);
      availability.close();
    });
  }

  it('is not doubted for what fails alone, which costs a probe each five seconds and no more', async () => {
    const { clock, probes, returns, availability, isAway } = stage();
    for (let second = 0; second < 60; second++) {
      availability.heard(create, silence);
      await clock.advance(1_000);
      expect(isAway()).to.equal(false);
    }
    expect(probes.length).to.be.within(10, 13);
    expect(returns).to.deep.equal([]);
  });

  it('is known of tunnels and of records apart', async () => {
    const { api, availability, isAway } = stage();
    api.now = silence;
    availability.heard('dns.create', silence);
    await settle();
    expect([isAway('dns.list'), isAway('zones.list'), isAway(create)]).to.deep.equal([true, true, false]);
    availability.close();
  });

  it('is learned from any call that was under way, too', async () => {
    const { clock, returns, availability, isAway } = await awayStage();
    availability.heard('tunnels.token', answer);
    expect(isAway()).to.equal(false);
    expect(returns).to.deep.equal([0]);
    await settle();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('is asked when the time is over for which Cloudflare wanted no calls', async () => {
    const { clock, api, probes, returns, availability } = stage();
    api.now = failureOf(fault('cloudflare-rate-limited', 'not now', 60_000));
    availability.heard(create, api.now);
    await clock.advance(59_000);
    api.now = answer;
    expect(probes).to.deep.equal([]);
    await clock.advance(1_000);
    expect(probes).to.deep.equal(['tunnels 60']);
    expect(returns).to.deep.equal([60]);
  });

  it('is told to be back also to those who were held up while it was only doubted', async () => {
    const { clock, api, returns, availability, isAway } = await awayStage();
    api.now = answer;
    await clock.advance(5_000);
    const before = returns.length;
    // A call that was under way hears of a wish for no calls; others are held back by it.
    availability.heard(create, silence);
    availability.heard(create, failureOf(fault('cloudflare-rate-limited', 'not now', 1_000)));
    expect(isAway()).to.equal(true);
    await clock.advance(1_000);
    expect(isAway()).to.equal(false);
    expect(returns.length).to.equal(before + 1);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('begins slowly again when it goes away soon after its return', async () => {
    const { clock, api, probes, availability } = stage();
    api.now = silence;
    availability.heard(create, silence);
    await clock.advance(60_000);
    availability.heard(create, answer);
    availability.heard(create, silence);
    const before = probes.length;
    await clock.advance(9_000);
    // After 5 s, and each 2.5 s from then on.
    expect(probes.length - before).to.equal(2);
    availability.close();
  });

  it('is open again for other credentials, and asked by nobody after the end', async () => {
    const { clock, probes, availability, isAway } = await awayStage();
    availability.forget();
    expect(isAway()).to.equal(false);
    availability.heard(create, silence);
    await settle();
    availability.close();
    availability.close();
    const before = probes.length;
    availability.heard('dns.list', silence);
    await clock.advance(60_000);
    expect(probes).to.have.length(before);
    expect(clock.pendingTimers).to.equal(0);
  });
});
