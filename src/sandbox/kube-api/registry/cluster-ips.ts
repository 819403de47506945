import { randomInt } from 'node:crypto';
import { textAt } from '../json.ts';
import { services } from '../resources/service.ts';
import type { Change, Store } from '../store/store.ts';

/**
 * Cluster IPs come from 127.96.0.0/12, so that the sandbox's service proxy can listen on them. Allocation
 * starts at a random place: two sandboxes on one machine seldom meet.
 */
const firstAddress = (127 << 24) | (96 << 16);
const addressCount = 2 ** 20;

export class ClusterIps {
  /** Address → uid of the Service that has it. */
  readonly #holders = new Map<string, string>();
  #next = randomInt(addressCount);

  /** Follows the store's Services for as long as that lives. */
  constructor(store: Store) {
    store.subscribe((change) => {
      if (change.storage === services.storage) this.#hear(change);
    });
  }

  /** A free address, or `wanted` if it is in the range and free; null otherwise. */
  allocate(wanted: string, uid: string): string | null {
    const isFree = (address: string): boolean => (this.#holders.get(address) ?? uid) === uid;
    if (wanted !== '') return inRange(wanted) && isFree(wanted) ? wanted : null;
    for (let tries = 0; tries < addressCount; tries++) {
      this.#next = (this.#next + 1) % addressCount;
      const address = format(firstAddress + this.#next);
      if (!/\.(0|255)$/.test(address) && isFree(address)) return address;
    }
    return null;
  }

  #hear({ type, object, previous }: Change): void {
    if (previous !== null) this.#holders.delete(textAt(previous, 'spec', 'clusterIP'));
    const address = textAt(object, 'spec', 'clusterIP');
    if (type !== 'DELETED' && inRange(address)) this.#holders.set(address, object.metadata.uid);
  }
}

function inRange(address: string): boolean {
  const match = /^127\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const second = Number(match?.[1]);
  return match !== null && second >= 96 && second <= 111;
}

function format(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}
