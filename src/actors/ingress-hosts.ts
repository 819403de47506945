import { isLaterVersion, type LedgerEntry, type ObjectVersion } from '../domain/ledger.ts';
import type { ActorContext } from '../kernel/actor.ts';
import { type HostState, newHostState } from './host-state.ts';
import type { HostTunnels } from './host-tunnels.ts';
import type { Assignment, IngressMessage } from './messages.ts';

/**
 * So long a host stays as it is once its Ingress names others in its place: that may be one half of a move whose other half,
 * an Ingress that names it now, is written next.
 */
const moveMs = 5_000;

/**
 * The hosts of one ingress actor: which are its own to act on, what is intended with each, and which it only
 * serves until their new holder does. Assignments that were on their way when a host was given back find it so.
 */
export class IngressHosts {
  readonly #states = new Map<string, HostState>();
  /** The last version of ledger entries that are gone: an assignment may still have them. */
  readonly #forgotten = new Map<string, ObjectVersion>();
  /** The last tenure of each host that was given back. */
  readonly #over = new Map<string, number>();
  readonly #context: ActorContext<IngressMessage>;
  readonly #tunnelsOf: (host: string) => HostTunnels;

  constructor(context: ActorContext<IngressMessage>, tunnelsOf: (host: string) => HostTunnels) {
    this.#context = context;
    this.#tunnelsOf = tunnelsOf;
  }

  [Symbol.iterator](): Iterator<HostState> {
    return this.#states.values();
  }

  get(host: string): HostState | undefined {
    return this.#states.get(host);
  }

  /** Answers the hosts that it has begun with. */
  follow(next: Assignment): readonly HostState[] {
    const begun = this.#takeUp(next);
    const wanted = new Map(next.hosts.map((rules) => [rules.host, rules]));
    for (const state of this.#states.values()) {
      const { host } = state;
      const isListed = next.held.get(host) === state.tenure;
      if (state.hold === 'parted' || !isListed) {
        // One that still lists it was on its way when the host was handed over.
        if (!isListed) this.part(state, next.lingering.includes(host));
        continue;
      }
      const rules = next.settings === null ? undefined : wanted.get(host);
      state.hold = rules === undefined && next.released.includes(host) ? 'parting' : 'held';
      state.alsoRuns = next.alsoRun.includes(host);
      if (rules !== undefined) {
        state.intent = { kind: 'wanted', ingress: next.ingress.name, dns: next.settings!.dns };
        state.rules = rules;
      } else if (next.keepOthers || state.hold === 'parting' || next.kept.includes(host)) {
        state.intent = { kind: 'kept' };
      } else if (state.intent.kind !== 'unwanted') {
        state.intent = { kind: 'unwanted' };
        state.move = this.#context.after(moveMs, { type: 'host.unmoved', host });
      }
      if (state.intent.kind !== 'unwanted') state.cleared = 'nothing';
      // Who deletes an Ingress, or gives it another class, means it.
      if (state.intent.kind !== 'unwanted' || !next.namesHosts) endMove(state);
    }
    return begun;
  }

  /** From now on nothing is done for the host but to end its connector. No step may be in flight. */
  part(state: HostState, lingers: boolean): void {
    state.hold = 'parted';
    state.lingers = lingers;
    state.intent = { kind: 'kept' };
    stopTimers(state);
    this.#over.set(state.host, state.tenure);
  }

  /** Nothing is left of it here. */
  remove(state: HostState): void {
    stopTimers(state);
    this.#over.set(state.host, state.tenure);
    this.#states.delete(state.host);
  }

  /** The host's ledger entry is this one now, or (null) was removed as of that version. */
  recorded(host: string, entry: LedgerEntry | null, version: ObjectVersion): void {
    if (entry === null) this.#forgotten.set(host, version);
    else this.#forgotten.delete(host);
  }

  /** As of which version the host's ledger entry is gone; null where none was ever known. */
  forgottenAt(host: string): ObjectVersion {
    return this.#forgotten.get(host) ?? null;
  }

  /**
   * Begins with every host that has become ours to act on. Only then is its ledger entry looked at: afterwards we
   * are the ones who write it. A host that we had before goes on with the connector that lingers.
   */
  #takeUp({ held, ledger }: Assignment): readonly HostState[] {
    const begun: HostState[] = [];
    const entries = new Map(ledger.map((entry) => [entry.host, entry]));
    for (const [host, tenure] of held) {
      const former = this.#states.get(host);
      if (tenure <= Math.max(former?.tenure ?? 0, this.#over.get(host) ?? 0)) continue;
      const entry = this.#unlessForgotten(entries.get(host) ?? null);
      const tunnels = former?.tunnels ?? this.#tunnelsOf(host);
      const state = newHostState(host, tenure, entry, tunnels, this.#context.clock.monotonic());
      if (former !== undefined) {
        state.rules = former.rules;
        state.compiled = former.compiled;
        state.wasUp = former.wasUp;
      }
      this.#states.set(host, state);
      begun.push(state);
    }
    return begun;
  }

  #unlessForgotten(entry: LedgerEntry | null): LedgerEntry | null {
    const forgotten = entry === null ? undefined : this.#forgotten.get(entry.host);
    const outlived = forgotten !== undefined && !isLaterVersion(entry!.resourceVersion, forgotten);
    return outlived ? null : entry;
  }
}

/** It has moved, stays where it was, or is not to move. */
export function endMove(state: HostState): void {
  state.move?.cancel();
  state.move = null;
}

function stopTimers(state: HostState): void {
  endMove(state);
  state.retry?.cancel();
  state.retry = null;
  state.look?.cancel();
  state.look = null;
}
