import { createHash } from 'node:crypto';
import type { IngressSpec } from './ingress.ts';

/**
 * Which of several processes of one install serves a host. By host and not by Ingress, because several Ingresses may
 * have paths of one host, which are one tunnel; so the hosts of one Ingress may be in several shards.
 */
export interface Shard {
  /** From 0 to `count - 1`. */
  readonly index: number;
  readonly count: number;
}

export const wholeInstall: Shard = { index: 0, count: 1 };

/**
 * The shard of a name, by rendezvous hashing (Thaler and Ravishankar, 1998): the one whose hash with the name is the
 * highest. With one shard more, only the names that it gets move; with one fewer, only those that it had.
 */
export function shardOf(name: string, count: number): number {
  if (count === 1) return 0;
  let [best, highest] = [0, -1];
  for (let index = 0; index < count; index++) {
    const weight = createHash('sha256').update(`${index} ${name}`).digest().readUIntBE(0, 6);
    if (weight > highest) [best, highest] = [index, weight];
  }
  return best;
}

export function isOfShard(name: string, { index, count }: Shard): boolean {
  return shardOf(name, count) === index;
}

/**
 * What of an Ingress concerns a shard, or null for nothing. What there is to say of the object is said by one shard: that
 * of the Ingress' name. `wasOurs`: something of it did before; then it also concerns us that it cannot be read, and what
 * of ours is left in its status.
 */
export function shareOf(spec: IngressSpec, shard: Shard, wasOurs: boolean): IngressSpec | null {
  const hosts = spec.hosts.filter(({ host }) => isOfShard(host, shard));
  const unservable = spec.unservable.filter((host) => isOfShard(host, shard));
  const problems = isOfShard(spec.key, shard) ? spec.problems : [];
  const asksForTls = spec.asksForTls && isOfShard(spec.key, shard);
  const ignored = isOfShard(spec.key, shard) ? spec.ignored : [];
  const said = problems.length + ignored.length;
  const isNamed = hosts.length + unservable.length + said > 0 || asksForTls;
  const isLeft = wasOurs && (spec.refused || spec.publishedHostnames.length > 0);
  return isNamed || isLeft ? { ...spec, hosts, unservable, problems, ignored, asksForTls } : null;
}
