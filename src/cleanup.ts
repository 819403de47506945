import { removeDns } from './cloudflare/dns.ts';
import { type LeftAlone, type LeftHost, leftoversOf } from './cloudflare/leftovers.ts';
import { takeSurvey } from './cloudflare/survey.ts';
import { removeTunnel } from './cloudflare/tunnels.ts';
import type { CleanupConfig, Output } from './config/overview.ts';
import { failed, ok, type Result } from './fault.ts';
import { type Install, withInstall } from './install.ts';
import { hasLedgerSecret } from './kube/ledger-store.ts';
import { readSnapshot } from './kube/snapshot.ts';
import { textTable } from './text-table.ts';

/** `warp-ingress cleanup`: what this install left at Cloudflare without an owner. */
export interface Cleanup {
  readonly identity: string;
  readonly leftovers: readonly Leftover[];
  /** Not removed by us, and why. */
  readonly leftAlone: readonly LeftAlone[];
  readonly failures: readonly { readonly host: string; readonly message: string }[];
}

export interface Leftover {
  readonly kind: string;
  readonly name: string;
  readonly id: string;
  readonly host: string;
  /** What a record holds. */
  readonly detail: string;
  readonly removed: boolean;
}

/** Reads both sides once; with `deletes` then removes what is left, one host after the other. */
export function cleanUp(config: CleanupConfig, signal: AbortSignal): Promise<Result<Cleanup>> {
  return withInstall(config.controller, (install) => cleanUpWith(config, install, signal), signal);
}

async function cleanUpWith(
  { controller, deletes }: CleanupConfig,
  install: Install,
  signal: AbortSignal,
): Promise<Result<Cleanup>> {
  const { identity, kube, api, zones, credentials } = install;
  // Cloudflare first: what is made while we read has its ledger before it is at Cloudflare.
  const survey = await takeSurvey(api, zones, credentials, () => true, signal);
  if (!survey.ok) return survey;
  const { ingressClass, ingressDefaults: defaults } = controller;
  const snapshot = await readSnapshot(kube, { ingressClass, defaults }, signal);
  if (!snapshot.ok) return snapshot;
  const { ingresses, ledger, unreadable } = snapshot.value;
  const doubtful = unreadable.find(({ kind }) => kind !== 'Service');
  if (doubtful !== undefined) {
    const { kind, name, why } = doubtful;
    return failed(
      'kube-refused',
      `nobody can tell what is left over while ${kind} ${name} is not readable: ${why}`,
    );
  }
  const hosts = new Set(
    ingresses.flatMap((spec) => [...spec.unservable, ...spec.hosts.map(({ host }) => host)]),
  );
  const found = leftoversOf(survey.value, { identity, ledger, hosts });

  const leftovers: Leftover[] = [];
  const failures: { host: string; message: string }[] = [];
  for (const left of found.hosts) {
    const removal = deletes ? await remove(left, install, signal) : null;
    if (removal?.ok === false) failures.push({ host: left.host, message: removal.fault.message });
    leftovers.push(...linesOf(left, removal?.ok === true));
  }
  return ok({ identity, leftovers, leftAlone: found.leftAlone, failures });
}

/** Records first, the tunnel only after they are gone: nothing ever leads to a tunnel that is not there. */
async function remove(left: LeftHost, install: Install, signal: AbortSignal): Promise<Result<void>> {
  const { identity, kube, api, zones, credentials } = install;
  const { host, zone, tunnelId, mark, tunnel } = left;
  const ledger = await hasLedgerSecret(kube, host, signal);
  if (!ledger.ok) return ledger;
  if (ledger.value) return failed('kube-conflict', `${host} has a ledger by now and is left alone`);
  if (zone !== null) {
    const known = { zoneId: zone.id, cnameId: mark?.record ?? '', txtId: mark?.id ?? '' };
    // Looks again and takes only what is still ours.
    const removed = await removeDns(api, zones, credentials, { host, tunnelId, identity, known }, signal);
    if (!removed.ok) return removed;
  }
  if (tunnel === null) return ok(undefined);
  const { accountId } = credentials;
  return removeTunnel(
    api,
    credentials,
    { name: tunnel.name, tunnel: { accountId, id: tunnel.id }, force: true },
    signal,
  );
}

function linesOf({ host, records, tunnel }: LeftHost, removed: boolean): readonly Leftover[] {
  const lines = records.map(({ id, type, name, content }) => {
    return { kind: type, name, id, host, detail: content, removed };
  });
  if (tunnel === null) return lines;
  return [...lines, { kind: 'tunnel', name: tunnel.name, id: tunnel.id, host, detail: '', removed }];
}

export function printCleanup(cleanup: Cleanup, output: Output): string {
  if (output === 'json') return `${JSON.stringify(cleanup, null, 2)}\n`;
  const { identity, leftovers, leftAlone, failures } = cleanup;
  const untouched = leftovers.every(({ removed }) => !removed) && failures.length === 0;
  const nothing =
    leftAlone.length === 0 ? 'Nothing is left over' : 'Nothing that may be removed is left over';
  const parts = [
    leftovers.length === 0
      ? `${nothing} of the identity ${identity}.\n`
      : `Left over of the identity ${identity}${untouched ? '; --delete removes it' : ''}\n`,
    textTable(
      ['KIND', 'NAME', 'ID', 'DETAIL', 'REMOVED'],
      leftovers.map(({ kind, name, id, detail, removed }) => [
        kind,
        name,
        id,
        detail,
        removed ? 'yes' : 'no',
      ]),
    ),
    textTable(
      ['LEFT ALONE', 'NAME', 'ID', 'WHY'],
      leftAlone.map(({ kind, name, id, why }) => [kind, name, id, why]),
    ),
    textTable(
      ['FAILED', 'WHY'],
      failures.map(({ host, message }) => [host, message]),
    ),
  ];
  return parts.filter((part) => part !== '').join('\n');
}
