// The rule that says when a batch leaves. Pure: no clock, no timer, no state; the scheduler is the shell around it, and the
// simulation in the tests runs the same function.
// B1 Work-conserving unless it pays: a free lane and a waiting row mean that a batch leaves, except where more rows are
//    expected so soon that all of them together are answered earlier. What arrives while the lane is busy is the next batch.
// B2 Two futures are compared by when rows are answered, all together. Now: n rows after T(n), and those that come meanwhile
//    after that, in batches of their own. After w: n rows and the k that come within w after w + T(n + k), and those that
//    come later after that. Calls that come all the time make the next batch anyway, so nothing waits for them; a burst, or
//    the callers of a loop who come back at once, are worth it. Two things weigh besides: callers in a loop who are
//    answered early come back and wait for the k, and rows that miss their target behind a run count a target more.
// B3 No wait makes the oldest row late: it and T must fit into what is left of the latency target. A target that the model
//    misses anyway is none.
// B4 Without a learned cost, or for runs too short for any timer, a batch leaves at once: a cold model delays nobody.

/** What waits in one bucket: rows that fit into one batch. */
export interface BucketView {
  /** Rows that wait. */
  readonly rows: number;
  /** When the oldest was queued, on the clock of `performance.now()`. */
  readonly oldestAtMs: number;
  /** Rows that one run takes at most. */
  readonly maxSize: number;
  /** Target for queue and compute together; Infinity: none. */
  readonly maxLatencyMs: number;
  /** False: the lane has other work to do meanwhile. */
  readonly mayWait: boolean;
  /** When a wait for this bucket began; undefined: no wait so far. */
  readonly waitedSinceMs: number | undefined;
  /** When the lane fell free. */
  readonly laneFreeAtMs: number;
}

/** What was learned about the time of a run; undefined while nothing is known. */
export interface CostForecast {
  predictMs(rows: number): number | undefined;
  /** On the careful side. */
  predictHighMs(rows: number): number | undefined;
}

export interface ArrivalForecast {
  /** Rows expected to arrive within so many ms from now. */
  expect(withinMs: number, nowMs: number): number;
  /** Those at any time. */
  expectAtMost(): number;
  /** How long a caller answered now will have waited again by `afterMs` from now, on average. */
  expectReturned(afterMs: number): number;
}

/**
 * Why a batch left: `full` · `backlog`: the lane fell free and rows waited · `idle`: rows came to a free lane ·
 * `gathered`: after a wait for more · `latency`: a further wait would have broken the target · `alone`: apart, after a failure.
 */
export type BatchReason = 'full' | 'backlog' | 'idle' | 'gathered' | 'latency' | 'alone';

export type BatchDecision =
  | { readonly kind: 'run'; readonly reason: BatchReason }
  /** Nothing leaves before `untilMs` unless something arrives. */
  | { readonly kind: 'wait'; readonly untilMs: number };

/** Runs below this are over before a timer could fire: waiting is for models that take longer. */
export const MIN_COST_MS = 0.5;
/** A timer fires no sooner. */
const LEAST_TIMER_MS = 1;
/** What a wait must gain to be worth its risk, in parts of what it costs those who wait. */
const MIN_GAIN = 0.1;
/** All waiting for one batch together, in runs of what is there: the forecast may be wrong each time it is asked. */
const PATIENCE = 1;
/** Fewer rows than this are not waited for. */
const MIN_ROWS = 0.05;
/** Waits that are weighed, in ms. */
const WAITS_MS: readonly number[] = [
  0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.8, 1, 1.3, 1.8, 2.5, 3.5, 5, 7, 10, 14, 20, 28, 40,
];
/** A longer wait is not weighed where it brings less than so many times the rows of a shorter one. */
const MIN_MORE = 1.01;

const RUN: Readonly<Record<BatchReason, BatchDecision>> = {
  full: { kind: 'run', reason: 'full' },
  backlog: { kind: 'run', reason: 'backlog' },
  idle: { kind: 'run', reason: 'idle' },
  gathered: { kind: 'run', reason: 'gathered' },
  latency: { kind: 'run', reason: 'latency' },
  alone: { kind: 'run', reason: 'alone' },
};

