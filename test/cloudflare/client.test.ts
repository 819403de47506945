import { expect } from 'chai';
import { APIConnectionError, APIError } from 'cloudflare/core/error';
import { burstCalls } from '../../src/cloudflare/budget.ts';
import { type ApiCall, ApiClient, callTimeoutMs, type Priority } from '../../src/cloudflare/client.ts';
import type { Credentials } from '../../src/cloudflare/credentials.ts';
import { ManualClock, settle } from '../support/manual-clock.ts';

function credentials(apiToken: string): Credentials {
  return { accountId: 'account', apiToken, zoneId: null, apiUrl: null };
}

function stage() {
  const clock = new ManualClock();
  const counted: string[] = [];
  const mounted = { now: credentials('one') };
  const api = new ApiClient({
    credentials: () => ({ ok: true, value: mounted.now }),
    apiUrl: 'http://127.0.0.1:1',
    clock,
    random: () => 0.5,
    hooks: {
      called: (op, code) => counted.push(`${op} ${code}`),
    },
  });
  return { clock, api, counted, mounted };
}

function call<T>(send: ApiCall<T>['send'], priority: Priority = 'create', repeatable = false): ApiCall<T> {
  return { op: 'test.op', priority, repeatable, send };
}

function rateLimited(seconds: string): APIError {
  return APIError.generate(
    429,
    { errors: [{ code: 971, message: 'slow' }] },
    undefined,
    new Headers({ 'retry-after': seconds }),
  );
}

const never = new AbortController().signal;

