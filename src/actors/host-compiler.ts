import { isDeepStrictEqual } from 'node:util';
import type { BackendView } from '../domain/backend.ts';
import { caSecretsOf, compileHost, contributionNotes, type OriginCa } from '../domain/compile-host.ts';
import type { EventNote } from '../domain/event.ts';
import type { HostState } from './host-state.ts';
import type { Assignment } from './messages.ts';

type Sources = Pick<Assignment, 'settings' | 'hosts' | 'contributed' | 'backends' | 'cas'>;

/**
 * Makes routes of one Ingress' rules, as its backends and CAs are now. Invariants: nothing is compiled before each CA
 * has been looked for, as that must not be a gap of 503, whether the tunnel is open already or about to be; and the
 * same routes stay the same object, which is how everybody below sees that nothing has changed.
 */
export class HostCompiler {
  #sources: Sources = { settings: null, hosts: [], contributed: [], backends: new Map(), cas: new Map() };
  #backends = new Map<string, BackendView>();
  #cas = new Map<string, OriginCa>();

  /** Everything anew. */
  assigned(sources: Sources): void {
    this.#sources = sources;
    this.#backends = new Map(sources.backends);
    this.#cas = new Map(sources.cas);
  }

  backend(service: string, view: BackendView): void {
    this.#backends.set(service, view);
  }

  ca(secret: string, ca: OriginCa): void {
    this.#cas.set(secret, ca);
  }

  /**
   * Into the states of those hosts that are wanted; and tells what is amiss with each host whose paths another
   * Ingress' tunnel routes.
   */
  compile(states: Iterable<HostState>, amiss: (host: string, notes: readonly EventNote[]) => void): void {
    const { settings, hosts, contributed } = this.#sources;
    if (settings === null) return;
    for (const secret of caSecretsOf([...hosts, ...contributed], settings))
      if (!this.#cas.has(secret)) return;
    for (const state of states) {
      if (state.rules === null || state.intent.kind !== 'wanted') continue;
      const compiled = compileHost(state.rules, settings, this.#backends, this.#cas);
      const before = state.compiled?.routes;
      const stays = compiled.refused || isDeepStrictEqual(before, compiled.routes);
      state.compiled = stays && before !== undefined ? { ...compiled, routes: before } : compiled;
    }
    for (const rules of contributed) {
      amiss(rules.host, contributionNotes(rules, settings, this.#backends, this.#cas));
    }
  }
}
