import { isDeepStrictEqual } from 'node:util';
import { type Fault, unreachable } from '../fault.ts';
import type { ActorContext, ActorFactory, ActorRef } from '../kernel/actor.ts';
import { HostCompiler } from './host-compiler.ts';
import { HostReports } from './host-reports.ts';
import {
  type HostState,
  hostnameOf,
  isSettling,
  namesInStatus,
  steerTunnel,
  tunnelIdentityOf,
} from './host-state.ts';
import type { StepWorld } from './host-steps.ts';
import { HostTunnels } from './host-tunnels.ts';
import { HostUpkeep } from './host-upkeep.ts';
import { endMove, IngressHosts } from './ingress-hosts.ts';
import { type IngressNotes, ingressNotes } from './ingress-notes.ts';
import type { Assignment, IngressMessage, SupervisorMessage } from './messages.ts';
import type { IngressSink, Telemetry } from './ports.ts';
import { StatusPublisher } from './status-publisher.ts';
import type { TunnelWorld } from './tunnel.ts';

export interface IngressWorld extends StepWorld, TunnelWorld {
  readonly sink: IngressSink;
  readonly telemetry: Telemetry;
  readonly random: () => number;
  readonly graceMs: number;
}

/**
 * One Ingress: holds its hosts, brings each towards what was assigned (one step at a time, the newest
 * assignment wins between steps), and runs a tunnel actor per host while that host should be up.
 */
export function ingressActor(
  newest: () => Assignment,
  supervisor: ActorRef<SupervisorMessage>,
  world: IngressWorld,
): ActorFactory<IngressMessage> {
  return (context) => {
    const actor = new IngressActor(context, supervisor, world, newest);
    return {
      receive: (message) => actor.receive(message),
      childFailed: (name, fault, delayMs) => actor.tunnelFailed(name, fault, delayMs),
      childEnded: (name) => actor.tunnelEnded(name),
    };
  };
}

class IngressActor {
  readonly #context: ActorContext<IngressMessage>;
  readonly #supervisor: ActorRef<SupervisorMessage>;
  readonly #world: IngressWorld;
  readonly #hosts: IngressHosts;
  readonly #newest: () => Assignment;
  #assignment: Assignment;
  readonly #compiler = new HostCompiler();
  readonly #notes: IngressNotes;
  readonly #upkeep: HostUpkeep;
  readonly #status: StatusPublisher;
  readonly #reports: HostReports;

