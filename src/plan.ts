import type { SeenZone } from './cloudflare/api-objects.ts';
import { previewPublication, previewRemoval } from './cloudflare/dns-preview.ts';
import { type Survey, takeSurvey } from './cloudflare/survey.ts';
import { longestZone } from './cloudflare/zones.ts';
import type { Output } from './config/overview.ts';
import type { ControllerConfig } from './config.ts';
import { backendsOf } from './domain/backend.ts';
import type { CloudflareView } from './domain/host-forecast.ts';
import { type Overview, overviewOf } from './domain/overview.ts';
import { maxTunnelsPerAccount } from './domain/quota.ts';
import { ok, type Result } from './fault.ts';
import { type Install, withInstall } from './install.ts';
import { readSnapshot, type Snapshot, type Unreadable } from './kube/snapshot.ts';
import { textTable } from './text-table.ts';

/** `warp-ingress plan`: what the controller would change at Cloudflare, and why an Ingress is not served. */
export interface Plan extends Overview {
  readonly identity: string;
  /** Of the whole account. */
  readonly tunnels: { readonly existing: number; readonly limit: number };
  readonly unreadable: readonly Unreadable[];
}

/** Reads both sides once and changes nothing. */
export function makePlan(config: ControllerConfig, signal: AbortSignal): Promise<Result<Plan>> {
  return withInstall(config, (install) => planOf(config, install, signal), signal);
}

async function planOf(
  { ingressClass, ingressDefaults: defaults }: ControllerConfig,
  install: Install,
  signal: AbortSignal,
): Promise<Result<Plan>> {
  const { identity, api, zones, credentials } = install;
  const snapshot = await readSnapshot(install.kube, { ingressClass, defaults }, signal);
  if (!snapshot.ok) return snapshot;
  const isOfInterest = zonesOf(snapshot.value);
  const survey = await takeSurvey(api, zones, credentials, isOfInterest, signal);
  if (!survey.ok) return survey;
  const { ingresses, foreign, services, slices, cas, ledger, unreadable } = snapshot.value;
  const tunnels = survey.value.tunnels.length;
  const overview = overviewOf({
    identity,
    ingresses,
    foreign,
    backends: backendsOf(services, slices),
    cas,
    ledger,
    cloudflare: viewOf(survey.value),
    tunnels,
    maxTunnels: maxTunnelsPerAccount,
  });
  return ok({
    identity,
    tunnels: { existing: tunnels, limit: maxTunnelsPerAccount },
    ...overview,
    unreadable,
  });
}

/** The zones that some host of ours lives in, so that no other zone is read. */
function zonesOf({ ingresses, ledger }: Snapshot) {
  const hosts = new Set([
    ...ingresses.flatMap((spec) => spec.hosts.map(({ host }) => host)),
    ...ledger.map(({ host }) => host),
  ]);
  const known = new Set(ledger.map(({ dns }) => dns?.zoneId));
  let ids: ReadonlySet<string | undefined> | null = null;
  return (zone: SeenZone, all: readonly SeenZone[]): boolean => {
    ids ??= new Set([...hosts].map((host) => longestZone(host, all)?.id));
    return ids.has(zone.id) || known.has(zone.id);
  };
}

function viewOf(survey: Survey): Omit<CloudflareView, 'takeTunnel'> {
  const idOf = new Map(survey.tunnels.map(({ name, id }) => [name, id]));
  const live = new Set(idOf.values());
  return {
    tunnelNamed: (name) => idOf.get(name) ?? null,
    isLive: (id) => live.has(id),
    publication: (question) => previewPublication(survey, question),
    removal: (question) => previewRemoval(survey, question),
  };
}

export function printPlan(plan: Plan, output: Output): string {
  if (output === 'json') return `${JSON.stringify(plan, null, 2)}\n`;
  const { identity, tunnels, changes, hosts, notes, unreadable } = plan;
  const parts = [
    `Identity ${identity}; ${tunnels.existing} of ${tunnels.limit} tunnels in the account\n`,
    changes.length === 0
      ? 'Nothing to do at Cloudflare.\n'
      : textTable(
          ['ACTION', 'KIND', 'NAME', 'INGRESS', 'DETAIL'],
          changes.map(({ action, kind, name, ingress, detail }) => [action, kind, name, ingress, detail]),
        ),
    textTable(
      ['INGRESS', 'HOST', 'STATE'],
      hosts.map(({ ingress, host, state }) => [ingress, host, state]),
    ),
    textTable(
      ['INGRESS', 'WHY NOT', 'MESSAGE'],
      notes.map(({ ingress, reason, message }) => [ingress, reason, message]),
    ),
    textTable(
      ['NOT READABLE', 'NAME', 'WHY'],
      unreadable.map(({ kind, name, why }) => [kind, name, why]),
    ),
  ];
  return parts.filter((part) => part !== '').join('\n');
}
