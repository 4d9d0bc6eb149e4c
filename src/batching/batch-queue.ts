import type { WaitingRows } from './batch-selection.js';

// What waits for one method: buckets of rows that fit together, in each the calls by priority.
// Q1 FIFO within a priority and bucket. Between priorities the order is by `queuedAtMs` plus the handicap of the priority:
//    who has waited long goes before all, so nobody starves.
// Q2 Rows are counted, not entries; the bound holds for rows. An empty queue takes any call, however large.
// Q3 What is cancelled leaves at once in the count, and soon in the list.
// Q4 The bucket whose head comes first in that order goes first, so no shape starves another.

export type Priority = 'high' | 'normal' | 'low';

/** How much later than it came a call counts as queued. A low call thus goes before normal ones that come 0.9 s after it. */
const HANDICAP_MS: Readonly<Record<Priority, number>> = { high: 0, normal: 100, low: 1000 };

/** How much later than others a call is late: who lets others go first is not given up for it. */
const LENIENCE_MS: Readonly<Record<Priority, number>> = { high: 0, normal: 0, low: 900 };

const KEPT_BUCKETS = 8;
/** Entries that left and are still in a list, at least, before the list is cleared of them. */
const MAX_LEFT = 64;

/** What waits: `rows` of one call, all of the same `batchKey`. */
export interface QueueEntry {
  readonly rows: number;
  /** Only entries with the same key fit into one batch (shape beyond axis 0). */
  readonly batchKey: string;
  readonly priority: Priority;
  readonly queuedAtMs: number;
  /** On the clock of `performance.now()`. */
  readonly deadlineAtMs: number | undefined;
  left: boolean;
}

/** Cuts an entry in two: its first `rows` rows, and the rest. */
export type SplitEntry<E> = (entry: E, rows: number) => readonly [E, E];

/** Entries by priority, in the order in which they come to their turn. */
export class Bucket<E extends QueueEntry> implements WaitingRows {
  readonly key: string;
  readonly #lists: Readonly<Record<Priority, Fifo<E>>> = { high: new Fifo(), normal: new Fifo(), low: new Fifo() };
  rows = 0;

  constructor(key: string) {
    this.key = key;
  }

  push(entry: E): void {
    this.#lists[entry.priority].push(entry);
    this.rows += entry.rows;
  }

  unshift(entry: E): void {
    this.#lists[entry.priority].unshift(entry);
    this.rows += entry.rows;
  }

  /** The next in turn, and out of the list. */
  shift(): E | undefined {
    const list = this.#nextList();
    const entry = list?.shift();
    if (entry !== undefined) this.rows -= entry.rows;
    return entry;
  }

  /** An entry has been marked as left. */
  left(entry: E): void {
    this.rows -= entry.rows;
    this.#lists[entry.priority].left();
  }

  /** Place of the head in the order of Q1, in ms; Infinity: empty. */
  get turnAtMs(): number {
    const head = this.#nextList()?.head;
    return head === undefined ? Infinity : turnOf(head);
  }

  get oldestAtMs(): number {
    const { high, normal, low } = this.#lists;
    return Math.min(queuedAt(high.head), queuedAt(normal.head), queuedAt(low.head));
  }

  get firstCountsFromMs(): number {
    const { high, normal, low } = this.#lists;
    return Math.min(queuedAt(high.head), queuedAt(normal.head), queuedAt(low.head) + LENIENCE_MS.low);
  }

  rowsCountedBefore(atMs: number): number {
    const { high, normal, low } = this.#lists;
    return high.rowsBefore(atMs) + normal.rowsBefore(atMs) + low.rowsBefore(atMs - LENIENCE_MS.low);
  }

  #nextList(): Fifo<E> | undefined {
    const { high, normal, low } = this.#lists;
    let best: Fifo<E> | undefined = normal.head === undefined ? undefined : normal;
    // Most calls are normal: the others are looked at only where there are any.
    if (high.head !== undefined && (best?.head === undefined || turnOf(high.head) <= turnOf(best.head))) best = high;
    if (low.head !== undefined && (best?.head === undefined || turnOf(low.head) < turnOf(best.head))) best = low;
    return best;
  }
}

/** The time from which the latency target of an entry counts. */
export function countsFromMs({ queuedAtMs, priority }: QueueEntry): number {
  return queuedAtMs + LENIENCE_MS[priority];
}

function turnOf(entry: QueueEntry): number {
  return entry.queuedAtMs + HANDICAP_MS[entry.priority];
}

function queuedAt(entry: QueueEntry | undefined): number {
  return entry === undefined ? Infinity : entry.queuedAtMs;
}

export class BatchQueue<E extends QueueEntry> {
  readonly #maxRows: number;
  readonly #split: SplitEntry<E>;
  readonly #buckets = new Map<string, Bucket<E>>();
  readonly #rowsOf: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
  #rows = 0;
  #countedRows = 0;
  #countedAtMs = -Infinity;

