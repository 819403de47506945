import { type SandboxOrigin, startOrigin } from '../src/sandbox/origin.ts';

/** The sample application of some hosts, for each at an address of its own that another one takes the place of. Owns them. */
export class Instances {
  readonly #serving = new Map<string, SandboxOrigin>();
  readonly #all = new Set<SandboxOrigin>();

  /** Null for a host that has none of its own. */
  portOf(name: string): number | null {
    return this.#serving.get(name)?.port ?? null;
  }

  /** Starts the next one; what it gives ends the one before, at once and with every connection. */
  async replace(name: string): Promise<() => Promise<void>> {
    const before = this.#serving.get(name);
    const next = await startOrigin();
    this.#all.add(next);
    this.#serving.set(name, next);
    return async () => {
      if (before === undefined) return;
      await before.stop();
      this.#all.delete(before);
    };
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    await Promise.all([...this.#all].map((origin) => origin.stop()));
  }
}
