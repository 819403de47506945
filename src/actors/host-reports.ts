import type { ActorRef } from '../kernel/actor.ts';
import {
  type HostState,
  hostnameOf,
  isTakingOver,
  isUp,
  tunnelIdentityOf,
  tunnelStateOf,
} from './host-state.ts';
import type { IngressNotes } from './ingress-notes.ts';
import type { Assignment, SupervisorMessage } from './messages.ts';
import type { Leadership, Telemetry } from './ports.ts';

interface ReportsWorld {
  readonly telemetry: Telemetry;
  readonly leadership: Leadership;
}

/**
 * Tells what has become of a host: users, by metrics and Events, and the supervisor, for other Ingresses. To be called
 * after every change; what is no news is not told again. Works on the ingress actor's own host states.
 */
export class HostReports {
  readonly #supervisor: ActorRef<SupervisorMessage>;
  readonly #world: ReportsWorld;
  readonly #notes: IngressNotes;

  constructor(supervisor: ActorRef<SupervisorMessage>, world: ReportsWorld, notes: IngressNotes) {
    this.#supervisor = supervisor;
    this.#world = world;
    this.#notes = notes;
  }

  report(state: HostState, { ingress, settings }: Assignment, putOff: boolean): void {
    const { leadership, telemetry } = this.#world;
    const tunnelState = tunnelStateOf(state, settings, putOff, leadership.isLeading);
    telemetry.tunnelState(ingress.name, state.host, tunnelState);
    // What else there is to say of a host is its holder's.
    if (state.hold === 'parted') return;
    telemetry.tunnelConnections(state.host, state.tunnels.registered);
    this.#tellServing(state, isUp(state) ? hostnameOf(state) : null);
    if (state.hold === 'held' && !isTakingOver(state, settings)) this.#tellSettled(state);
    if (state.intent.kind !== 'wanted') return;
    this.#notes.backends(state.host, state.compiled?.notes ?? []);
    if (!state.tunnels.isReplacing) this.#notes.replaced(state.host);
    this.#notes.pods(state.host, state.tunnels.podFault);
    if (tunnelState === 'waiting') this.#notes.tunnelClosed(state.host);
    if (tunnelState === 'up') this.#notes.tunnelReady(state.host, tunnelIdentityOf(state)?.id ?? '');
  }

  /** Nothing is left of the host. */
  gone(state: HostState): void {
    this.#tellServing(state, null);
    this.#world.telemetry.tunnelConnections(state.host, null);
    this.#notes.forget(state.host);
  }

  /** For Ingresses whose paths are routed in this host's tunnel. */
  #tellServing(state: HostState, hostname: string | null): void {
    if (state.servedAs === hostname) return;
    state.servedAs = hostname;
    this.#supervisor.tell({ type: 'host.serving', host: state.host, tenure: state.tenure, hostname });
  }

  /** For whoever had the host before and still serves it. */
  #tellSettled(state: HostState): void {
    if (!state.alsoRuns || state.settled) return;
    state.settled = true;
    this.#supervisor.tell({ type: 'host.settled', host: state.host, tenure: state.tenure });
  }
}
