import type { WorldMessage } from '../actors/messages.ts';
import { tunnelHostname } from '../domain/host.ts';
import type { IngressKey, IngressSpec } from '../domain/ingress.ts';
import { isOfShard, type Shard, shareOf } from '../domain/shard.ts';

export interface ShardBorder {
  /** What the watches say comes in here. */
  tell(message: WorldMessage): void;
  /** Whether another shard's tunnel has this name: what it has in an Ingress' status is not ours to change. */
  isForeign(hostname: string): boolean;
  /** Whether what is wrong with this Ingress is ours to say. */
  speaksFor(ingress: IngressKey): boolean;
}

/**
 * Stands between the watches and the actors and lets in what concerns one shard: its hosts, their ledgers, and of
 * each Ingress what is about them. So a host of another shard is neither served nor cleaned up: here it is not there
 * at all. Keeps names, and until the first listing is complete the Ingresses, whose status is read by the ledgers.
 */
export function createShardBorder(shard: Shard, tell: (message: WorldMessage) => void): ShardBorder {
  const told = new Set<IngressKey>();
  /** Host → name of its tunnel, for the hosts of other shards. */
  const elsewhere = new Map<string, string>();
  const foreign = new Set<string>();
  let early: Map<IngressKey, IngressSpec> | null = new Map();

  function present(spec: IngressSpec): void {
    const publishedHostnames = spec.publishedHostnames.filter((name) => !foreign.has(name));
    const share = shareOf({ ...spec, publishedHostnames }, shard, told.has(spec.key));
    if (share === null) return removed(spec.key);
    told.add(spec.key);
    tell({ type: 'ingress.present', spec: share });
  }

  function removed(key: IngressKey): void {
    early?.delete(key);
    if (told.delete(key)) tell({ type: 'ingress.removed', key });
  }

  function heardOfElsewhere(host: string, tunnelId: string | null): void {
    foreign.delete(elsewhere.get(host) ?? '');
    elsewhere.delete(host);
    if (tunnelId === null) return;
    elsewhere.set(host, tunnelHostname(tunnelId));
    foreign.add(tunnelHostname(tunnelId));
  }

  return {
    isForeign: (hostname) => foreign.has(hostname),
    speaksFor: (ingress) => isOfShard(ingress, shard),
    tell(message) {
      switch (message.type) {
        case 'ingress.present':
          return early === null ? present(message.spec) : void early.set(message.spec.key, message.spec);
        case 'ingress.removed':
          return removed(message.key);
        case 'ledger.present': {
          const { host, tunnel } = message.entry;
          return isOfShard(host, shard) ? tell(message) : heardOfElsewhere(host, tunnel?.id ?? null);
        }
        case 'ledger.removed':
          return isOfShard(message.host, shard) ? tell(message) : heardOfElsewhere(message.host, null);
        case 'world.synced': {
          const listed = early;
          early = null;
          for (const spec of listed?.values() ?? []) present(spec);
          return tell(message);
        }
        default:
          return tell(message);
      }
    },
  };
}
