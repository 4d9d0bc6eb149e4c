import type { ErrorCode } from '../errors.js';
import type { Counter, Metrics } from '../telemetry/metrics.js';
import type { BatchReason } from '../batching/batch-decision.js';

/** What one method of a runner counts, with its series at hand. */
export interface MethodMetrics {
  queued(rows: number): void;
  /** A batch has left the queue. */
  left(reason: BatchReason, rows: number, oldestWaitMs: number): void;
  ran(computeMs: number): void;
  answered(queueMs: number): void;
  count(outcome: 'ok' | ErrorCode): void;
}

export function createMethodMetrics(metrics: Metrics, runner: string, method: string): MethodMetrics {
  const labels = { runner, method };
  const queueRows = metrics.gauge('jubako_runner_queue_rows', labels);
  const batchRows = metrics.histogram('jubako_runner_batch_rows', labels);
  const oldestWaitSeconds = metrics.histogram('jubako_runner_batch_oldest_wait_seconds', labels);
  const queueSeconds = metrics.histogram('jubako_runner_queue_seconds', labels);
  const computeSeconds = metrics.histogram('jubako_runner_compute_seconds', labels);
  const outcomes = new Map<string, Counter>();
  const reasons = new Map<BatchReason, Counter>();
  const count = (outcome: 'ok' | ErrorCode): void => {
    let counter = outcomes.get(outcome);
    if (counter === undefined) {
      counter = metrics.counter('jubako_runner_calls_total', { ...labels, outcome });
      outcomes.set(outcome, counter);
    }
    counter.add(1);
  };
  return {
    queued(rows) {
      queueRows.set(rows);
    },
    left(reason, rows, oldestWaitMs) {
      batchRows.observe(rows);
      oldestWaitSeconds.observe(oldestWaitMs / 1000);
      let counter = reasons.get(reason);
      if (counter === undefined) {
        counter = metrics.counter('jubako_runner_batches_total', { ...labels, reason });
        reasons.set(reason, counter);
      }
      counter.add(1);
    },
    ran(computeMs) {
      computeSeconds.observe(computeMs / 1000);
    },
    answered(queueMs) {
      queueSeconds.observe(queueMs / 1000);
      count('ok');
    },
    count,
  };
}
