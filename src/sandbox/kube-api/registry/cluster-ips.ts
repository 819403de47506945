import { randomInt } from 'node:crypto';
import { type KubeObject, textAt } from '../json.ts';

/**
 * Cluster IPs come from 127.96.0.0/12, so that the sandbox's service proxy can listen on them. Allocation
 * starts at a random place: two sandboxes on one machine seldom meet.
 */
const firstAddress = (127 << 24) | (96 << 16);
const addressCount = 2 ** 20;

export class ClusterIps {
  #next = randomInt(addressCount);

  /** A free address, or `wanted` if it is in the range and free; null otherwise. */
  allocate(wanted: string, uid: string, services: Iterable<KubeObject>): string | null {
    const used = new Set<string>();
    for (const service of services) {
      if (service.metadata.uid !== uid) used.add(textAt(service, 'spec', 'clusterIP'));
    }
    if (wanted !== '') return inRange(wanted) && !used.has(wanted) ? wanted : null;
    for (let tries = 0; tries < addressCount; tries++) {
      this.#next = (this.#next + 1) % addressCount;
      const address = format(firstAddress + this.#next);
      if (!/\.(0|255)$/.test(address) && !used.has(address)) return address;
    }
    return null;
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