  /** @param maxRows - rows that may wait. */
  constructor(maxRows: number, split: SplitEntry<E>) {
    this.#maxRows = maxRows;
    this.#split = split;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Rows that go before a call of this priority that comes now. */
  rowsAheadOf(priority: Priority): number {
    const { high, normal, low } = this.#rowsOf;
    if (priority === 'high') return high;
    return priority === 'normal' ? high + normal : high + normal + low;
  }

  /** Shapes that wait, and some that waited. */
  get shapes(): number {
    return this.#buckets.size;
  }

  /**
   * Batches before that of the last of `rows` rows of a shape, roughly.
   * @param share - of the rows that wait, those that count.
   */
  batchesAhead(batchKey: string, rows: number, maxSize: number, share: number): number {
    const own = share * (this.#buckets.get(batchKey)?.rows ?? 0);
    let batches = Math.floor((own + rows - 1) / maxSize);
    // Of the other shapes those batches go first whose head came before that of its own.
    const since = Math.max(0, own - batches * maxSize);
    for (const bucket of this.#buckets.values()) {
      if (bucket.key !== batchKey) batches += Math.ceil(Math.max(0, share * bucket.rows - since) / maxSize);
    }
    return batches;
  }

  /** Rows whose latency target counts from before a time; a millisecond old at most. */
  rowsCountedBefore(atMs: number, nowMs: number): number {
    if (nowMs - this.#countedAtMs < 1) return this.#countedRows;
    let rows = 0;
    for (const bucket of this.#buckets.values()) {
      if (bucket.firstCountsFromMs < atMs) rows += bucket.rowsCountedBefore(atMs);
    }
    this.#countedAtMs = nowMs;
    this.#countedRows = rows;
    return rows;
  }

  /** False: it would exceed the bound. */
  hasRoomFor(rows: number): boolean {
    return this.#rows === 0 || this.#rows + rows <= this.#maxRows;
  }

  push(entry: E): void {
    let bucket = this.#buckets.get(entry.batchKey);
    if (bucket === undefined) {
      bucket = new Bucket(entry.batchKey);
      this.#buckets.set(entry.batchKey, bucket);
    }
    bucket.push(entry);
    this.#count(entry, entry.rows);
  }

  /** The caller has gone; a no-op for an entry that left already. */
  remove(entry: E): void {
    if (entry.left) return;
    entry.left = true;
    this.#count(entry, -entry.rows);
    const bucket = this.#buckets.get(entry.batchKey);
    if (bucket === undefined) return;
    bucket.left(entry);
    this.#forgetIfEmpty(bucket);
  }

  /** The bucket whose turn it is. */
  next(): Bucket<E> | undefined {
    let best: Bucket<E> | undefined;
    let bestAtMs = Infinity;
    for (const bucket of this.#buckets.values()) {
      const { turnAtMs } = bucket;
      if (turnAtMs >= bestAtMs) continue;
      best = bucket;
      bestAtMs = turnAtMs;
    }
    return best;
  }

  /**
   * Up to `maxRows` rows of a bucket, in their turn. An entry that does not fit is cut: its rest would come with the next
   * batch anyway.
   * @param isLate - true for an entry that must be answered without a run: it leaves too, but is not among the entries.
   */
  take(bucket: Bucket<E>, maxRows: number, isLate: (entry: E) => boolean): { entries: E[]; rows: number } {
    const entries: E[] = [];
    let rows = 0;
    this.#countedAtMs = -Infinity;
    while (rows < maxRows) {
      const entry = bucket.shift();
      if (entry === undefined) break;
      entry.left = true; // where it is cut, its parts stand for it now
      this.#count(entry, -entry.rows);
      if (isLate(entry)) continue;
      const room = maxRows - rows;
      if (entry.rows <= room) {
        entries.push(entry);
        rows += entry.rows;
      } else {
        const [first, rest] = this.#split(entry, room);
        first.left = true;
        rest.left = false;
        entries.push(first);
        rows += room;
        bucket.unshift(rest);
        this.#count(rest, rest.rows);
      }
    }
    this.#forgetIfEmpty(bucket);
    return { entries, rows };
  }

  #count({ priority }: E, rows: number): void {
    this.#rows += rows;
    this.#rowsOf[priority] += rows;
  }

  /** Shapes may be many and never come again; the usual few are kept, so that a steady load makes none anew. */
  #forgetIfEmpty(bucket: Bucket<E>): void {
    if (bucket.rows === 0 && this.#buckets.size > KEPT_BUCKETS) this.#buckets.delete(bucket.key);
  }
}

/** A list that is read from its head; entries that left are passed over. */
class Fifo<E extends QueueEntry> {
  /** Taken places are emptied: what they held may be large, and the list lives long. */
  #entries: (E | undefined)[] = [];
  #at = 0;
  /** Entries in the list that left. */
  #left = 0;

  get head(): E | undefined {
    this.#skipLeft();
    return this.#entries[this.#at];
  }

  push(entry: E): void {
    this.#entries.push(entry);
  }

  /** Back to the head, from where it was just taken. */
  unshift(entry: E): void {
    if (this.#at > 0) {
      this.#at -= 1;
      this.#entries[this.#at] = entry;
    } else this.#entries.unshift(entry);
  }

  shift(): E | undefined {
    const { head } = this;
    if (head !== undefined) this.#drop();
    return head;
  }

  /** One of the entries has been marked. Who comes and goes while the model is busy must not fill the memory. */
  left(): void {
    this.#left += 1;
    if (this.#left < MAX_LEFT || this.#left * 2 < this.#entries.length - this.#at) return;
    this.#entries = this.#entries.filter((entry) => entry?.left === false);
    this.#at = 0;
    this.#left = 0;
  }

  /** Rows of the entries from the head on that were queued before a time. */
  rowsBefore(atMs: number): number {
    let rows = 0;
    for (let at = this.#at; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at] as E;
      if (entry.queuedAtMs >= atMs) break;
      if (!entry.left) rows += entry.rows;
    }
    return rows;
  }

  #drop(): void {
    this.#entries[this.#at] = undefined;
    this.#at += 1;
  }

  #skipLeft(): void {
    while (this.#entries[this.#at]?.left === true) {
      this.#drop();
      this.#left -= 1;
    }
    if (this.#at > 1024 && this.#at * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#at); // amortised: each entry is moved at most once per doubling
      this.#at = 0;
    } else if (this.#at === this.#entries.length && this.#at > 0) {
      this.#entries.length = 0;
      this.#at = 0;
    }
  }
}
