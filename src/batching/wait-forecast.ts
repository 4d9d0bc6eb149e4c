import type { BatchQueue, Priority, QueueEntry } from './batch-queue.js';
import type { CostModel } from './cost-model.js';

// How long a call that comes now would wait for its answer. Pure.
// F1 It waits for a lane, for the batches before its own, and for its own, in which others will have joined it by then.
// F2 Rows that will be late when their turn comes are given up (batch-selection.ts) and delay nobody.

/** A run that has not begun is taken to get this share of the last one's rows: rather a few given up than many refused. */
const LAST_SHARE = 0.8;

export interface QueueForecast<E extends QueueEntry> {
  readonly queue: BatchQueue<E>;
  readonly costs: CostModel;
  readonly maxSize: number;
  readonly maxLatencyMs: number | null;
  /** Runs at a time. */
  readonly slots: number;
  /** Rows of the last run. */
  readonly lastRows: number;
}

/**
 * In ms; undefined while the model is not known.
 * @param freeMs - until a lane is free.
 */
export function forecastWaitMs<E extends QueueEntry>(
  { queue, costs, maxSize, maxLatencyMs, slots, lastRows }: QueueForecast<E>,
  rows: number,
  priority: Priority,
  batchKey: string,
  freeMs: number,
  nowMs: number,
): number | undefined {
  const fullMs = costs.predictMs(maxSize);
  if (fullMs === undefined) return undefined;
  const lastMs = costs.predictMs(lastRows) ?? fullMs;
  const givenUp = maxLatencyMs === null ? 0 : queue.rowsCountedBefore(nowMs + freeMs + lastMs - maxLatencyMs, nowMs); // F2
  const ahead = Math.max(0, queue.rowsAheadOf(priority) - givenUp);
  const last = ahead + rows - 1;
  const batches =
    queue.shapes > 1
      ? queue.batchesAhead(batchKey, rows, maxSize, ahead / Math.max(1, queue.rows))
      : Math.floor(last / maxSize);
  // Where full batches stand before it, enough will come to fill its own; else as many as came to the last one.
  const own = (last % maxSize) + 1;
  const ownMs = batches > 0 ? fullMs : costs.predictMs(freeMs > 0 ? Math.max(own, LAST_SHARE * lastRows) : own);
  return freeMs + (batches * fullMs) / slots + (ownMs ?? fullMs);
}

/** How much longer than that it may well take. */
export function doubtMs<E extends QueueEntry>({ costs, maxSize, lastRows }: QueueForecast<E>, rows: number): number {
  const size = Math.min(maxSize, Math.max(rows, lastRows));
  const ms = costs.predictMs(size) ?? 0;
  return ((costs.predictHighMs(size) ?? ms) - ms) / 2;
}
