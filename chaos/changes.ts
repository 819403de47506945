import { Random } from '../fuzz/random.ts';
import type { Arena } from './arena.ts';
import type { Host } from './hosts.ts';

/** So often one of the Ingresses changes: what is kept for each change piles up, and is seen. */
const everyMs = 100;

/** Changes an annotation of Ingresses that are there, which costs nothing but a message to the threads, until `stop`. */
export class Changes {
  readonly #timer: NodeJS.Timeout;
  #count = 0;

  constructor({ owner }: Arena, hosts: readonly Host[]) {
    const random = new Random(1);
    this.#timer = setInterval(() => {
      if (hosts.length === 0) return;
      const { name } = random.pick(hosts);
      const value = `${10 + (this.#count % 20)}s`;
      if (owner.annotate('Ingress', name, 'cloudflare-warp/connect-timeout', value)) this.#count += 1;
    }, everyMs);
  }

  get count(): number {
    return this.#count;
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
