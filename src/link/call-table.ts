// The open calls of a connection by their 32-bit id: open addressing, linear probing.
// A Map is no good here. Its tables are replaced as entries come and go, and each old table points to the next; once one is
// in the old generation, finished calls and their bodies live until a full collection. Measured on an echo under load: CPU
// of API workers 0.90x and of runner workers 0.73x with this table, at 95 instead of 118 MB.
// T1 At most half of the places are taken, so every probe ends at an empty one.
// T2 `delete` moves later entries of the run back, so that a lookup never has to pass a gap.
// T3 Ids come one after another, so that open calls are one long run, all of them at home as a rule (`id & mask`). Then
//    nothing has to be moved, and `delete` does not walk the run: that would be a step for each call in flight.

const FIRST_CAPACITY = 64;

export class CallTable<Call extends object> {
  #ids = new Uint32Array(FIRST_CAPACITY);
  #calls: (Call | undefined)[] = emptyPlaces(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  #size = 0;
  /** Entries that are not at home. */
  #displaced = 0;

  get size(): number {
    return this.#size;
  }

  /** @param id - a whole number below 2^32. */
  get(id: number): Call | undefined {
    return this.#calls[this.#find(id)];
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** `id` must not be in the table. */
  add(id: number, call: Call): void {
    if ((this.#size + 1) * 2 > this.#calls.length) this.#grow();
    const at = this.#find(id);
    this.#ids[at] = id;
    this.#calls[at] = call;
    this.#size += 1;
    if (at !== (id & this.#mask)) this.#displaced += 1;
  }

  /** False: it was not there. */
  delete(id: number): boolean {
    let gap = this.#find(id);
    const calls = this.#calls;
    if (calls[gap] === undefined) return false;
    const ids = this.#ids;
    const mask = this.#mask;
    if (gap !== (id & mask)) this.#displaced -= 1;
    calls[gap] = undefined;
    this.#size -= 1;
    if (this.#displaced === 0) return true; // T3
    for (let at = (gap + 1) & mask; calls[at] !== undefined; at = (at + 1) & mask) {
      const home = (ids[at] ?? 0) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue; // its home lies behind the gap: it may stay
      ids[gap] = ids[at] ?? 0;
      calls[gap] = calls[at];
      calls[at] = undefined;
      if (gap === home) this.#displaced -= 1;
      gap = at;
    }
    return true;
  }

  /** All calls at this moment, in no order. */
  values(): Call[] {
    return this.#calls.filter((call) => call !== undefined);
  }

  clear(): void {
    this.#calls.fill(undefined);
    this.#size = 0;
    this.#displaced = 0;
  }

  /** The place of `id`, or the empty one where it would go (T1). */
  #find(id: number): number {
    const mask = this.#mask;
    let at = id & mask;
    while (this.#calls[at] !== undefined && this.#ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const calls = this.#calls;
    const ids = this.#ids;
    this.#mask = calls.length * 2 - 1;
    this.#ids = new Uint32Array(calls.length * 2);
    this.#calls = emptyPlaces(calls.length * 2);
    this.#size = 0;
    this.#displaced = 0;
    calls.forEach((call, at) => {
      if (call !== undefined) this.add(ids[at] ?? 0, call);
    });
  }
}

function emptyPlaces<Call>(count: number): (Call | undefined)[] {
  return new Array<Call | undefined>(count).fill(undefined);
}
