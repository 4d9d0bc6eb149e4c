import type { CostForecast } from './batch-decision.js';

// How many of the waiting rows a batch takes. Pure.
// C1 Where the oldest row is in time with a full batch, all is taken that fits: more rows at a time are more rows per time.
// C2 So it is where all that waits fits, and is in time but for rows that would be late alone: they keep nobody waiting.
// C3 Else the size with the most rows in time per run time is taken, and what is late with it is given up: it would keep
//    others waiting that can still be in time.
// C4 Where nothing can be in time, all is taken that fits: a late answer is better than none.
// C5 Where another lane is free, or soon will be, the rows are shared out if that answers them clearly earlier.

/** Rows that wait, in their turn. */
export interface WaitingRows {
  readonly rows: number;
  /** From when the latency target of the oldest row counts. */
  readonly firstCountsFromMs: number;
  /** Rows whose latency target counts from before a time. */
  rowsCountedBefore(atMs: number): number;
}

export interface Selection {
  readonly rows: number;
  /** Rows whose latency target counts from before this are given up. */
  readonly lateBeforeMs: number;
}

/** Each size that is weighed is this part of the one before. */
const SIZE_STEP = 0.97;
/** Rates that differ by less are the same. */
const MIN_GAIN = 1.005;
/** Share of the mean latency that sharing must save: it takes more of the lanes' time. */
const MIN_SHARING_GAIN = 0.06;

/** @param latencyMs - the target. */
export function selectRows(
  waiting: WaitingRows,
  maxSize: number,
  latencyMs: number,
  costs: CostForecast,
  nowMs: number,
): Selection {
  const most = Math.min(waiting.rows, maxSize);
  const all = { rows: most, lateBeforeMs: -Infinity };
  // A row is late with a run of so many ms if it counts from before now + ms - latencyMs.
  const cutMs = nowMs - latencyMs;
  const allMs = waiting.rows > maxSize ? likelyMs(most, costs) : costs.predictMs(most);
  if (allMs === undefined || waiting.firstCountsFromMs >= cutMs + allMs) return all; // C1
  if (waiting.rows <= maxSize) {
    const hopeless = waiting.rowsCountedBefore(cutMs + (costs.predictMs(1) ?? 0));
    if (waiting.rowsCountedBefore(cutMs + allMs) === hopeless) return all; // C2
  }
  let best = all;
  let bestRate = 0;
  for (let rows = most; rows >= 1; rows = Math.min(rows - 1, Math.floor(rows * SIZE_STEP))) {
    const ms = likelyMs(rows, costs) ?? allMs;
    if (rows / ms <= bestRate * MIN_GAIN) continue;
    const inTime = waiting.rows - waiting.rowsCountedBefore(cutMs + ms);
    const rate = Math.min(rows, inTime) / ms;
    if (rate <= bestRate * MIN_GAIN) continue;
    const lateMs = inTime >= rows ? ms : (costs.predictMs(rows) ?? ms);
    best = { rows, lateBeforeMs: cutMs + lateMs };
    bestRate = rate;
  }
  return best; // C3, C4
}

/** What a run takes with some certainty. */
function likelyMs(rows: number, costs: CostForecast): number | undefined {
  const ms = costs.predictMs(rows);
  return ms === undefined ? undefined : (ms + (costs.predictHighMs(rows) ?? ms)) / 2;
}

/**
 * C5: what this lane takes of `rows`.
 * @param share - what each lane would have if all that waits and runs were shared out.
 * @param otherLaneMs - until the next lane is free.
 */
export function shareRows(rows: number, share: number, otherLaneMs: number, costs: CostForecast): number {
  if (share >= rows || otherLaneMs === Infinity) return rows;
  const rest = rows - share;
  const allMs = costs.predictMs(rows);
  const shareMs = costs.predictMs(share);
  const restMs = costs.predictMs(Math.min(rest, share));
  if (allMs === undefined || shareMs === undefined || restMs === undefined) return rows;
  const sharedMs = share * shareMs + rest * (otherLaneMs + restMs);
  return sharedMs < (1 - MIN_SHARING_GAIN) * rows * allMs ? share : rows;
}
