import type { LedgerStore } from '../actors/ports.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import {
  isListed,
  ledgerSecretBody,
  ledgerSecretName,
  parseLedgerSecret,
  sameLedger,
} from './ledger-secret.ts';
import { parseMeta } from './parse-meta.ts';

/**
 * The ledger in Secrets of the client's namespace. `identity` is ours: a ledger of another identity is neither
 * overwritten nor removed (`kube-refused`). Holds no state and no resource.
 *
 * What `put` answers is what is stored, which after a lost answer or a race may say more than was asked for (a
 * tunnel that an earlier attempt has recorded): the caller goes on from there.
 */
export function createLedgerStore(client: KubeClient, identity: string): LedgerStore {
  async function put(entry: LedgerEntry, signal: AbortSignal): Promise<Result<LedgerEntry>> {
    if (entry.identity !== identity) return notOurs(entry);
    return entry.resourceVersion === '' ? create(entry, signal) : replace(entry, signal);
  }

  async function create(entry: LedgerEntry, signal: AbortSignal): Promise<Result<LedgerEntry>> {
    const body = ledgerSecretBody({ ...entry, resourceVersion: '' });
    const created = await client.call({ method: 'POST', resource: 'secrets', body }, signal);
    if (created.ok) return parseLedgerSecret(created.value);
    // Somebody was before us: mostly we ourselves, in an attempt whose answer was lost.
    return created.fault.code === 'kube-conflict' ? recovered(entry.host, signal) : created;
  }

  /** The entry as it is. Without its label, which somebody has changed, nobody would list it: that is put back. */
  async function recovered(host: string, signal: AbortSignal): Promise<Result<LedgerEntry>> {
    const secret = await read(host, signal);
    if (!secret.ok) return secret;
    const entry = parseLedgerSecret(secret.value);
    return entry.ok && !isListed(secret.value, host) ? replace(entry.value, signal) : entry;
  }

  async function replace(entry: LedgerEntry, signal: AbortSignal): Promise<Result<LedgerEntry>> {
    const patch = {
      method: 'PATCH',
      resource: 'secrets',
      name: ledgerSecretName(entry.host),
      body: ledgerSecretBody(entry),
    } as const;
    const patched = await client.call(patch, signal);
    if (patched.ok) return parseLedgerSecret(patched.value);
    // Deleted by hand: what we know of Cloudflare must not be lost with it.
    if (patched.fault.code === 'kube-not-found') return create(entry, signal);
    if (patched.fault.code !== 'kube-conflict') return patched;
    const current = await stored(entry.host, signal);
    if (!current.ok) return current;
    return sameLedger(current.value, entry) ? current : patched;
  }

  /** The entry as it is, provided that it is ours. */
  async function stored(host: string, signal: AbortSignal): Promise<Result<LedgerEntry>> {
    const found = await read(host, signal);
    return found.ok ? parseLedgerSecret(found.value) : found;
  }

  /** The Secret, provided that its ledger is ours. */
  async function read(host: string, signal: AbortSignal): Promise<Result<unknown>> {
    const name = ledgerSecretName(host);
    const found = await client.call({ method: 'GET', resource: 'secrets', name }, signal);
    if (!found.ok) return found;
    const entry = parseLedgerSecret(found.value);
    if (!entry.ok) return entry;
    if (entry.value.identity === identity) return found;
    return notOurs(entry.value);
  }

  function notOurs({ host, identity: theirs }: LedgerEntry): Result<never> {
    return failed(
      'host-taken',
      `Secret ${ledgerSecretName(host)} is the ledger of ${host} for the identity ${theirs}, not for ours (${identity}): it stays as it is; remove the host there, or give both the same --identity`,
    );
  }

  async function remove({ host, resourceVersion }: LedgerEntry, signal: AbortSignal): Promise<Result<void>> {
    const found = await read(host, signal);
    if (!found.ok) return found.fault.code === 'kube-not-found' ? ok(undefined) : found;
    const meta = parseMeta(found.value);
    if (meta?.resourceVersion !== resourceVersion) {
      const text = `Secret ${ledgerSecretName(host)} is of version ${meta?.resourceVersion} by now, not ${resourceVersion}`;
      return failed('kube-conflict', text);
    }
    // Exactly the Secret that was read: one that was written since then has something to say.
    const preconditions = { uid: meta.uid, resourceVersion };
    const removal = {
      method: 'DELETE',
      resource: 'secrets',
      name: ledgerSecretName(host),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions },
    } as const;
    const removed = await client.call(removal, signal);
    return removed.ok || removed.fault.code === 'kube-not-found' ? ok(undefined) : removed;
  }

  return { put, remove };
}

/** Whether the host has a ledger, of whatever identity and however readable. */
export async function hasLedgerSecret(
  client: KubeClient,
  host: string,
  signal: AbortSignal,
): Promise<Result<boolean>> {
  const name = ledgerSecretName(host);
  const found = await client.call({ method: 'GET', resource: 'secrets', name }, signal);
  if (found.ok) return ok(true);
  return found.fault.code === 'kube-not-found' ? ok(false) : found;
}
