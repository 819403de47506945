import { type Fault, failed, ok } from '../fault.ts';
import type { BackendView } from './backend.ts';
import type { Change } from './change.ts';
import { bySeniority, ignoredBeside, mergeHost } from './claims.ts';
import { compileHost, contributionNotes, type OriginCa } from './compile-host.ts';
import { type CloudflareView, forecastHost } from './host-forecast.ts';
import type { HostIntent } from './host-plan.ts';
import type { IngressKey, IngressSpec, Problem } from './ingress.ts';
import type { LedgerEntry } from './ledger.ts';
import { noteOfFault, ofHost, textOfLost } from './notes.ts';

/**
 * What a controller that starts now would change at Cloudflare, and what keeps each Ingress from being served.
 * Pure; the same decisions as the controller's. It knows of no last good state: an Ingress that cannot be read is
 * acted on by a running controller as it was before, and here not at all.
 */

export interface OverviewInput {
  readonly identity: string;
  readonly ingresses: readonly IngressSpec[];
  /** Not ours and yet naming us. */
  readonly foreign: readonly { readonly name: IngressKey; readonly message: string }[];
  /** By Service name. */
  readonly backends: ReadonlyMap<string, BackendView>;
  /** By the name of the Secret. */
  readonly cas: ReadonlyMap<string, OriginCa>;
  /** Of every identity. */
  readonly ledger: readonly LedgerEntry[];
  readonly cloudflare: Omit<CloudflareView, 'takeTunnel'>;
  /** Tunnels of the whole account. */
  readonly tunnels: number;
  readonly maxTunnels: number;
}

export interface Overview {
  readonly changes: readonly HostChange[];
  readonly hosts: readonly HostOverview[];
  readonly notes: readonly IngressNote[];
}

export interface HostChange extends Change {
  readonly host: string;
  readonly ingress: IngressKey;
}

export interface HostOverview {
  readonly host: string;
  readonly ingress: IngressKey;
  readonly state: HostOutlook;
}

/**
 * `served`: nothing is in the way (it is up unless its connector fails). `planned`: after the changes. `waiting`:
 * for a Service or endpoint. `blocked`: somebody has to do something. `kept`: left as it is. `removed`: goes.
 */
export type HostOutlook = 'served' | 'planned' | 'waiting' | 'blocked' | 'kept' | 'removed';

/** Why not. */
export interface IngressNote {
  readonly ingress: IngressKey;
  /** Of an Event, or a fault's code where there is no Event for it. */
  readonly reason: string;
  readonly message: string;
}

export function overviewOf(input: OverviewInput): Overview {
  const { ingresses } = input;
  const own = new Map(
    input.ledger.filter(({ identity }) => identity === input.identity).map((entry) => [entry.host, entry]),
  );
  const claims = claimsOf(ingresses);
  const notes = [...input.foreign.map(({ name, message }) => note(name, 'InvalidIngress', message))];
  for (const { key, problems, ignored } of ingresses) {
    for (const { where, message } of problems)
      notes.push(note(key, 'InvalidIngress', `${where}: ${message}`));
    notes.push(...ignored.map((each) => ignoredNote(key, each)));
  }
  const changes: HostChange[] = [];
  const hosts: HostOverview[] = [];
  const view = counted(input);

  for (const host of new Set([...claims.keys(), ...own.keys()])) {
    const ledger = own.get(host) ?? null;
    const seniority = bySeniority(claims.get(host) ?? [], ledger?.ingress ?? null);
    const [owner] = seniority;
    const ingress = owner?.key ?? ledger!.ingress;
    const intent = owner === undefined ? intentOfLedger(ledger!, ingresses) : wanted(owner);
    const merged = mergeHost(host, seniority);
    notes.push(...merged.lost.map((lost) => note(lost.from, 'HostTaken', textOfLost(lost))));

    const other = input.ledger.find((entry) => entry.host === host && entry.identity !== input.identity);
    if (owner !== undefined && ledger === null && other !== undefined) {
      notes.push(note(ingress, 'HostTaken', ledgerOfOther(other)));
      hosts.push({ host, ingress, state: 'blocked' });
      continue;
    }
    const forecast = forecastHost(host, intent, ledger, input.identity, view);
    changes.push(...forecast.changes.map((change) => ({ ...change, host, ingress })));
    if (forecast.fault !== null) notes.push(noteOf(ingress, host, forecast.fault));
    const compiled = owner && compileHost(merged.rules, owner.settings, input.backends, input.cas);
    for (const { reason, message } of compiled?.notes ?? []) notes.push(note(ingress, reason, message));
    for (const guest of seniority.slice(1)) {
      const { key, settings } = guest;
      const rules = merged.contributed.get(key);
      if (rules === undefined) continue;
      const theirs = contributionNotes(rules, settings, input.backends, input.cas);
      for (const { reason, message } of theirs) notes.push(note(key, reason, message));
      notes.push(...ignoredBeside(owner!, guest).map((each) => ignoredNote(key, each)));
    }
    const waits = compiled?.usable === false && owner?.settings.noBackend === 'close';
    const isRefused = compiled?.refused === true;
    const state = isRefused ? 'blocked' : outlook(intent, forecast.fault, waits, forecast.changes);
    hosts.push({ host, ingress, state });
    for (const { key, hosts: named } of seniority.slice(1)) {
      const paths = named.find((rules) => rules.host === host)?.paths.length ?? 0;
      const isShut = merged.lost.filter(({ from }) => from === key).length === paths;
      hosts.push({ host, ingress: key, state: isShut ? 'blocked' : state });
    }
  }
  return { changes: changes.toSorted(byUrgency), hosts: hosts.toSorted(byIngress), notes: distinct(notes) };
}

