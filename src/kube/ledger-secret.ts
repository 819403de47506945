import { z } from 'zod';
import { hostHash } from '../domain/host.ts';
import { isStored, type KnownTunnel, type LedgerEntry, type StoredLedgerEntry } from '../domain/ledger.ts';
import { tokenClaims } from '../domain/tunnel-token.ts';
import { failed, ok, type Result } from '../fault.ts';
import { parseMeta } from './parse-meta.ts';

/*
 * One ledger entry as a Secret. Data keys: `host`, `ingress`, `identity`, `tunnel-name`, `publishes`; with a tunnel
 * also `account-id`, `tunnel-id`, `token`; with DNS records also `zone-id`, `cname-id`, `txt-id`. A group is written
 * as a whole or not at all; `dns-leaving` says that the records' removal has begun. No owner reference: the ledger
 * outlives the Ingress.
 */

/** Its value is `hostHash(host)`: what ledgers are listed by. */
export const hostHashLabel = 'cloudflare-warp/host-hash';
export const hostAnnotation = 'cloudflare-warp/host';
export const managedByLabel = 'app.kubernetes.io/managed-by';

export function ledgerSecretName(host: string): string {
  return ledgerSecretNameOf(hostHash(host));
}

/** By the value of the label. */
export function ledgerSecretNameOf(hash: string): string {
  return `cloudflare-warp-${hash}`;
}

/** A connector token is a few hundred bytes; names at most 253. */
const maxValueLength = 16_384;
const secretShape = z.object({ data: z.record(z.string(), z.string().max(maxValueLength)).nullish() });

/**
 * What a create or a merge patch carries; absent groups are null, which a patch removes and a create drops. With
 * a resourceVersion the API server refuses the write when the Secret is another one by now.
 */
export function ledgerSecretBody(entry: LedgerEntry): object {
  const { host, ingress, identity, tunnelName, tunnel, publishes, dns, resourceVersion } = entry;
  const create = !isStored(entry);
  const values: Record<string, string | null> = {
    host,
    ingress,
    identity,
    'tunnel-name': tunnelName,
    publishes: String(publishes),
    'account-id': tunnel?.accountId ?? null,
    'tunnel-id': tunnel?.id ?? null,
    token: tunnel?.token ?? null,
    'zone-id': dns?.zoneId ?? null,
    'cname-id': dns?.cnameId ?? null,
    'txt-id': dns?.txtId ?? null,
    'dns-leaving': dns?.leaving === true ? 'true' : null,
  };
  const data = Object.entries(values)
    .filter(([, value]) => value !== null || !create)
    .map(([key, value]) => [key, value === null ? null : Buffer.from(value).toString('base64')] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: ledgerSecretName(host),
      ...(create ? {} : { resourceVersion }),
      labels: { [hostHashLabel]: hostHash(host), [managedByLabel]: 'cloudflare-warp-ingress' },
      annotations: { [hostAnnotation]: host },
    },
    ...(create ? { type: 'Opaque' } : {}),
    data: Object.fromEntries(data),
  };
}

/** The entry in a Secret, or what keeps it from being one. Pure, never throws; the message has no value of it. */
export function parseLedgerSecret(object: unknown): Result<StoredLedgerEntry> {
  const meta = parseMeta(object);
  const parsed = secretShape.safeParse(object);
  if (meta === null || meta.resourceVersion === null || !parsed.success)
    return failed('kube-refused', 'this is no Secret');
  const values = new Map<string, string>();
  for (const [key, text] of Object.entries(parsed.data.data ?? {})) {
    values.set(key, Buffer.from(text, 'base64').toString('utf8'));
  }
  const of = (key: string): string => values.get(key) ?? '';
  const [host, ingress, identity, tunnelName] = [
    of('host'),
    of('ingress'),
    of('identity'),
    of('tunnel-name'),
  ];
  const seen = `Secret ${meta.name}`;
  if (host === '' || ingress === '' || identity === '' || tunnelName === '') {
    return failed(
      'kube-refused',
      `${seen} is no ledger: expected host, ingress, identity and tunnel-name in it; once it is deleted it is made anew`,
    );
  }
  if (meta.name !== ledgerSecretName(host)) {
    return failed(
      'kube-refused',
      `${seen} is no ledger of its host: expected the name ${ledgerSecretName(host)}`,
    );
  }
  const [zoneId, cnameId, txtId] = [of('zone-id'), of('cname-id'), of('txt-id')];
  const leaving = of('dns-leaving') === 'true' ? ({ leaving: true } as const) : {};
  return ok({
    host,
    ingress,
    identity,
    tunnelName,
    tunnel: tunnelIn(of('account-id'), of('tunnel-id'), of('token')),
    // Anything but a clear no: then what may be there is looked for.
    publishes: of('publishes') !== 'false',
    dns: zoneId && cnameId && txtId ? { zoneId, cnameId, txtId, ...leaving } : null,
    resourceVersion: meta.resourceVersion,
  });
}

/** A token names its tunnel, and is believed before what somebody may have written beside it. */
function tunnelIn(accountId: string, id: string, token: string): KnownTunnel | null {
  const claims = tokenClaims(token);
  if (claims !== null) return { accountId: claims.accountId, id: claims.tunnelId, token };
  return accountId && id ? { accountId, id, token: null } : null;
}

/** Whether the Secret has the label that the ledgers are listed by. */
export function isListed(secret: unknown, host: string): boolean {
  return parseMeta(secret)?.labels[hostHashLabel] === hostHash(host);
}

/** Which host's ledger the Secret should be, also when its data are gone. */
export function hostOfLedger(secret: unknown): string | null {
  const meta = parseMeta(secret);
  const host = meta?.annotations[hostAnnotation];
  return typeof host === 'string' && ledgerSecretName(host) === meta?.name ? host : null;
}

/**
 * The version of the Secret when it is still named and marked as the host's ledger but somebody has taken away what
 * made it one; null when it is another Secret, or says of another identity that it is its own.
 */
export function emptiedLedgerVersion(
  secret: unknown,
  { host, identity }: Pick<LedgerEntry, 'host' | 'identity'>,
): string | null {
  const parsed = secretShape.safeParse(secret);
  if (!parsed.success || hostOfLedger(secret) !== host || parseLedgerSecret(secret).ok) return null;
  const named = Buffer.from(parsed.data.data?.identity ?? '', 'base64').toString('utf8');
  return named === '' || named === identity ? (parseMeta(secret)?.resourceVersion ?? null) : null;
}

/** Whether two entries say the same, whatever their resourceVersions. */
export function sameLedger(a: LedgerEntry, b: LedgerEntry): boolean {
  return (
    JSON.stringify(ledgerSecretBody({ ...a, resourceVersion: '-' })) ===
    JSON.stringify(ledgerSecretBody({ ...b, resourceVersion: '-' }))
  );
}
