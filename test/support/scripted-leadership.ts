import type { Leadership } from '../../src/actors/ports.ts';

/** Leads until told otherwise. */
export class ScriptedLeadership implements Leadership {
  readonly #listeners = new Set<(isLeading: boolean) => void>();
  #leads = true;

  get isLeading(): boolean {
    return this.#leads;
  }

  set isLeading(leads: boolean) {
    if (leads === this.#leads) return;
    this.#leads = leads;
    for (const hear of [...this.#listeners]) hear(leads);
  }

  onChange(hear: (isLeading: boolean) => void) {
    this.#listeners.add(hear);
    return () => void this.#listeners.delete(hear);
  }
}