describe('the API client', () => {
  it('stops at the budget and goes on as it refills', async () => {
    const { api, clock } = stage();
    let sent = 0;
    const calls = Array.from({ length: burstCalls + 3 }, () =>
      api.call(
        call(async () => ++sent),
        never,
      ),
    );
    await settle();
    expect(sent).to.equal(burstCalls);
    expect(api.budgetRemaining).to.equal(0);
    await clock.advance(2_000);
    expect(sent).to.equal(burstCalls + 3);
    await Promise.all(calls);
    await clock.advance(20_000);
    expect(api.budgetRemaining).to.equal(30);
    api.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('starts what ends exposure first, then what creates, then what tidies up', async () => {
    const { api, clock } = stage();
    const order: string[] = [];
    const spent = Array.from({ length: burstCalls }, () =>
      api.call(
        call(async () => 0),
        never,
      ),
    );
    await Promise.all(spent);
    const waiting = (['tend', 'create', 'close'] as const).map((priority) =>
      api.call(
        call(async () => order.push(priority), priority),
        never,
      ),
    );
    await clock.advance(5_000);
    await Promise.all(waiting);
    expect(order).to.deep.equal(['close', 'create', 'tend']);
    api.close();
  });

  it('holds back every call until Retry-After is over, and says so to each', async () => {
    const { api, clock, counted } = stage();
    const first = await api.call(
      call(() => Promise.reject(rateLimited('60')), 'create', true),
      never,
    );
    expect(!first.ok && first.fault.retryAfterMs).to.equal(60_000);
    await clock.advance(20_000);
    const held = await api.call(
      call(async () => 'sent'),
      never,
    );
    expect(!held.ok && [held.fault.code, held.fault.retryAfterMs]).to.deep.equal([
      'cloudflare-rate-limited',
      40_000,
    ]);
    expect(counted, 'calls made').to.deep.equal(['test.op 429']);
    await clock.advance(40_000);
    expect(
      await api.call(
        call(async () => 'sent'),
        never,
      ),
    ).to.deep.equal({ ok: true, value: 'sent' });
    api.close();
  });

  it('starts without the block of the credentials before', async () => {
    const { api, mounted } = stage();
    await api.call(
      call(() => Promise.reject(rateLimited('60'))),
      never,
    );
    mounted.now = credentials('two');
    expect(
      (
        await api.call(
          call(async () => 1),
          never,
        )
      ).ok,
    ).to.equal(true);
    api.close();
  });

  it('repeats a repeatable call whose answer was lost, with delays, and then gives up', async () => {
    const { api, clock, counted } = stage();
    const lost = api.call(
      call(() => Promise.reject(new APIConnectionError({ message: 'reset' })), 'tend', true),
      never,
    );
    await settle();
    expect(counted).to.have.length(1);
    await clock.advance(10_000);
    const result = await lost;
    expect(!result.ok && result.fault.code).to.equal('cloudflare-unreachable');
    expect(counted).to.deep.equal(['test.op network', 'test.op network', 'test.op network']);
    api.close();
  });

  it('never repeats a creation', async () => {
    const { api, clock, counted } = stage();
    const result = await api.call(
      call(() => Promise.reject(new APIConnectionError({ message: 'reset' }))),
      never,
    );
    expect(result.ok).to.equal(false);
    expect(counted).to.have.length(1);
    expect(clock.pendingTimers).to.equal(0);
    api.close();
  });

  it('gives up a call that is not answered in time', async () => {
    const { api, clock, counted } = stage();
    const hanging = api.call(
      call(
        (_sdk, { signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error()))),
      ),
      never,
    );
    await clock.advance(callTimeoutMs);
    const result = await hanging;
    expect(!result.ok && result.fault.message).to.match(/within 15 s/);
    expect(counted).to.deep.equal(['test.op timeout']);
    api.close();
  });

  it('settles at once when its caller stops, be the call waiting, running or between attempts', async () => {
    const { api, clock } = stage();
    const stop = new AbortController();
    const hang: ApiCall<never>['send'] = (_sdk, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error())));
    const running = Array.from({ length: 6 }, () => api.call(call(hang), stop.signal));
    const waiting = api.call(
      call(async () => 1),
      stop.signal,
    );
    await settle();
    stop.abort();
    for (const result of await Promise.all([...running, waiting])) {
      expect(!result.ok && result.fault.code).to.equal('stopped');
    }
    const stopLater = new AbortController();
    const between = api.call(
      call(() => Promise.reject(new APIConnectionError({ message: 'reset' })), 'tend', true),
      stopLater.signal,
    );
    await settle();
    stopLater.abort();
    const result = await between;
    expect(!result.ok && result.fault.code).to.equal('stopped');
    expect(clock.pendingTimers).to.equal(0);
    api.close();
  });

  it('answers what waits when it is closed, and everything after', async () => {
    const { api, clock } = stage();
    await Promise.all(
      Array.from({ length: burstCalls }, () =>
        api.call(
          call(async () => 0),
          never,
        ),
      ),
    );
    const waiting = api.call(
      call(async () => 1),
      never,
    );
    await settle();
    api.close();
    api.close();
    for (const result of [
      await waiting,
      await api.call(
        call(async () => 1),
        never,
      ),
    ]) {
      expect(!result.ok && result.fault.code).to.equal('stopped');
    }
    expect(clock.pendingTimers).to.equal(0);
  });

  it('reads a list to its end when the pages are smaller than asked for', async () => {
    const { api } = stage();
    const asked: number[] = [];
    const list = await api.list(
      {
        op: 'test.list',
        priority: 'create',
        perPage: 1_000,
        send: async (_, { page }) => {
          asked.push(page);
          return { result: page < 3 ? [page * 10, page * 10 + 1] : [30], result_info: { total_count: 5 } };
        },
        parse: Number,
      },
      never,
    );
    expect(list).to.deep.equal({ ok: true, value: [10, 11, 20, 21, 30] });
    expect(asked).to.deep.equal([1, 2, 3]);
    api.close();
  });

  it('reads a list anew whose length changes on the way, because one of it may have slipped to a page that was read', async () => {
    const { api } = stage();
    const there = ['one', 'two', 'three', 'four'];
    const asked: number[] = [];
    const list = await api.list(
      {
        op: 'test.list',
        priority: 'create',
        perPage: 2,
        send: async (_, { page, per_page: size }) => {
          asked.push(page);
          if (asked.length === 2) there.shift();
          return {
            result: there.slice((page - 1) * size, page * size),
            result_info: { total_count: there.length },
          };
        },
        parse: String,
      },
      never,
    );
    expect(list).to.deep.equal({ ok: true, value: ['two', 'three', 'four'] });
    expect(asked).to.deep.equal([1, 2, 1, 2]);
    api.close();
  });

  it('gives up a list that never stands still', async () => {
    const { api } = stage();
    let total = 1_000;
    let asked = 0;
    const list = await api.list(
      {
        op: 'test.list',
        priority: 'create',
        perPage: 1,
        send: async () => {
          asked += 1;
          return { result: ['some'], result_info: { total_count: total-- } };
        },
        parse: String,
      },
      never,
    );
    expect(!list.ok && list.fault.code).to.equal('cloudflare-unreachable');
    expect(asked).to.be.at.most(10);
    api.close();
  });

  it('makes no call without credentials', async () => {
    const clock = new ManualClock();
    const api = new ApiClient({
      credentials: () => ({ ok: false, fault: { code: 'credentials-invalid', message: 'none mounted' } }),
      apiUrl: null,
      clock,
      random: () => 0,
      hooks: { called: () => expect.fail('called') },
    });
    const result = await api.call(
      call(async () => 1),
      never,
    );
    expect(!result.ok && result.fault.message).to.equal('none mounted');
    api.close();
  });
});
