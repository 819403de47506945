import { assert } from 'chai';
import { systemClock } from '../../src/time/clock.ts';
import {
  discoverEdge,
  discoveryTimeoutMs,
  inServiceOrder,
  parseHostPort,
} from '../../src/tunnel/edge-discovery.ts';
import {
  type EdgeResolver,
  firstResolverMs,
  type ServiceRecord,
  withFallback,
} from '../../src/tunnel/edge-resolver.ts';
import type { EdgeSettings } from '../../src/tunnel/link.ts';
import { keptLog } from '../support/kept-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

const record = (name: string, priority = 1, weight = 1): ServiceRecord => ({
  name,
  port: 7844,
  priority,
  weight,
});
const settings = (addresses: readonly string[], region = ''): EdgeSettings => ({
  addresses,
  ca: null,
  region,
});

function resolverOf(
  zones: Readonly<Record<string, readonly ServiceRecord[] | readonly string[]>>,
): EdgeResolver {
  const answer = async <T>(name: string): Promise<T> => {
    const found = zones[name];
    if (found === undefined) throw new Error(`ENOTFOUND ${name}`);
    return found as T;
  };
  return { services: answer, addresses: answer };
}

const deps = (resolver: EdgeResolver) => ({
  resolver,
  clock: systemClock,
  random: () => 0,
  log: keptLog().log,
});

