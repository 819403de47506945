import type { ForeseenEntry } from './ledger.ts';

/**
 * What one host still needs at Cloudflare: the difference between what should be and what the ledger says is.
 * One step at a time, each safe to repeat, so a crash between any two of them is resumed and not repaired.
 */
export type HostStep =
  /** Write down that this host will be ours, before anything exists; or again, once somebody has taken that away. */
  | 'record'
  | 'create-tunnel'
  /** Look whether the tunnel is still the one that the ledger knows, with its token; make it again if it is gone. */
  | 'verify-tunnel'
  | 'publish-dns'
  | 'withdraw-dns'
  | 'remove-tunnel'
  /** Remove the ledger entry: nothing of ours is left. */
  | 'forget';

export type HostIntent =
  | { readonly kind: 'wanted'; readonly ingress: string; readonly dns: 'managed' | 'off' }
  /** Nothing is changed at Cloudflare: the Ingress is there but cannot be read, or another one takes over. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'unwanted' };

export interface HostFacts {
  readonly ledger: ForeseenEntry | null;
  /** A connector runs or drains. */
  readonly running: boolean;
  /** How far a removal has come; never beyond what was carried out in this life of the actor. */
  readonly cleared: Cleared;
  /** What the ledger says may not be so any more: somebody may have changed it at Cloudflare. */
  readonly doubt: Doubt;
}

export type Doubt = 'none' | 'tunnel' | 'dns';

export type Cleared = 'nothing' | 'dns' | 'tunnel';

/** The next step, or null when nothing is left to do (or only to wait for the connector's end). */
export function nextStep(intent: HostIntent, facts: HostFacts): HostStep | null {
  switch (intent.kind) {
    case 'kept':
      return null;
    case 'wanted':
      return nextStepTowards(intent, facts);
    case 'unwanted':
      return nextStepAway(facts);
  }
}

function nextStepTowards(
  intent: Extract<HostIntent, { kind: 'wanted' }>,
  { ledger, doubt }: HostFacts,
): HostStep | null {
  const publishes = intent.dns === 'managed';
  if (ledger === null || ledger.resourceVersion === null) return 'record';
  if (ledger.ingress !== intent.ingress || (publishes && !ledger.publishes)) return 'record';
  if (ledger.tunnel === null) return 'create-tunnel';
  if (doubt === 'tunnel' || ledger.tunnel.token === null) return 'verify-tunnel';
  if (publishes && (ledger.dns === null || ledger.dns.leaving || doubt === 'dns')) return 'publish-dns';
  if (!publishes && ledger.publishes) return 'withdraw-dns';
  return null;
}

/**
 * The step takes away what is wanted again, or is to be left as it is. Its opposite is not: a step that makes
 * something is seen through, because what it has made can only be removed for certain once it has answered.
 */
export function isRegretted(step: HostStep, intent: HostIntent): boolean {
  switch (step) {
    case 'withdraw-dns':
      return intent.kind === 'kept' || (intent.kind === 'wanted' && intent.dns === 'managed');
    case 'remove-tunnel':
    case 'forget':
      return intent.kind !== 'unwanted';
    default:
      return false;
  }
}

/** Exposure first: the records go before the connector has drained, the tunnel only after, the ledger last. */
function nextStepAway({ ledger, running, cleared }: HostFacts): HostStep | null {
  if (ledger === null) return null;
  // What is to be removed must be known to whoever goes on from here.
  if (ledger.resourceVersion === null) return 'record';
  // Without a tunnel id nothing can point to it: records are only published after the ledger has the id.
  if (ledger.publishes && ledger.tunnel !== null && cleared === 'nothing') return 'withdraw-dns';
  if (running) return null;
  return cleared === 'tunnel' ? 'forget' : 'remove-tunnel';
}
