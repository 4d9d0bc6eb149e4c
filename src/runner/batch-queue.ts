// Q1 FIFO. What is cancelled leaves at once in the count, and in the list when its turn comes.
// Q2 Rows are counted, not entries; the bound holds for rows. An empty queue takes any call, however large.

/** What waits: `rows` of one call, all of the same `batchKey`. */
export interface QueueEntry {
  readonly rows: number;
  /** Only entries with the same key fit into one batch (shape beyond axis 0). */
  readonly batchKey: string;
  readonly queuedAtMs: number;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  left: boolean;
}

export interface TakenBatch<E> {
  readonly entries: readonly E[];
  readonly rows: number;
  /** Entries whose deadline had passed: they are out of the queue and must be answered, not run. */
  readonly expired: readonly E[];
}

export class BatchQueue<E extends QueueEntry> {
  readonly maxSize: number;
  readonly #maxRows: number;
  #entries: E[] = [];
  #head = 0;
  #rows = 0;

  /** @param maxSize - rows of one batch; @param maxRows - rows that may wait. */
  constructor(maxSize: number, maxRows: number) {
    this.maxSize = maxSize;
    this.#maxRows = maxRows;
  }

  get rows(): number {
    return this.#rows;
  }

  get oldestAtMs(): number {
    this.#skipLeft();
    return this.#entries[this.#head]?.queuedAtMs ?? Infinity;
  }

  /** False: it would exceed the bound. */
  hasRoomFor(rows: number): boolean {
    return this.#rows === 0 || this.#rows + rows <= this.#maxRows;
  }

  push(entry: E): void {
    this.#entries.push(entry);
    this.#rows += entry.rows;
  }

  /** The caller has gone; a no-op for an entry that left already. */
  remove(entry: E): void {
    if (entry.left) return;
    entry.left = true;
    this.#rows -= entry.rows;
  }

  /** The next batch from the head: entries of one key, up to `maxRows`; never empty while an unexpired entry waits. */
  take(maxRows: number, nowMs: number): TakenBatch<E> {
    const entries: E[] = [];
    const expired: E[] = [];
    let rows = 0;
    for (this.#skipLeft(); this.#head < this.#entries.length; this.#skipLeft()) {
      const entry = this.#entries[this.#head] as E;
      if (entry.deadlineAtMs !== undefined && entry.deadlineAtMs <= nowMs) {
        this.#leave(entry);
        expired.push(entry);
        continue;
      }
      const first = entries[0];
      if (first !== undefined && (entry.batchKey !== first.batchKey || rows + entry.rows > maxRows)) break;
      this.#leave(entry);
      entries.push(entry);
      rows += entry.rows;
    }
    return { entries, rows, expired };
  }

  #leave(entry: E): void {
    this.remove(entry);
    this.#head += 1;
  }

  #skipLeft(): void {
    while (this.#entries[this.#head]?.left === true) this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head); // amortised: each entry is moved at most once per doubling
      this.#head = 0;
    } else if (this.#head === this.#entries.length && this.#head > 0) {
      this.#entries.length = 0;
      this.#head = 0;
    }
  }
}