export function decideBatch(
  bucket: BucketView,
  costs: CostForecast,
  arrivals: ArrivalForecast,
  nowMs: number,
): BatchDecision {
  const { rows, maxSize, maxLatencyMs, waitedSinceMs, oldestAtMs } = bucket;
  if (rows >= maxSize) return RUN.full;
  const now = waitedSinceMs !== undefined ? RUN.gathered : oldestAtMs < bucket.laneFreeAtMs ? RUN.backlog : RUN.idle;
  if (!bucket.mayWait) return now;
  const costMs = costs.predictMs(rows);
  if (costMs === undefined || costMs < MIN_COST_MS || arrivals.expectAtMost() < MIN_ROWS) return now; // B4
  const patienceMs = PATIENCE * costMs - (waitedSinceMs === undefined ? 0 : nowMs - waitedSinceMs);
  const leftMs = costMs > maxLatencyMs ? Infinity : maxLatencyMs - (nowMs - oldestAtMs);
  const meanwhile = arrivals.expect(costMs, nowMs);
  let bestMs = 0;
  let bestGain = 0;
  let weighed = MIN_ROWS;
  for (const waitMs of WAITS_MS) {
    if (waitMs > patienceMs || weighed >= maxSize - rows) break;
    const more = Math.min(arrivals.expect(waitMs, nowMs), maxSize - rows);
    if (more < weighed) continue;
    weighed = more * MIN_MORE;
    const gain = gainOf(waitMs, bucket, more, Math.max(0, meanwhile - more), costMs, costs, arrivals);
    if (gain <= bestGain) continue;
    const togetherMs = costs.predictHighMs(rows + more) ?? costMs;
    if (Math.max(LEAST_TIMER_MS, Math.ceil(waitMs)) + togetherMs > leftMs) {
      // B3: what was found before is shorter, and fits.
      return bestMs > 0 ? { kind: 'wait', untilMs: nowMs + bestMs } : RUN.latency;
    }
    bestGain = gain;
    bestMs = waitMs;
  }
  return bestMs > 0 ? { kind: 'wait', untilMs: nowMs + bestMs } : now;
}

/**
 * B2, in rows × ms.
 * @param more - rows that come within the wait and fit.
 * @param later - those that would come after it, but before a run that begins now has ended.
 */
function gainOf(
  waitMs: number,
  { rows, maxSize, maxLatencyMs }: BucketView,
  more: number,
  later: number,
  costMs: number,
  costs: CostForecast,
  arrivals: ArrivalForecast,
): number {
  const togetherMs = costs.predictMs(rows + more) ?? costMs;
  const nextMs = costs.predictMs(Math.max(1, Math.min(more + later, maxSize))) ?? costMs;
  const missedMs = costMs <= maxLatencyMs && costMs + nextMs > maxLatencyMs ? maxLatencyMs : 0;
  const returnedMs = Math.min(1, more) * Math.max(0, rows - later) * arrivals.expectReturned(nextMs);
  const apart = rows * costMs + drained(more + later, costMs, maxSize, costs) + more * missedMs + returnedMs;
  const together = (rows + more) * (waitMs + togetherMs) + drained(later, waitMs + togetherMs, maxSize, costs);
  return apart - together - MIN_GAIN * rows * (togetherMs - costMs + waitMs);
}

/** When rows are answered that run from `fromMs` on in as few batches as can be: the sum over all of them. */
function drained(rows: number, fromMs: number, maxSize: number, costs: CostForecast): number {
  if (rows <= 0) return 0;
  const batches = Math.floor(rows / maxSize);
  const fullMs = batches > 0 ? (costs.predictMs(maxSize) ?? 0) : 0;
  const rest = rows - batches * maxSize;
  const restMs = rest > 0 ? (costs.predictMs(Math.max(1, rest)) ?? 0) : 0;
  const full = maxSize * batches * (fromMs + (fullMs * (batches + 1)) / 2);
  return full + rest * (fromMs + batches * fullMs + restMs);
}