describe('edge discovery', () => {
  it('takes the first two SRV targets as the two regions', async () => {
    const resolver = resolverOf({
      '_us-v2-origintunneld._tcp.argotunnel.com': [record('late', 3), record('r2', 2), record('r1', 1)],
      r1: ['192.0.2.1', '192.0.2.2'],
      r2: ['2001:db8::1'],
    });
    assert.deepEqual(await discoverEdge(settings([], 'us'), deps(resolver)), {
      ok: true,
      value: [
        [
          { ip: '192.0.2.1', port: 7844 },
          { ip: '192.0.2.2', port: 7844 },
        ],
        [{ ip: '2001:db8::1', port: 7844 }],
      ],
    });
  });

  it('asks the default name without a region, and needs two targets', async () => {
    const resolver = resolverOf({
      '_v2-origintunneld._tcp.argotunnel.com': [record('r1')],
      r1: ['192.0.2.1'],
    });
    const found = await discoverEdge(settings([]), deps(resolver));
    assert.match(found.ok ? '' : found.fault.message, /names 1 targets, expected two/);
  });

  it('puts static addresses into the regions by turns, names resolved to one address', async () => {
    const resolver = resolverOf({ 'edge.test': ['192.0.2.9', '192.0.2.8'] });
    const found = await discoverEdge(settings(['127.0.0.1:1', 'edge.test:2', '[::1]:3']), deps(resolver));
    assert.deepEqual(found, {
      ok: true,
      value: [
        [
          { ip: '127.0.0.1', port: 1 },
          { ip: '::1', port: 3 },
        ],
        [{ ip: '192.0.2.9', port: 2 }],
      ],
    });
  });

  it('leaves out a static address whose name has none, and says so', async () => {
    const { log, lines } = keptLog();
    const found = await discoverEdge(settings(['nowhere.test:1', '127.0.0.1:2', '[::1]:3']), {
      ...deps(resolverOf({})),
      log,
    });
    assert.deepEqual(found, {
      ok: true,
      value: [[{ ip: '127.0.0.1', port: 2 }], [{ ip: '::1', port: 3 }]],
    });
    assert.deepEqual(
      lines.map(({ msg, address, reason }) => [msg, address, reason]),
      [['edge address left out', 'nowhere.test:1', 'Error: ENOTFOUND nowhere.test']],
    );
  });

  it('does not wait for ever for the name of one static address', async () => {
    const clock = new ManualClock();
    const never: EdgeResolver = {
      services: () => Promise.reject(new Error('unused')),
      addresses: (_, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    };
    const found = discoverEdge(settings(['silent.test:1', '127.0.0.1:2']), { ...deps(never), clock });
    await clock.advance(discoveryTimeoutMs);
    assert.deepEqual(await found, { ok: true, value: [[{ ip: '127.0.0.1', port: 2 }], []] });
  });

  it('says what could not be resolved', async () => {
    const found = await discoverEdge(settings(['nowhere.test:7844']), deps(resolverOf({})));
    assert.deepEqual(found.ok ? '' : found.fault.code, 'edge-discovery');
    assert.match(found.ok ? '' : found.fault.message, /ENOTFOUND nowhere.test/);
  });

  it('gives up on a resolver that never answers', async () => {
    const clock = new ManualClock();
    const never: EdgeResolver = {
      services: (_, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      addresses: () => Promise.reject(new Error('unused')),
    };
    const found = discoverEdge(settings([]), { ...deps(never), clock });
    await clock.advance(discoveryTimeoutMs);
    const result = await found;
    assert.match(result.ok ? '' : result.fault.message, /no answer within 30000 ms/);
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('asks the second resolver when the first fails, and only for what it found itself', async () => {
    const { signal } = new AbortController();
    const second = resolverOf({ _edge: [record('r1')], r1: ['192.0.2.1'], 'internal.test': ['192.0.2.66'] });
    const both = withFallback(resolverOf({}), second, new ManualClock());
    assert.deepEqual(await both.services('_edge', signal), [record('r1')]);
    assert.deepEqual(await both.addresses('r1', signal), ['192.0.2.1']);
    const message = (promise: Promise<unknown>) => promise.then(String, (error: Error) => error.message);
    assert.strictEqual(await message(both.addresses('internal.test', signal)), 'ENOTFOUND internal.test');
    assert.strictEqual(await message(both.services('_no', signal)), 'ENOTFOUND _no; ENOTFOUND _no');
  });

  it('asks the second resolver when the first is silent, and the first for what it names again', async () => {
    const { signal } = new AbortController();
    const clock = new ManualClock();
    const answers = resolverOf({ _edge: [record('r1')], r1: ['192.0.2.1'] });
    let isSilent = true;
    const first: EdgeResolver = {
      services: (name, until) =>
        isSilent
          ? new Promise((_resolve, reject) => until.addEventListener('abort', () => reject(until.reason)))
          : answers.services(name, until),
      addresses: answers.addresses,
    };
    const second = resolverOf({ _edge: [record('r1')], r1: ['192.0.2.2'] });
    const both = withFallback(first, second, clock);
    const found = both.services('_edge', signal);
    await clock.advance(firstResolverMs);
    assert.deepEqual(await found, [record('r1')]);
    assert.deepEqual(await both.addresses('r1', signal), ['192.0.2.2']);
    isSilent = false;
    await both.services('_edge', signal);
    assert.deepEqual(await both.addresses('r1', signal), ['192.0.2.1']);
    assert.strictEqual(clock.pendingTimers, 0);
  });

  it('orders SRV by priority, and within one by weight', () => {
    const records = [record('light', 1, 1), record('heavy', 1, 9), record('first', 0, 0)];
    const order = (random: number) => inServiceOrder(records, () => random).map(({ name }) => name);
    assert.deepEqual(order(0.05), ['first', 'light', 'heavy']);
    assert.deepEqual(order(0.5), ['first', 'heavy', 'light']);
  });

  const hostPorts: [string, { host: string; port: number } | null][] = [
    ['a.example:7844', { host: 'a.example', port: 7844 }],
    ['[::1]:1', { host: '::1', port: 1 }],
    ['::1:1', null],
    ['a.example', null],
    ['a.example:0', null],
    ['a.example:70000', null],
    [':1', null],
  ];
  for (const [text, expected] of hostPorts) {
    it(`reads ${text} as ${expected === null ? 'nothing' : 'host and port'}`, () =>
      assert.deepEqual(parseHostPort(text), expected));
  }
});
