import { hostHash } from '../src/domain/host.ts';
import { ingress, servicePort } from '../test/support/manifests.ts';
import type { Arena } from './arena.ts';
import type { Violation } from './verdict.ts';

/** A host that one of our Ingresses wants and that belongs to somebody else. */
export const takenHost = 'taken.example.com';
export const takenIngress = 'taken';
/** A host in the ledger of another identity, which nobody here wants: who takes that for ours removes it. */
export const othersHost = 'others.example.com';
const othersLedger = `cloudflare-warp-${hostHash(othersHost)}`;

/**
 * What is not the controller's and stands where a careless one would lay hands on it: a tunnel with a name like
 * ours, one of somebody else, records beside ours and at a host that is wanted, Secrets, among them a ledger of another
 * identity, an Ingress of another class.
 */
export class Foreign {
  readonly #arena: Arena;
  readonly #before: string;
  #after: string | null = null;

  /** Plants all of it. */
  constructor(arena: Arena) {
    this.#arena = arena;
    const { cloudflare } = arena.world;
    const { accountId, tunnels, zones } = cloudflare;
    const zone = zones.zones[0]!;
    for (const name of ['warp-somebody-h0.example.com', 'office-vpn']) {
      tunnels.create({ accountId, name, secret: null, configSrc: 'local' });
    }
    const record = { proxied: true, ttl: 1, comment: null, tags: [] };
    const tunnel = tunnels.live(accountId)[0]!.id;
    zones.put(zone, { ...record, type: 'CNAME', name: takenHost, content: `${tunnel}.cfargotunnel.com` });
    zones.put(zone, {
      ...record,
      type: 'TXT',
      name: 'h0.example.com',
      content: '"somebody else"',
      proxied: false,
    });
    zones.put(zone, { ...record, type: 'A', name: 'mail.example.com', content: '192.0.2.1' });
    const secret = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque' };
    arena.owner.apply(
      { ...secret, metadata: { name: 'cloudflare-warp-of-somebody' }, data: { token: 'c29tZWJvZHk=' } },
      { ...secret, metadata: { name: 'database' }, data: { password: 'c2VjcmV0' } },
      {
        ...secret,
        metadata: {
          name: othersLedger,
          labels: { 'cloudflare-warp/host-hash': hostHash(othersHost) },
          annotations: { 'cloudflare-warp/host': othersHost },
        },
        data: inBase64({
          host: othersHost,
          ingress: 'h0',
          identity: 'elsewhere',
          'tunnel-name': `warp-elsewhere-${othersHost}`,
          publishes: 'true',
          'account-id': accountId,
          'tunnel-id': tunnel,
          token: 'what somebody else must keep',
        }),
      },
      ingress('other-class', 'other.example.com', { className: 'nginx', paths: [{ service: 'h0' }] }),
      ingress(takenIngress, takenHost, { paths: [{ service: 'h0', port: servicePort }] }),
    );
    this.#before = this.#seen();
  }

  /** Keeps the first change that it finds, also one that is taken back later. */
  look(): void {
    const seen = this.#seen();
    if (seen !== this.#before) this.#after ??= seen;
  }

  verdict(): readonly Violation[] {
    this.look();
    return this.#after === null
      ? []
      : [`what is foreign has changed: before ${this.#before}, after ${this.#after}`];
  }

  #seen(): string {
    const { cloudflare } = this.#arena.world;
    const isPlanted = (name: string) => /somebody|office-vpn|database|other-class/.test(name);
    return JSON.stringify({
      tunnels: cloudflare.tunnels
        .live(cloudflare.accountId)
        .filter(({ name }) => isPlanted(name))
        .map(({ id, name, secret }) => [id, name, secret.toString('hex')]),
      records: [...cloudflare.zones.zones[0]!.records.values()].filter(isForeignRecord),
      secrets: this.#arena.owner
        .list('Secret')
        .filter(({ metadata }) => isPlanted(metadata.name) || metadata.name === othersLedger),
      ingresses: this.#arena.owner.list('Ingress').filter(({ metadata }) => isPlanted(metadata.name)),
    });
  }
}

export function isForeignRecord({ name, content }: { name: string; content: string }): boolean {
  return name === takenHost || name === 'mail.example.com' || content === '"somebody else"';
}

function inBase64(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}
