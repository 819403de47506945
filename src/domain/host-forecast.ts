import { type Fault, failed, ok, type Result, unreachable } from '../fault.ts';
import type { Change } from './change.ts';
import { tunnelName } from './host.ts';
import { type HostFacts, type HostIntent, type HostStep, nextStep } from './host-plan.ts';
import { type DnsRecords, type ForeseenEntry, foreseen, knownRecords, type LedgerEntry } from './ledger.ts';

/** Cloudflare as it is now, and what our calls would do there. */
export interface CloudflareView {
  /** Id of the tunnel of exactly that name; null when there is none. */
  tunnelNamed(name: string): string | null;
  isLive(tunnelId: string): boolean;
  /** Whether one more tunnel may be created; counts it. */
  takeTunnel(): Result<void>;
  publication(question: DnsQuestion): Result<readonly Change[]>;
  removal(question: DnsQuestion): Result<readonly Change[]>;
}

export interface DnsQuestion {
  readonly host: string;
  readonly identity: string;
  /** `unborn` for one that is still to be created. */
  readonly tunnelId: string;
  /** From the ledger. */
  readonly known: DnsRecords | null;
}

/** Stands for the id of a tunnel that does not exist yet. No record leads to it. */
export const unborn = '<new tunnel>';

export interface HostForecast {
  readonly changes: readonly Change[];
  /** Why it goes no further. */
  readonly fault: Fault | null;
}

/**
 * Everything that the controller would do at Cloudflare for one host: its own decisions (`nextStep`), one after
 * the other, as if each step succeeded. Doubts everything that the ledger says, because a view shows it all.
 */
export function forecastHost(
  host: string,
  intent: HostIntent,
  ledger: LedgerEntry | null,
  identity: string,
  view: CloudflareView,
): HostForecast {
  const changes: Change[] = [];
  const tunnel = ledger?.tunnel ?? null;
  const doubt = tunnel !== null && !view.isLive(tunnel.id) ? 'tunnel' : 'dns';
  let facts: HostFacts = { ledger, running: false, cleared: 'nothing', doubt };
  for (let step = nextStep(intent, facts); step !== null; step = nextStep(intent, facts)) {
    const outcome = foresee(step, { host, intent, facts, identity, view });
    if (!outcome.ok) return { changes, fault: outcome.fault };
    changes.push(...outcome.value.changes);
    facts = outcome.value.facts;
  }
  return { changes, fault: null };
}

interface Scene {
  readonly host: string;
  readonly intent: HostIntent;
  readonly facts: HostFacts;
  readonly identity: string;
  readonly view: CloudflareView;
}

interface Foreseen {
  readonly changes: readonly Change[];
  readonly facts: HostFacts;
}

/** What a step does (`actors/host-steps`), without doing it. */
function foresee(step: HostStep, scene: Scene): Result<Foreseen> {
  const { host, intent, facts, identity, view } = scene;
  if (step === 'record') return ok({ changes: [], facts: { ...facts, ledger: recorded(scene) } });
  const entry = facts.ledger;
  if (entry === null) return failed('bug', `${step} of ${host} without a ledger entry`);
  const tunnelId = entry.tunnel?.id ?? null;
  const question = { host, identity, tunnelId: tunnelId ?? '', known: knownRecords(entry) };

  switch (step) {
    case 'create-tunnel':
    case 'verify-tunnel': {
      const found = view.tunnelNamed(entry.tunnelName);
      if (found === null) {
        const taken = view.takeTunnel();
        if (!taken.ok) return taken;
      }
      const id = found ?? unborn;
      const ledger: ForeseenEntry = { ...entry, tunnel: { accountId: '', id, token: foreseen } };
      const detail = step === 'verify-tunnel' ? `instead of ${tunnelId}, which is gone` : '';
      const change: Change = { action: 'create', kind: 'tunnel', name: entry.tunnelName, detail };
      return ok({ changes: found === null ? [change] : [], facts: { ...facts, ledger, doubt: 'dns' } });
    }
    case 'publish-dns': {
      const changes = view.publication(question);
      if (!changes.ok) return changes;
      const ledger = { ...entry, dns: knownRecords(entry) ?? foreseenRecords };
      return ok({ changes: changes.value, facts: { ...facts, ledger, doubt: 'none' } });
    }
    case 'withdraw-dns': {
      const changes = view.removal(question);
      if (!changes.ok) return changes;
      const after: HostFacts =
        intent.kind === 'wanted'
          ? { ...facts, ledger: { ...entry, publishes: false, dns: null } }
          : { ...facts, cleared: 'dns' };
      return ok({ changes: changes.value, facts: after });
    }
    case 'remove-tunnel': {
      const live = tunnelId === null ? view.tunnelNamed(entry.tunnelName) : tunnelId;
      const isThere = live !== null && view.isLive(live);
      const change: Change = {
        action: 'delete',
        kind: 'tunnel',
        name: entry.tunnelName,
        detail: live ?? '',
      };
      return ok({ changes: isThere ? [change] : [], facts: { ...facts, cleared: 'tunnel' } });
    }
    case 'forget':
      return ok({ changes: [], facts: { ...facts, ledger: null } });
    default:
      return unreachable(step);
  }
}

function recorded({ host, intent, facts, identity }: Scene): ForeseenEntry | null {
  if (intent.kind !== 'wanted') return facts.ledger;
  const { ingress } = intent;
  const publishes = intent.dns === 'managed' || (facts.ledger?.publishes ?? false);
  if (facts.ledger !== null) return { ...facts.ledger, ingress, publishes, resourceVersion: foreseen };
  return {
    host,
    ingress,
    identity,
    tunnelName: tunnelName(identity, host),
    tunnel: null,
    publishes,
    dns: null,
    resourceVersion: foreseen,
  };
}

/** That they would be known by then is all that the next decision asks. */
const foreseenRecords: DnsRecords = { zoneId: '', cnameId: '', txtId: '' };
