/** Durations of one window, microseconds, kept whole so that percentiles are exact. */
export class Latencies {
  #values = new Float64Array(4096);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(us: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = us;
  }

  /** The smallest value that `share` of all values do not exceed (nearest rank); 0 when there are none. */
  percentile(share: number): number {
    const sorted = this.#values.subarray(0, this.#count).sort();
    return sorted[Math.max(0, Math.ceil(share * this.#count) - 1)] ?? 0;
  }
}
