import { isDeepStrictEqual } from 'node:util';
import type { BackendView } from '../domain/backend.ts';
import { caSecretsOf, compileHost } from '../domain/compile-host.ts';
import { tunnelHostname } from '../domain/host.ts';
import { isLaterVersion, type LedgerEntry } from '../domain/ledger.ts';
import { type Fault, unreachable } from '../fault.ts';
import type { ActorContext, ActorFactory, ActorRef } from '../kernel/actor.ts';
import { CaReader } from './ca-reader.ts';
import {
  admitCleared,
  type HostState,
  isSettling,
  isUp,
  newHostState,
  shouldRun,
  tunnelStateOf,
} from './host-state.ts';
import type { StepWorld } from './host-steps.ts';
import { HostTunnels } from './host-tunnels.ts';
import { HostUpkeep } from './host-upkeep.ts';
import { type IngressNotes, ingressNotes } from './ingress-notes.ts';
import type { Assignment, IngressMessage, SupervisorMessage } from './messages.ts';
import type { ActorLog, IngressSink, Secrets, Telemetry, TunnelRunner } from './ports.ts';
import { StatusPublisher } from './status-publisher.ts';

export interface IngressWorld extends StepWorld {
  readonly runner: TunnelRunner;
  readonly sink: IngressSink;
  readonly secrets: Secrets;
  readonly telemetry: Telemetry;
  readonly log: ActorLog;
  readonly random: () => number;
  readonly graceMs: number;
}

/**
 * One Ingress: holds its hosts, brings each towards what was assigned (one step at a time, the newest
 * assignment wins between steps), and runs a tunnel actor per host while that host should be up.
 */
export function ingressActor(
  initial: () => Assignment,
  supervisor: ActorRef<SupervisorMessage>,
  world: IngressWorld,
): ActorFactory<IngressMessage> {
  return (context) => {
    const actor = new IngressActor(context, supervisor, world, initial());
    return {
      receive: (message) => actor.receive(message),
      childFailed: (name, fault) => actor.tunnelFailed(name, fault),
      childEnded: (name) => actor.tunnelEnded(name),
    };
  };
}

class IngressActor {
  readonly #context: ActorContext<IngressMessage>;
  readonly #supervisor: ActorRef<SupervisorMessage>;
  readonly #world: IngressWorld;
  readonly #hosts = new Map<string, HostState>();
  #assignment: Assignment;
  #backends: Map<string, BackendView>;
  /**
   * The last version of ledger entries that we removed ourselves: an assignment that was on its way meanwhile
   * may still have them.
   */
  readonly #forgotten = new Map<string, string>();
  readonly #notes: IngressNotes;
  readonly #upkeep: HostUpkeep;
  readonly #status: StatusPublisher;
  readonly #cas: CaReader;

  constructor(
    context: ActorContext<IngressMessage>,
    supervisor: ActorRef<SupervisorMessage>,
    world: IngressWorld,
    assignment: Assignment,
  ) {
    this.#context = context;
    this.#supervisor = supervisor;
    this.#world = world;
    this.#assignment = assignment;
    this.#backends = new Map(assignment.backends);
    this.#status = new StatusPublisher(context, world, assignment.publishedHostnames);
    this.#cas = new CaReader(context, world);
    this.#notes = ingressNotes((note) => world.sink.event(this.#assignment.ingress, note));
    this.#upkeep = new HostUpkeep(context, world, this.#notes);
    this.#assigned(assignment);
    this.#converge();
  }

