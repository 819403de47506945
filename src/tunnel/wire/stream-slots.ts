/** An idle connection has its control stream and little else. */
const firstSlots = 16;

/**
 * The open streams of one connection by id: open addressing with linear probing. A `Map` would do, were it not for
 * what it costs at ten thousand streams a second: each time V8 rebuilds its table, the old one keeps a link to the
 * new one; once an old table is in the old generation, its link keeps all that the new one held alive through
 * every young collection, so that finished streams pile up until the next full one.
 */
export class StreamSlots<T> {
  #ids = new Int32Array(firstSlots);
  #values: (T | undefined)[] = new Array(firstSlots).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#values[this.#slotOf(id)];
  }

  /** `id` is not 0. */
  set(id: number, value: T): void {
    if ((this.#size + 1) * 2 > this.#ids.length) this.#grow();
    const slot = this.#slotOf(id);
    if (this.#ids[slot] === 0) this.#size += 1;
    this.#ids[slot] = id;
    this.#values[slot] = value;
  }

  delete(id: number): boolean {
    const mask = this.#ids.length - 1;
    let hole = this.#slotOf(id);
    if (this.#ids[hole] === 0) return false;
    // Whatever comes behind and belongs at or before the hole moves into it, so that no search stops too early.
    for (let slot = (hole + 1) & mask; this.#ids[slot] !== 0; slot = (slot + 1) & mask) {
      const home = homeOf(this.#ids[slot]!, mask);
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#ids[hole] = this.#ids[slot]!;
      this.#values[hole] = this.#values[slot];
      hole = slot;
    }
    this.#ids[hole] = 0;
    this.#values[hole] = undefined;
    this.#size -= 1;
    return true;
  }

  /** As they are now: the caller may delete while it looks at them. */
  values(): readonly T[] {
    return this.#values.filter((value) => value !== undefined);
  }

  clear(): void {
    this.#ids.fill(0);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** Where `id` is, or where it would be put. */
  #slotOf(id: number): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let slot = homeOf(id, mask);
    while (ids[slot] !== 0 && ids[slot] !== id) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = new Int32Array(ids.length * 2);
    this.#values = new Array(ids.length * 2).fill(undefined);
    this.#size = 0;
    for (const [slot, id] of ids.entries()) if (id !== 0) this.set(id, values[slot] as T);
    values.fill(undefined);
  }
}

/** A client's ids are odd: neighbours lie side by side. */
function homeOf(id: number, mask: number): number {
  return (id >>> 1) & mask;
}
