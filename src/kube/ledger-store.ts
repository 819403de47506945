import type { LedgerStore } from '../actors/ports.ts';
import { isOfEarlierHistory, isStored, type LedgerEntry, type StoredLedgerEntry } from '../domain/ledger.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { KubeClient } from './client.ts';
import {
  emptiedLedgerVersion,
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
 * tunnel that an earlier attempt has recorded): the caller goes on from there. What a restored backup of the cluster says
 * is older than what the caller knows, and is written over or removed.
 */
export function createLedgerStore(client: KubeClient, identity: string): LedgerStore {
  async function put(entry: LedgerEntry, signal: AbortSignal): Promise<Result<StoredLedgerEntry>> {
    if (entry.identity !== identity) return notOurs(entry);
    return isStored(entry) ? replace(entry, signal) : create(entry, signal);
  }

  async function create(entry: LedgerEntry, signal: AbortSignal): Promise<Result<StoredLedgerEntry>> {
    const body = ledgerSecretBody({ ...entry, resourceVersion: null });
    const created = await client.call({ method: 'POST', resource: 'secrets', body }, signal);
    if (created.ok) return parseLedgerSecret(created.value);
    // Somebody was before us: mostly we ourselves, in an attempt whose answer was lost.
    return created.fault.code === 'kube-conflict' ? recovered(entry, signal) : created;
  }

  /**
   * The entry as it is. Without its label, which somebody has changed, nobody would list it: that is put back. One
   * whose data somebody has taken away tells nothing any more, and is written anew.
   */
  async function recovered(wanted: LedgerEntry, signal: AbortSignal): Promise<Result<StoredLedgerEntry>> {
    const { host } = wanted;
    const secret = await get(host, signal);
    if (!secret.ok) return secret;
    const emptiedAt = emptiedLedgerVersion(secret.value, wanted);
    if (emptiedAt !== null) return replace({ ...wanted, resourceVersion: emptiedAt }, signal);
    const entry = ours(secret.value);
    return entry.ok && !isListed(secret.value, host) ? replace(entry.value, signal) : entry;
  }

  async function replace(entry: StoredLedgerEntry, signal: AbortSignal): Promise<Result<StoredLedgerEntry>> {
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
    const found = await get(entry.host, signal);
    const current = found.ok ? ours(found.value) : found;
    if (!current.ok) return current;
    if (sameLedger(current.value, entry)) return current;
    const { resourceVersion } = current.value;
    const isRestored = isOfEarlierHistory(resourceVersion, entry.resourceVersion);
    return isRestored ? replace({ ...entry, resourceVersion }, signal) : patched;
  }

  function get(host: string, signal: AbortSignal): Promise<Result<unknown>> {
    return client.call({ method: 'GET', resource: 'secrets', name: ledgerSecretName(host) }, signal);
  }

  /** The entry in the Secret, provided that it is ours. */
  function ours(secret: unknown): Result<StoredLedgerEntry> {
    const entry = parseLedgerSecret(secret);
    return entry.ok && entry.value.identity !== identity ? notOurs(entry.value) : entry;
  }

  function notOurs({ host, identity: theirs }: LedgerEntry): Result<never> {
    return failed(
      'host-taken',
      `Secret ${ledgerSecretName(host)} is the ledger of ${host} for the identity ${theirs}, not for ours (${identity}): it stays as it is; remove the host there, or give both the same --identity`,
    );
  }

  async function remove(
    { host, resourceVersion }: StoredLedgerEntry,
    signal: AbortSignal,
  ): Promise<Result<void>> {
    const found = await get(host, signal);
    if (!found.ok) return found.fault.code === 'kube-not-found' ? ok(undefined) : found;
    const entry = ours(found.value);
    if (!entry.ok) return entry;
    const meta = parseMeta(found.value);
    const seen = entry.value.resourceVersion;
    if (seen !== resourceVersion && !isOfEarlierHistory(seen, resourceVersion)) {
      const text = `Secret ${ledgerSecretName(host)} is of version ${seen} by now, not ${resourceVersion}`;
      return failed('kube-conflict', text);
    }
    // Exactly the Secret that was read: one that was written since then has something to say.
    const preconditions = { uid: meta?.uid, resourceVersion: seen };
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