  constructor(
    context: ActorContext<IngressMessage>,
    supervisor: ActorRef<SupervisorMessage>,
    world: IngressWorld,
    newest: () => Assignment,
  ) {
    const assignment = newest();
    this.#context = context;
    this.#supervisor = supervisor;
    this.#world = world;
    this.#newest = newest;
    this.#assignment = assignment;
    this.#status = new StatusPublisher(context, world, assignment.publishedHostnames);
    this.#notes = ingressNotes((note) => world.sink.event(this.#assignment.ingress, note));
    this.#hosts = new IngressHosts(
      context,
      (host) => new HostTunnels(host, assignment.ingress.name, context, world),
    );
    this.#upkeep = new HostUpkeep(context, world, this.#notes);
    this.#reports = new HostReports(supervisor, world, this.#notes);
    // Whoever published it has said it: an earlier life, or another replica.
    if (assignment.publishedHostnames.length > 0)
      this.#notes.harmlessKnown(assignment.asksForTls, assignment.ignored);
    this.#assigned(assignment);
    this.#converge();
  }

  receive(message: IngressMessage): void {
    switch (message.type) {
      case 'assigned':
        this.#assigned(this.#newest());
        break;
      case 'backend':
        this.#compiler.backend(message.service, message.view);
        this.#compileAll();
        break;
      case 'ca':
        this.#compiler.ca(message.secret, message.ca);
        this.#compileAll();
        break;
      case 'ledger.seen':
        this.#ledgerSeen(message);
        break;
      case 'try.again':
        for (const state of this.#hosts) if (state.fault !== null) this.#upkeep.retryNow(state);
        break;
      case 'cloudflare.returned':
        for (const state of this.#hosts) this.#upkeep.cloudflareReturned(state);
        break;
      case 'leadership.changed':
        for (const state of this.#hosts) this.#upkeep.leadershipChanged(state);
        this.#status.leadershipChanged();
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
      case 'host.unmoved':
        this.#ofHost(message.host, endMove);
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
        this.#ofHost(HostTunnels.hostOf(message.child), (state) =>
          this.#upkeep.doubtTunnel(state, message.child),
        );
        break;
      case 'tunnel.access':
        this.#ofHost(HostTunnels.hostOf(message.child), ({ host }) =>
          this.#notes.access(host, message.problem),
        );
        break;
      case 'tunnel.quarantine':
        this.#ofHost(HostTunnels.hostOf(message.child), ({ host }) =>
          this.#notes.quarantined(host, message.isApart),
        );
        break;
      case 'tunnel.failing':
        this.#ofHost(HostTunnels.hostOf(message.child), ({ tunnels }) =>
          tunnels.failing(message.child, message.life, message.fault),
        );
        break;
      case 'dns.doubted':
        this.#ofHost(message.host, (state) => this.#upkeep.doubtDns(state));
        break;
      default:
        return unreachable(message);
    }
    this.#converge();
  }

  tunnelFailed(childName: string, fault: Fault, retryInMs: number): void {
    const host = HostTunnels.hostOf(childName);
    const state = this.#hosts.get(host);
    const failed = state?.tunnels.failed(childName, fault) ?? null;
    if (state === undefined || failed === null) return;
    if (state.hold !== 'parted') {
      this.#world.telemetry.tunnelRestarted(host, fault.code);
      const { code, message: detail } = fault;
      this.#world.log.warn({ host, code, detail, retryInMs }, 'tunnel restarting');
      if (failed === 'current') this.#notes.tunnelRestarted(host, fault);
      if (failed === 'successor') this.#notes.replacementFailed(host, fault);
      // Nothing but another token helps, and Cloudflare has it.
      if (fault.code === 'credentials-invalid') this.#upkeep.doubtToken(state);
    }
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
    const before = this.#assignment.contributed;
    // Another object of the name: whoever looks at it sees none of what was said on the one before.
    if (next.ingress.uid !== this.#assignment.ingress.uid) this.#notes.forgetAll();
    this.#assignment = next;
    this.#compiler.assigned(next);
    this.#status.seen(next.publishedHostnames);
    const named = [...next.hosts, ...next.contributed];
    for (const state of this.#hosts.follow(next)) this.#upkeep.lookLater(state);
    for (const { host } of before) if (named.every((rules) => rules.host !== host)) this.#notes.forget(host);
    this.#compileAll();
    if (changed) for (const state of this.#hosts) this.#upkeep.retryNow(state);
    for (const { host } of next.contributed) {
      this.#notes.servedBy(host, next.servedBy.find((served) => served.host === host) ?? null);
    }
    this.#notes.problems(next.problems);
    this.#notes.ignored(next.ignored);
    this.#notes.tls(next.asksForTls);
    this.#notes.taken(next.taken);
    this.#notes.credentials(next.credentialsFault);
  }

  #compileAll(): void {
    this.#compiler.compile(this.#hosts, (host, notes) => this.#notes.backends(host, notes));
  }

  #ledgerSeen(message: Extract<IngressMessage, { type: 'ledger.seen' }>): void {
    const state = this.#hosts.get(message.host);
    if (state === undefined || state.hold === 'parted' || !this.#upkeep.ledgerSeen(state, message)) return;
    this.#hosts.recorded(message.host, message.entry, message.version);
  }

  // What is done about it ------------------------------------------------------------------------------------

  /** Brings every host one move closer. Runs after each message; does nothing where nothing is due. */
  #converge(): void {
    const { settings } = this.#assignment;
    // A replaced host stays until its successor serves, and one that may be moving until it has: no change is an outage.
    const settling = [...this.#hosts].some((state) => isSettling(state, settings));
    for (const state of this.#hosts) {
      const putOff = state.intent.kind === 'unwanted' && (settling || state.move !== null);
      steerTunnel(state, settings, putOff);
      this.#upkeep.advance(state, this.#assignment.ingress.name, putOff);
      this.#reports.report(state, this.#assignment, putOff);
      this.#finish(state);
    }
    const { ingress, servedBy } = this.#assignment;
    const names = new Set(namesInStatus(this.#hosts, settings, this.#status.published));
    for (const { hostname } of servedBy) names.add(hostname);
    this.#status.want(ingress, [...names]);
  }

  #stepDone({ host, step, result }: Extract<IngressMessage, { type: 'step.done' }>): void {
    const state = this.#hosts.get(host);
    if (state === undefined) return;
    const over = state.ledger?.resourceVersion ?? null;
    this.#upkeep.done(state, step, result);
    const seen = state.seenMeanwhile;
    state.seenMeanwhile = null;
    if (seen !== null) this.#ledgerSeen(seen);
    if (!result.ok) return;
    this.#hosts.recorded(host, result.value.ledger, over);
    if (state.ledger !== null) this.#supervisor.tell({ type: 'host.recorded', entry: state.ledger, over });
  }

  #ofHost(host: string, act: (state: HostState) => void): void {
    const state = this.#hosts.get(host);
    if (state !== undefined && state.hold !== 'parted') act(state);
  }

  #connections({ child, life, registered }: Extract<IngressMessage, { type: 'tunnel.connections' }>): void {
    const host = HostTunnels.hostOf(child);
    const state = this.#hosts.get(host);
    const before = state?.tunnels.registered ?? 0;
    if (state === undefined || !state.tunnels.connections(child, life, registered)) return;
    if (state.hold === 'parted') return;
    const now = state.tunnels.registered;
    if (before > 0 && now === 0) this.#notes.tunnelLost(host);
    if (now > 0 && !state.wasUp) {
      state.wasUp = true;
      // It was up before us, or is so elsewhere: no news.
      const name = hostnameOf(state);
      if (name !== null && this.#status.published.includes(name)) {
        this.#notes.tunnelKnown(host, tunnelIdentityOf(state)?.id ?? '');
      }
      this.#world.telemetry.timeToReady((this.#context.clock.monotonic() - state.wantedSinceMs) / 1000);
    }
  }

  /** A host that is through with being removed, or that is to be handed over, is the supervisor's again. */
  #finish(state: HostState): void {
    if (state.stepInFlight !== null) return;
    const { host, tenure } = state;
    if (state.hold === 'parting') this.#part(state);
    else if (state.hold === 'held' && state.intent.kind === 'unwanted' && state.ledger === null) {
      if (state.tunnels.isRunning) return;
      this.#reports.gone(state);
      this.#forget(state);
      this.#supervisor.tell({ type: 'host.cleared', host, tenure, asOf: this.#hosts.forgottenAt(host) });
    } else if (state.hold === 'parted' && !state.tunnels.isRunning) {
      this.#forget(state);
      this.#supervisor.tell({ type: 'host.left', ingress: this.#assignment.ingress.name, host, tenure });
    }
  }

  /** From now on nothing is done for the host but to end its connector, at once if it does not serve anyway. */
  #part(state: HostState): void {
    const { host, tenure, ledger: entry, tunnels } = state;
    this.#hosts.part(state, true);
    this.#notes.forget(host);
    steerTunnel(state, this.#assignment.settings, false);
    const stillRuns = tunnels.isRunning;
    if (!stillRuns) this.#forget(state);
    else this.#world.log.info({ host, serves: tunnels.isOpen }, 'host handed over');
    const asOf = entry?.resourceVersion ?? this.#hosts.forgottenAt(host);
    this.#supervisor.tell({ type: 'host.released', host, tenure, entry, asOf, stillRuns });
  }

  #forget(state: HostState): void {
    this.#hosts.remove(state);
    this.#world.telemetry.tunnelState(this.#assignment.ingress.name, state.host, null);
  }
}