  receive(message: IngressMessage): void {
    switch (message.type) {
      case 'assigned':
        this.#assigned(message.assignment);
        break;
      case 'backend':
        this.#backends.set(message.service, message.view);
        for (const state of this.#hosts.values()) this.#compile(state);
        break;
      case 'ca.read':
        this.#cas.read(message.secret, message.result);
        for (const state of this.#hosts.values()) this.#compile(state);
        break;
      case 'ca.due':
        this.#cas.due(message.secret);
        break;
      case 'ledger.seen':
        this.#ledgerSeen(message);
        break;
      case 'try.again':
        for (const state of this.#hosts.values()) if (state.fault !== null) this.#upkeep.retryNow(state);
        break;
      case 'credentials.checked':
        this.#notes.credentials(message.fault);
        break;
      case 'step.done':
        this.#stepDone(message);
        break;
      case 'step.due':
        this.#ofHost(message.host, (state) => {
          state.retry = null;
        });
        break;
      case 'status.written':
        this.#status.written(message.hostnames, message.result);
        break;
      case 'status.due':
        this.#status.due();
        break;
      case 'tunnel.connections':
        this.#connections(message);
        break;
      case 'tunnel.unauthorized':
        this.#ofHost(HostTunnels.hostOf(message.child), (state) => this.#upkeep.doubtTunnel(state));
        break;
      case 'dns.doubted':
        this.#ofHost(message.host, (state) => this.#upkeep.doubtDns(state));
        break;
      default:
        return unreachable(message);
    }
    this.#converge();
  }

  tunnelFailed(childName: string, fault: Fault): void {
    const host = HostTunnels.hostOf(childName);
    const state = this.#hosts.get(host);
    if (state === undefined || !state.tunnels.failed(childName, fault)) return;
    this.#world.telemetry.tunnelRestarted(host, fault.code);
    this.#world.log.warn({ host, code: fault.code, detail: fault.message }, 'tunnel restarting');
    this.#notes.tunnelRestarted(host, fault);
    this.#converge();
  }

  tunnelEnded(childName: string): void {
    this.#hosts.get(HostTunnels.hostOf(childName))?.tunnels.ended(childName);
    this.#converge();
  }

  // What should be -------------------------------------------------------------------------------------------

  #assigned(next: Assignment): void {
    const changed = !isDeepStrictEqual(
      [this.#assignment.hosts, this.#assignment.settings],
      [next.hosts, next.settings],
    );
    this.#assignment = next;
    this.#backends = new Map(next.backends);
    this.#status.seen(next.publishedHostnames);
    if (next.settings !== null) this.#cas.want(caSecretsOf(next.hosts, next.settings));
    for (const entry of next.ledger) {
      const forgotten = this.#forgotten.get(entry.host);
      const outlived = forgotten !== undefined && !isLaterVersion(entry.resourceVersion, forgotten);
      if (!outlived) this.#stateOf(entry.host, entry);
    }

    const wanted = new Map(next.hosts.map((rules) => [rules.host, rules]));
    for (const host of wanted.keys()) this.#stateOf(host, null);
    for (const state of this.#hosts.values()) {
      const rules = wanted.get(state.host);
      state.released = rules === undefined && next.released.includes(state.host);
      if (rules !== undefined && next.settings !== null) {
        state.intent = { kind: 'wanted', ingress: next.ingress.name, dns: next.settings.dns };
        state.rules = rules;
        this.#compile(state);
      } else {
        const stays = next.keepOthers || state.released || next.kept.includes(state.host);
        state.intent = { kind: stays ? 'kept' : 'unwanted' };
      }
      if (state.intent.kind !== 'unwanted') admitCleared(state);
      if (changed) this.#upkeep.retryNow(state);
    }
    this.#notes.problems(next.problems);
    this.#notes.taken(next.taken);
    this.#notes.credentials(next.credentialsFault);
  }

  /** The ledger entry is looked at only for a host that is new here: afterwards we are the ones who write it. */
  #stateOf(host: string, ledger: LedgerEntry | null): HostState {
    let state = this.#hosts.get(host);
    if (state === undefined) {
      const tunnels = new HostTunnels(host, this.#context, this.#world);
      state = newHostState(host, ledger, tunnels, this.#context.clock.monotonic());
      this.#hosts.set(host, state);
      this.#upkeep.lookLater(state);
    }
    return state;
  }

  #compile(state: HostState): void {
    const { settings } = this.#assignment;
    if (state.rules === null || settings === null || state.intent.kind !== 'wanted') return;
    // A change of the CA's name must not be a gap of 503 while the new one is read.
    if (this.#cas.isPending && state.compiled !== null) return;
    const compiled = compileHost(state.rules, settings, this.#backends, this.#cas.known);
    // The same routes stay the same object, which is how everybody below sees that nothing has changed.
    const same = isDeepStrictEqual(state.compiled?.routes, compiled.routes);
    state.compiled = same ? { ...compiled, routes: state.compiled!.routes } : compiled;
  }

  /** Somebody else changed the Secret, or our own write comes back by the watch: then it is not later. */
  #ledgerSeen(message: Extract<IngressMessage, { type: 'ledger.seen' }>): void {
    const state = this.#hosts.get(message.host);
    if (state === undefined || state.stepInFlight !== null) return;
    if (state.ledger !== null && !isLaterVersion(message.version, state.ledger.resourceVersion)) return;
    state.ledger = message.entry;
  }

  // What is done about it ------------------------------------------------------------------------------------

  /** Brings every host one move closer. Runs after each message; does nothing where nothing is due. */
  #converge(): void {
    const { settings } = this.#assignment;
    // A replaced host stays until its successor serves, so that a change of host is no outage.
    const settling = [...this.#hosts.values()].some((state) => isSettling(state, settings));
    for (const state of this.#hosts.values()) {
      const held = state.intent.kind === 'unwanted' && settling;
      this.#convergeTunnel(state, held);
      this.#upkeep.advance(state, this.#assignment.ingress.name, held);
      this.#report(state, held);
      this.#finish(state);
    }
    this.#status.want(this.#assignment.ingress, this.#hostnames());
  }

  #convergeTunnel(state: HostState, held: boolean): void {
    const { settings } = this.#assignment;
    const identity = state.ledger?.tunnel;
    if (!shouldRun(state, settings, held) || identity == null || state.compiled === null) {
      return state.tunnels.want(null);
    }
    // A host that is merely kept goes on with what it was started with.
    const haConnections = settings?.haConnections ?? state.tunnels.haConnections;
    state.tunnels.want({ identity, haConnections, routes: state.compiled.routes });
  }

  #stepDone({ host, step, result }: Extract<IngressMessage, { type: 'step.done' }>): void {
    const state = this.#hosts.get(host);
    if (state === undefined) return;
    const before = state.ledger;
    this.#upkeep.done(state, step, result);
    if (!result.ok) return;
    if (result.value.ledger === null) this.#forgotten.set(host, before?.resourceVersion ?? '');
    else this.#forgotten.delete(host);
    if (state.ledger !== null) this.#supervisor.tell({ type: 'host.recorded', entry: state.ledger });
  }

