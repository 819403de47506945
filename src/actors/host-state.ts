import type { CompiledHost } from '../domain/compile-host.ts';
import { tunnelHostname } from '../domain/host.ts';
import { type Cleared, type Doubt, type HostIntent, type HostStep, nextStep } from '../domain/host-plan.ts';
import { type HostRules, type IngressSettings, placeOf } from '../domain/ingress.ts';
import { hasToken, type LedgerEntry, type TunnelIdentity } from '../domain/ledger.ts';
import type { Fault } from '../fault.ts';
import type { Timer } from '../time/clock.ts';
import type { HostTunnels } from './host-tunnels.ts';
import type { IngressMessage } from './messages.ts';
import type { TunnelState } from './ports.ts';
import { ToldCauses } from './told-causes.ts';

export interface StepInFlight {
  readonly step: HostStep;
  /** Aborted when nobody wants any more what the step does. */
  readonly regret: AbortController;
  /** Cloudflare's API was away when it began, and is back: what it fails by for that reason is over. */
  isOutlived: boolean;
}

/** What an ingress actor knows of one of its hosts. Owned by that actor; nobody else sees it. */
export interface HostState {
  readonly host: string;
  /** Since when the host is ours to act on (`Holdings`). */
  readonly tenure: number;
  /**
   * `parting`: to be handed over once no step is in flight. `parted`: somebody else's now; nothing is done but to
   * end the connector, which `lingers` if it should serve until the new holder does.
   */
  hold: 'held' | 'parting' | 'parted';
  lingers: boolean;
  /** A former holder's connector has not ended. */
  alsoRuns: boolean;
  /** Who lingers has been told of this tenure that it may go. */
  settled: boolean;
  intent: HostIntent;
  /** While the host that is not wanted here any more may be on its way to another Ingress. */
  move: Timer | null;
  rules: HostRules | null;
  compiled: CompiledHost | null;
  ledger: LedgerEntry | null;
  cleared: Cleared;
  doubt: Doubt;
  /** Until the records are looked at again. */
  look: Timer | null;
  /** Since when the tunnel is to be removed and nothing else keeps it, monotonic milliseconds; null: it is not. */
  removingSinceMs: number | null;
  /** When the tunnel was last verified on suspicion, monotonic milliseconds. */
  verifiedAtMs: number;
  /** The step that is being carried out; never more than one per host. */
  stepInFlight: StepInFlight | null;
  /** What the watch said of the ledger meanwhile. */
  seenMeanwhile: Extract<IngressMessage, { type: 'ledger.seen' }> | null;
  /** Why the last step failed; null once one succeeded. */
  fault: Fault | null;
  /** Of which causes there was a warning since. */
  readonly warned: ToldCauses;
  attempts: number;
  retry: Timer | null;
  readonly tunnels: HostTunnels;
  readonly wantedSinceMs: number;
  /** The name under which the supervisor knows it to be up, or null. */
  servedAs: string | null;
  /** Has been up in this life of the actor. */
  wasUp: boolean;
}

export function newHostState(
  host: string,
  tenure: number,
  ledger: LedgerEntry | null,
  tunnels: HostTunnels,
  nowMs: number,
): HostState {
  return {
    host,
    tenure,
    hold: 'held',
    lingers: false,
    alsoRuns: false,
    settled: false,
    intent: { kind: 'kept' },
    move: null,
    rules: null,
    compiled: null,
    ledger,
    cleared: 'nothing',
    doubt: 'none',
    look: null,
    removingSinceMs: null,
    verifiedAtMs: Number.NEGATIVE_INFINITY,
    stepInFlight: null,
    seenMeanwhile: null,
    fault: null,
    warned: new ToldCauses(),
    attempts: 0,
    retry: null,
    tunnels,
    wantedSinceMs: nowMs,
    servedAs: null,
    wasUp: false,
  };
}

/** The step to carry out now: none while one is in flight, waits for its retry, or the removal is put off. */
export function dueStep(state: HostState, putOff: boolean): HostStep | null {
  if (state.stepInFlight !== null || state.retry !== null || putOff || state.hold !== 'held') return null;
  return plannedStep(state);
}

/** A look at what is believed to be right is no reason to call the host unfinished. */
function missingStep(state: HostState): HostStep | null {
  return plannedStep({ ...state, doubt: 'none' });
}

function plannedStep(state: HostState): HostStep | null {
  return nextStep(state.intent, {
    ledger: state.ledger,
    running: state.tunnels.isRunning || state.alsoRuns,
    cleared: state.cleared,
    doubt: state.doubt,
  });
}

/** The tunnel is up exactly while it exists at Cloudflare and its backends are there. */
function shouldRun(state: HostState, settings: IngressSettings | null, putOff: boolean): boolean {
  // What lingers is not started again.
  if (state.hold === 'parted') return state.lingers && isUp(state);
  if (tunnelIdentityOf(state) === null || state.stepInFlight?.step === 'remove-tunnel') return false;
  if (state.compiled === null) return false;
  // A host that is let go of later, and one whose Ingress cannot be read, goes on as it was.
  if (state.intent.kind === 'kept' || (state.intent.kind === 'unwanted' && putOff))
    return state.tunnels.isOpen;
  if (state.intent.kind === 'unwanted') return false;
  // What its place cannot take is not begun with.
  if (state.compiled.refused) return state.tunnels.isOpen;
  return state.compiled.usable || settings?.noBackend === '503';
}

