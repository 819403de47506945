import { expect } from 'chai';
import { tendAccount } from '../../src/account-tending.ts';
import { type Fault, failed, ok, type Result } from '../../src/fault.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedLeadership } from '../support/scripted-leadership.ts';

const view = { accountId: 'a', zones: ['example.com'], tunnels: 1 };

describe('what the leader asks Cloudflare for the account', () => {
  let clock: ManualClock;
  let leadership: ScriptedLeadership;
  let asked: string[];
  let answer: Result<typeof view>;
  /** Before that one. */
  let answers: Promise<Result<typeof view>>[];
  let isProvisioning: boolean;
  let judged: (Fault | null)[];
  let account: ReturnType<typeof tendAccount>;

  beforeEach(() => {
    clock = new ManualClock();
    leadership = new ScriptedLeadership();
    asked = [];
    answer = ok(view);
    answers = [];
    isProvisioning = false;
    judged = [];
    account = tendAccount({
      cloudflare: {
        check: async () => {
          asked.push('check');
          return answers.shift() ?? answer;
        },
        startCounting: () => void asked.push('count'),
        stopCounting: () => {},
      },
      leadership,
      clock,
      log: { info() {} } as never,
      isProvisioning: () => isProvisioning,
      judged: (fault) => judged.push(fault),
    });
  });
  afterEach(() => {
    account.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('is nothing before all that is known has had time to serve', async () => {
    account.credentialsChanged();
    account.start();
    await clock.advance(29_999);
    expect(asked).to.deep.equal([]);
    await clock.advance(1);
    expect(asked).to.deep.equal(['count', 'check']);
    expect(judged).to.deep.equal([null]);
  });

  it('is asked at once where something is to be made anyway', async () => {
    isProvisioning = true;
    account.start();
    await clock.advance(0);
    expect(asked).to.deep.equal(['count', 'check']);
  });

  it('is nothing while another leads, and what was missed is made up for', async () => {
    leadership.isLeading = false;
    account.start();
    account.credentialsChanged();
    await clock.advance(600_000);
    expect(asked).to.deep.equal([]);
    leadership.isLeading = true;
    await clock.advance(30_000);
    expect(asked).to.deep.equal(['count', 'check']);
  });

  it('is asked at once for credentials that arrive, and once for each', async () => {
    account.start();
    await clock.advance(30_000);
    answer = failed('credentials-invalid', 'no zones');
    account.credentialsChanged();
    await clock.advance(600_000);
    expect(asked.filter((what) => what === 'check')).to.have.length(2);
    expect(judged.map((fault) => fault?.code ?? null)).to.deep.equal([null, 'credentials-invalid']);
  });

  it('does not believe what is said of credentials that have been replaced meanwhile', async () => {
    const late = Promise.withResolvers<Result<typeof view>>();
    account.start();
    answers.push(late.promise);
    await clock.advance(30_000);
    account.credentialsChanged();
    await clock.advance(0);
    late.resolve(failed('credentials-invalid', 'the token of before is revoked'));
    await clock.advance(0);
    expect(judged).to.deep.equal([null]);
  });

  it('asks again by itself when the API was away for too short a time for anybody to tell of its return', async () => {
    answers.push(Promise.resolve(failed('cloudflare-unreachable', 'HTTP 503')));
    answer = failed('credentials-invalid', 'no zones');
    account.start();
    await clock.advance(60_000);
    expect(judged.map((fault) => fault?.code ?? null)).to.deep.equal([null, 'credentials-invalid']);
  });

  it('says nothing about the credentials when the API is away', async () => {
    answer = failed('cloudflare-unreachable', 'no answer');
    account.start();
    await clock.advance(30_000);
    expect(judged).to.deep.equal([null]);
  });

  it('asks once more when the API is back that was away, and not again', async () => {
    answer = failed('cloudflare-unreachable', 'no answer');
    account.start();
    await clock.advance(30_000);
    answer = failed('credentials-invalid', 'no zones');
    for (let time = 0; time < 2; time++) {
      account.cloudflareReturned();
      await clock.advance(0);
    }
    expect(asked.filter((what) => what === 'check')).to.have.length(2);
    expect(judged.map((fault) => fault?.code ?? null)).to.deep.equal([null, 'credentials-invalid']);
  });
});
