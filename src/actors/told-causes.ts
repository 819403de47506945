/** In an outage every attempt of each of a thousand fails alike, or for one of a few causes: so often each is a warning. */
const tellAgainAfterMs = 300_000;

/** For which causes it was told that something fails, which is tried again and again. */
export class ToldCauses {
  /** Monotonic milliseconds; null while there is none, as nearly always. */
  #toldAtMs: Map<string, number> | null = null;

  /** Whether that is to be told now; then it is taken for told. */
  isNews(cause: string, nowMs: number): boolean {
    const toldAtMs = this.#toldAtMs?.get(cause) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - toldAtMs < tellAgainAfterMs) return false;
    this.#toldAtMs ??= new Map();
    this.#toldAtMs.set(cause, nowMs);
    return true;
  }

  /** It has succeeded. */
  clear(): void {
    this.#toldAtMs = null;
  }
}
