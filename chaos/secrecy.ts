import { readFile } from 'node:fs/promises';
import { textAt } from '../src/sandbox/kube-api/json.ts';
import type { Arena } from './arena.ts';
import type { Violation } from './verdict.ts';

/**
 * Looks for secrets where everybody may read: the log, Events, the status page, metrics, readiness, the command
 * line. Tunnels come and go, so what they had as secrets is gathered all the while.
 */
export class Secrecy {
  readonly #arena: Arena;
  readonly #secrets = new Map<string, string>();
  readonly #found = new Set<Violation>();

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#add("Cloudflare's API token", arena.world.cloudflare.token);
    this.#add("Kubernetes' token", arena.world.kubernetes.token);
  }

  /** How many are known. */
  get count(): number {
    return this.#secrets.size;
  }

  gather(): void {
    const { cloudflare } = this.#arena.world;
    for (const { id, secret } of cloudflare.tunnels.list(cloudflare.accountId)) {
      for (const encoding of ['base64', 'base64url', 'hex'] as const) {
        // Without padding: whoever prints it may leave that out.
        this.#add(`the secret of tunnel ${id} (${encoding})`, secret.toString(encoding).replace(/=+$/, ''));
      }
    }
    for (const secret of this.#arena.owner.list('Secret')) {
      const encoded = textAt(secret, 'data', 'token');
      if (encoded === '') continue;
      const { name } = secret.metadata;
      this.#add(`the token in Secret ${name}`, Buffer.from(encoded, 'base64').toString());
      this.#add(`the token in Secret ${name} (base64)`, encoded.replace(/=+$/, ''));
    }
  }

  /** What the controller says of itself now, and what it left in the cluster. */
  async look(): Promise<void> {
    this.gather();
    const { replicas, owner, world } = this.#arena;
    for (const replica of replicas) {
      for (const path of ['/', '/metrics', '/readyz']) {
        const answer = await replica.ops(path);
        if (answer !== null) this.#search(path, answer.body);
      }
    }
    for (const kind of ['Event', 'Ingress', 'Deployment', 'Pod']) {
      this.#search(`an object of kind ${kind}`, JSON.stringify(owner.list(kind)));
    }
    const pids = [...replicas.flatMap(({ process }) => process.view().pid ?? []), ...world.node.processIds()];
    for (const pid of pids) {
      this.#search('a command line', await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
    }
  }

  /** With the whole log, once that is closed. */
  async verdict(): Promise<readonly Violation[]> {
    for (const { logPath } of this.#arena.replicas) this.#search('the log', await readFile(logPath, 'utf8'));
    this.#search('the log of a pod', this.#arena.podLines.join('\n'));
    return [...this.#found];
  }

  #add(what: string, value: string): void {
    this.#secrets.set(value, what);
  }

  #search(where: string, text: string): void {
    for (const [value, what] of this.#secrets) {
      if (text.includes(value)) this.#found.add(`${where} shows ${what}`);
    }
  }
}
