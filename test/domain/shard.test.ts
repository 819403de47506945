import { assert } from 'chai';
import fc from 'fast-check';
import { defaultOriginSettings, type IngressSpec } from '../../src/domain/ingress.ts';
import { shardOf, shareOf } from '../../src/domain/shard.ts';

const hosts = Array.from({ length: 3_000 }, (_, index) => `app-${index}.example.com`);

describe('shard of a host', () => {
  it('is one of them, for any name and number', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 64 }), (name, count) => {
        assert.include([...Array(count).keys()], shardOf(name, count));
      }),
    );
  });

  it('spreads hosts evenly', () => {
    for (const count of [2, 3, 10]) {
      const loads = new Array<number>(count).fill(0);
      for (const host of hosts) loads[shardOf(host, count)]! += 1;
      const even = hosts.length / count;
      for (const load of loads) assert.closeTo(load, even, even / 4);
    }
  });

  it('changes with one shard more only for the hosts that the new one gets', () => {
    for (const count of [1, 2, 5, 9]) {
      const moved = hosts.filter((host) => shardOf(host, count) !== shardOf(host, count + 1));
      assert.isTrue(moved.every((host) => shardOf(host, count + 1) === count));
      assert.isAtMost(moved.length, (hosts.length / (count + 1)) * 1.25);
    }
  });
});

describe('share of an Ingress', () => {
  const problem = { where: 'spec', message: 'something is wrong' };
  const spec: IngressSpec = {
    key: 'shop',
    uid: 'u-1',
    createdAtMs: 0,
    hosts: hosts.slice(0, 20).map((host) => ({ host, paths: [] })),
    unservable: hosts.slice(20, 40),
    settings: {
      ...{ mode: 'worker', replicas: 1, haConnections: 4, noBackend: 'close', dns: 'managed' },
      ...{ originVia: 'service', origin: defaultOriginSettings, access: null },
    },
    asksForTls: true,
    publishedHostnames: [],
    problems: [problem],
    ignored: [{ where: 'metadata', message: 'changes nothing' }],
    ofTunnel: [],
    refused: false,
  };
  const shares = (of: IngressSpec, count: number, wasOurs = false) =>
    [...Array(count).keys()].map((index) => shareOf(of, { index, count }, wasOurs));

  it('all of them together are the whole, and nothing is said twice', () => {
    const all = shares(spec, 3).flatMap((share) => share ?? []);
    assert.sameDeepMembers(
      all.flatMap((share) => share.hosts),
      [...spec.hosts],
    );
    assert.sameMembers(
      all.flatMap((share) => share.unservable),
      [...spec.unservable],
    );
    assert.deepEqual(
      all.flatMap((share) => share.problems),
      [problem],
    );
    assert.deepEqual(
      all.flatMap((share) => share.ignored),
      [...spec.ignored],
    );
    assert.lengthOf(
      all.filter(({ asksForTls }) => asksForTls),
      1,
    );
  });

  it('of a shard without any of its hosts is nothing, unless what is wrong is to be said there', () => {
    const silent = { problems: [], ignored: [], asksForTls: false };
    const small = { ...spec, ...silent, hosts: spec.hosts.slice(0, 1), unservable: [] };
    assert.lengthOf(
      shares(small, 8).filter((share) => share !== null),
      1,
    );
    const hostless = { ...spec, hosts: [], unservable: [], refused: true };
    const speaking = shares(hostless, 8).filter((share) => share !== null);
    assert.deepEqual(
      speaking.map(({ problems }) => problems),
      [[problem]],
    );
  });

  it('of an Ingress that cannot be read concerns everybody who had something of it', () => {
    const hostless = { ...spec, hosts: [], unservable: [], refused: true };
    for (const share of shares(hostless, 4, true)) assert.isTrue(share?.refused);
  });
});