function claimsOf(ingresses: readonly IngressSpec[]): ReadonlyMap<string, readonly IngressSpec[]> {
  const claims = new Map<string, IngressSpec[]>();
  for (const spec of ingresses) {
    if (spec.refused) continue;
    for (const { host } of spec.hosts) claims.set(host, [...(claims.get(host) ?? []), spec]);
  }
  return claims;
}

function wanted(owner: IngressSpec): HostIntent {
  return { kind: 'wanted', ingress: owner.key, dns: owner.settings.dns };
}

/** Of a host that the ledger knows and nobody claims. */
function intentOfLedger(ledger: LedgerEntry, ingresses: readonly IngressSpec[]): HostIntent {
  const spec = ingresses.find(({ key }) => key === ledger.ingress);
  const stays = spec !== undefined && (spec.refused || spec.unservable.includes(ledger.host));
  return { kind: stays ? 'kept' : 'unwanted' };
}

/** Every host takes from the same quota. */
function counted({ cloudflare, tunnels, maxTunnels }: OverviewInput): CloudflareView {
  let count = tunnels;
  return {
    tunnelNamed: (name) => cloudflare.tunnelNamed(name),
    isLive: (id) => cloudflare.isLive(id),
    publication: (question) => cloudflare.publication(question),
    removal: (question) => cloudflare.removal(question),
    takeTunnel: () => {
      if (count >= maxTunnels) {
        return failed('quota-exceeded', `the account would have more than ${maxTunnels} tunnels`);
      }
      count += 1;
      return ok(undefined);
    },
  };
}

function outlook(
  intent: HostIntent,
  fault: Fault | null,
  waits: boolean,
  changes: readonly Change[],
): HostOutlook {
  if (intent.kind === 'kept') return 'kept';
  if (fault !== null) return 'blocked';
  if (intent.kind === 'unwanted') return 'removed';
  if (waits) return 'waiting';
  return changes.length > 0 ? 'planned' : 'served';
}

function noteOf(ingress: IngressKey, host: string, fault: Fault): IngressNote {
  return note(ingress, noteOfFault(host, fault, true)?.reason ?? fault.code, ofHost(host, fault));
}

function ledgerOfOther({ host, identity }: LedgerEntry): string {
  return `${host} has a ledger of the identity ${identity} in this namespace: remove the host there, or give both the same --identity`;
}

function note(ingress: IngressKey, reason: string, message: string): IngressNote {
  return { ingress, reason, message };
}

function ignoredNote(ingress: IngressKey, { where, message }: Problem): IngressNote {
  return note(ingress, 'AnnotationIgnored', `${where} ${message}`);
}

/** What keeps several hosts of an Ingress from being served is said once. */
function distinct(notes: readonly IngressNote[]): readonly IngressNote[] {
  return [...new Map(notes.map((given) => [JSON.stringify(given), given])).values()];
}

/** As the call budget has it: what ends exposure first, then what creates. */
function byUrgency(one: HostChange, other: HostChange): number {
  return Number(other.action === 'delete') - Number(one.action === 'delete');
}

function byIngress(one: HostOverview, other: HostOverview): number {
  return compare(one.ingress, other.ingress) || compare(one.host, other.host);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
