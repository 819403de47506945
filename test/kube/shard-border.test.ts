import { assert } from 'chai';
import type { WorldMessage } from '../../src/actors/messages.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { type Shard, shardOf } from '../../src/domain/shard.ts';
import { parseIngress } from '../../src/kube/parse-ingress.ts';
import { createShardBorder, type ShardBorder } from '../../src/kube/shard-border.ts';
import { plainSettings } from '../support/ingress-settings.ts';
import { ingress } from '../support/manifests.ts';

const all = Array.from({ length: 40 }, (_, index) => `h${index}.example.com`);
const shard: Shard = { index: 0, count: 2 };
const mine = all.filter((host) => shardOf(host, 2) === 0);
const theirs = all.filter((host) => shardOf(host, 2) === 1);

function specOf(name: string, hosts: readonly string[], published: readonly string[] = []) {
  const manifest = ingress(name, hosts[0]!);
  const [rule] = (manifest.spec as { rules: object[] }).rules;
  const parsed = parseIngress(
    {
      ...manifest,
      metadata: { ...manifest.metadata, uid: `u-${name}` },
      spec: { rules: hosts.map((host) => ({ ...rule, host })) },
      status: { loadBalancer: { ingress: published.map((hostname) => ({ hostname })) } },
    },
    { ingressClass: 'cloudflare-warp', defaults: plainSettings },
  );
  if (parsed.kind !== 'ours') throw new Error(parsed.kind);
  return parsed.spec;
}

function ledgerOf(host: string): LedgerEntry {
  return {
    ...{ host, ingress: 'a', identity: 'me', tunnelName: `warp-me-${host}`, publishes: true, dns: null },
    tunnel: { accountId: 'acc', id: `t-${host}`, token: 'secret' },
    resourceVersion: '1',
  };
}

describe('border of a shard', () => {
  let told: WorldMessage[];
  let border: ShardBorder;

  beforeEach(() => {
    told = [];
    border = createShardBorder(shard, (message) => told.push(message));
  });

  const present = (...args: Parameters<typeof specOf>): void =>
    border.tell({ type: 'ingress.present', spec: specOf(...args) });
  const hostsTold = () =>
    told.map((message) =>
      message.type === 'ingress.present' ? message.spec.hosts.map(({ host }) => host) : message.type,
    );

  it('lets in of each Ingress the hosts of its shard, and of others nothing', () => {
    border.tell({ type: 'world.synced' });
    present('mixed', [mine[0]!, theirs[0]!, mine[1]!]);
    present('other', [theirs[1]!]);
    assert.deepEqual(hostsTold(), ['world.synced', [mine[0]!, mine[1]!]]);
  });

  it('tells an Ingress as removed when the last of its hosts here goes', () => {
    border.tell({ type: 'world.synced' });
    present('mixed', [mine[0]!, theirs[0]!]);
    present('mixed', [theirs[0]!]);
    present('mixed', [theirs[1]!]);
    border.tell({ type: 'ingress.removed', key: 'mixed' });
    assert.deepEqual(hostsTold(), ['world.synced', [mine[0]!], 'ingress.removed']);
  });

  it('keeps ledgers of other shards out, so that nobody here cleans up after their hosts', () => {
    for (const host of [mine[0]!, theirs[0]!]) border.tell({ type: 'ledger.present', entry: ledgerOf(host) });
    for (const host of [mine[0]!, theirs[0]!])
      border.tell({ type: 'ledger.removed', host, resourceVersion: '2' });
    assert.deepEqual(
      told.map((message) => [
        message.type,
        message.type === 'ledger.present' ? message.entry.host : 'host' in message && message.host,
      ]),
      [
        ['ledger.present', mine[0]!],
        ['ledger.removed', mine[0]!],
      ],
    );
  });

  it("takes other shards' names out of a status, whichever of the two is listed first", () => {
    const name = (host: string): string => `t-${host}.cfargotunnel.com`;
    const [own, other] = [mine[0]!, theirs[0]!];
    present('mixed', [own, other], [name(other), name(own), 'stale.cfargotunnel.com']);
    border.tell({ type: 'ledger.present', entry: ledgerOf(other) });
    assert.isEmpty(told, 'the first listing is not complete');
    border.tell({ type: 'world.synced' });
    const [first] = told;
    assert.deepEqual(first?.type === 'ingress.present' && first.spec.publishedHostnames, [
      name(own),
      'stale.cfargotunnel.com',
    ]);
    assert.isTrue(border.isForeign(name(other)));
    border.tell({ type: 'ledger.removed', host: other, resourceVersion: '2' });
    assert.isFalse(border.isForeign(name(other)));
  });
});
