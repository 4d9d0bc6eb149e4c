// The rule that says when a batch leaves. Pure: no clock, no timer; the scheduler is the shell around it, and the
// simulator in the tests runs the same function.
// B1 Work-conserving: a free lane and a waiting row mean a batch leaves. What arrives while the lane is busy is the next
//    batch, and that alone adapts its size to the load.
// B2 The queue whose head has waited longest goes first, so no method starves another.

/** One method's queue, as the rule sees it. */
export interface QueueView {
  /** Rows that wait. */
  readonly rows: number;
  /** When the head was queued, on the clock of `performance.now()`. */
  readonly oldestAtMs: number;
  /** Rows that one run takes at most. */
  readonly maxSize: number;
}

export type BatchDecision =
  | { readonly kind: 'run'; readonly queueIndex: number; readonly maxRows: number }
  | { readonly kind: 'idle'; readonly why: 'busy' | 'empty' };

export function decideBatch(queues: readonly QueueView[], laneIsFree: boolean): BatchDecision {
  if (!laneIsFree) return { kind: 'idle', why: 'busy' };
  let chosen = -1;
  let oldestAtMs = Infinity;
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i];
    if (queue === undefined || queue.rows === 0 || queue.oldestAtMs >= oldestAtMs) continue;
    chosen = i;
    oldestAtMs = queue.oldestAtMs;
  }
  const queue = queues[chosen];
  return queue === undefined
    ? { kind: 'idle', why: 'empty' }
    : { kind: 'run', queueIndex: chosen, maxRows: queue.maxSize };
}