  #ofHost(host: string, act: (state: HostState) => void): void {
    const state = this.#hosts.get(host);
    if (state !== undefined) act(state);
  }

  #connections({ child, life, registered }: Extract<IngressMessage, { type: 'tunnel.connections' }>): void {
    const host = HostTunnels.hostOf(child);
    const state = this.#hosts.get(host);
    const before = state?.tunnels.registered ?? 0;
    if (state === undefined || !state.tunnels.connections(child, life, registered)) return;
    const now = state.tunnels.registered;
    if (before > 0 && now === 0) this.#notes.tunnelLost(host);
    if (now > 0 && !state.wasUp) {
      state.wasUp = true;
      this.#world.telemetry.timeToReady((this.#context.clock.monotonic() - state.wantedSinceMs) / 1000);
    }
  }

  /** A host that is through with being removed or released is the supervisor's again. */
  #finish(state: HostState): void {
    if (state.tunnels.isRunning || state.stepInFlight !== null) return;
    const ingress = this.#assignment.ingress.name;
    const cleared = state.intent.kind === 'unwanted' && state.ledger === null;
    if (!state.released && !cleared) return;
    state.retry?.cancel();
    state.look?.cancel();
    this.#tellServing(state, null);
    this.#hosts.delete(state.host);
    this.#notes.forget(state.host);
    this.#world.telemetry.tunnelState(ingress, state.host, null);
    this.#world.telemetry.tunnelConnections(state.host, null);
    const { host, ledger: entry } = state;
    if (state.released) this.#supervisor.tell({ type: 'host.released', ingress, host, entry });
    else this.#supervisor.tell({ type: 'host.cleared', ingress, host });
  }

  // What users see -------------------------------------------------------------------------------------------

  #report(state: HostState, held: boolean): void {
    const { settings, ingress } = this.#assignment;
    const tunnelState = tunnelStateOf(state, settings, held);
    this.#world.telemetry.tunnelState(ingress.name, state.host, tunnelState);
    this.#world.telemetry.tunnelConnections(state.host, state.tunnels.registered);
    this.#tellServing(state, isUp(state) ? hostnameOf(state) : null);
    if (state.intent.kind !== 'wanted') return;
    this.#notes.backends(state.host, state.compiled?.notes ?? []);
    if (tunnelState === 'waiting') this.#notes.tunnelClosed(state.host);
    if (tunnelState === 'up') this.#notes.tunnelReady(state.host, state.ledger?.tunnel?.id ?? '');
  }

  /** For Ingresses whose paths are routed in this host's tunnel. */
  #tellServing(state: HostState, hostname: string | null): void {
    if (state.servedAs === hostname) return;
    state.servedAs = hostname;
    this.#supervisor.tell({ type: 'host.serving', host: state.host, hostname });
  }

  /** Names of the tunnels that are up; after a restart also of those that are about to come up again. */
  #hostnames(): readonly string[] {
    const names = new Set<string>();
    for (const state of this.#hosts.values()) {
      const name = hostnameOf(state);
      if (name === null) continue;
      if (isUp(state) || (this.#comesBack(state) && this.#status.published.includes(name))) names.add(name);
    }
    for (const name of this.#assignment.servedAlso) names.add(name);
    return [...names];
  }

  #comesBack(state: HostState): boolean {
    return !state.wasUp && shouldRun(state, this.#assignment.settings, false) && state.tunnels.fault === null;
  }
}

function hostnameOf(state: HostState): string | null {
  const id = state.ledger?.tunnel?.id;
  return id === undefined ? null : tunnelHostname(id);
}