/** Asks for the connector that the host should have now, if any. */
export function steerTunnel(state: HostState, settings: IngressSettings | null, putOff: boolean): void {
  if (!shouldRun(state, settings, putOff)) {
    return isKnownClosed(state, putOff) ? state.tunnels.clear() : state.tunnels.want(null);
  }
  // What is (to be) another holder's goes on exactly as it is.
  const identity = tunnelIdentityOf(state);
  if (state.hold !== 'held' || identity === null || state.compiled === null) return;
  const { routes, refused } = state.compiled;
  // A host that is merely kept goes on with what it was started with.
  if (settings === null || refused) return state.tunnels.want({ ...state.tunnels.wish!, identity, routes });
  const { haConnections } = settings;
  state.tunnels.want({ identity, haConnections, place: placeOf(settings), routes });
}

/** Nothing of the host should run: not even what an earlier process left, which is let be until that is known. */
function isKnownClosed(state: HostState, putOff: boolean): boolean {
  if (state.hold !== 'held') return false;
  if (state.intent.kind === 'wanted') return state.compiled !== null && !state.compiled.refused;
  return state.intent.kind === 'unwanted' && !putOff;
}

/**
 * The tunnel that the ledger knows. Where somebody has deleted or emptied the ledger of a wanted host, or spoilt its
 * token, what serves goes on until the step that looks the tunnel up at Cloudflare has answered, which may take as long
 * as that is away.
 */
export function tunnelIdentityOf({ ledger, intent, tunnels }: HostState): TunnelIdentity | null {
  const known = ledger?.tunnel ?? null;
  if (known !== null && hasToken(known)) return known;
  return known !== null || intent.kind === 'wanted' ? (tunnels.wish?.identity ?? null) : null;
}

/** The name that the tunnel has at Cloudflare's edge; null while there is none. */
export function hostnameOf(state: HostState): string | null {
  const id = tunnelIdentityOf(state)?.id;
  return id === undefined ? null : tunnelHostname(id);
}

export function isUp(state: HostState): boolean {
  return state.tunnels.registered > 0;
}

/**
 * The host has come from another holder, whose connector should serve until ours does. Not for one that cannot
 * begin before the other has made room.
 */
export function isTakingOver(state: HostState, settings: IngressSettings | null): boolean {
  if (state.intent.kind !== 'wanted' || isUp(state)) return false;
  if (state.compiled === null) return true;
  return shouldRun(state, settings, false) && state.tunnels.fault?.code !== 'threads-exhausted';
}

/** Still on its way to serve, so that what it replaces should stay for the moment. */
export function isSettling(state: HostState, settings: IngressSettings | null): boolean {
  if (state.intent.kind !== 'wanted' || state.fault !== null) return false;
  if (state.compiled === null) return true;
  if (missingStep(state) !== null) return true;
  return shouldRun(state, settings, false) && !isUp(state) && state.tunnels.fault === null;
}

/** Not up yet in this life, and may be any moment. That is so of what an earlier process has left, too, and we may not change. */
function comesBack(state: HostState, settings: IngressSettings | null): boolean {
  const runs = state.compiled?.refused === true || shouldRun(state, settings, false);
  return !state.wasUp && runs && state.tunnels.fault === null;
}

/** Names of the tunnels that are up; after a restart also of those that are about to come up again. */
export function namesInStatus(
  states: Iterable<HostState>,
  settings: IngressSettings | null,
  published: readonly string[],
): readonly string[] {
  return [...states].flatMap((state) => {
    const name = hostnameOf(state);
    if (name === null) return [];
    const returns = published.includes(name) && comesBack(state, settings);
    return isUp(state) || returns ? [name] : [];
  });
}

/**
 * What users and `/readyz` see. Only `provisioning` and `starting` mean "can be up, is not yet". What only the leader
 * can provision nobody else waits for.
 */
export function tunnelStateOf(
  state: HostState,
  settings: IngressSettings | null,
  putOff: boolean,
  leads: boolean,
): TunnelState {
  if (state.intent.kind === 'unwanted' || state.hold !== 'held') return 'closing';
  if (leads && state.intent.kind === 'wanted' && missingStep(state) !== null) {
    return state.fault === null ? 'provisioning' : 'failed';
  }
  // Its CA is being read.
  if (state.intent.kind === 'wanted' && state.compiled === null) return 'provisioning';
  if (!shouldRun(state, settings, putOff)) return state.compiled?.refused === true ? 'failed' : 'waiting';
  if (isUp(state)) return 'up';
  return state.tunnels.fault === null ? 'starting' : 'failed';
}
