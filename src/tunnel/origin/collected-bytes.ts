/** A body that is collected to know its length is no larger than this, and all of a tunnel's together than that. */
export const maxCollectedBytes = 16 * 1024 * 1024;
export const maxCollectedInAllBytes = 64 * 1024 * 1024;

/**
 * What the bodies of one tunnel take that are collected before they are sent, for an origin that takes no chunks: they
 * must not be paused, so this bounds them. Who has taken bytes gives them back.
 */
export class CollectedBytes {
  #bytes = 0;

  /** False, and nothing is taken, where there is no room. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > maxCollectedInAllBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}
