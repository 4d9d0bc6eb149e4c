import type { ErrorCode } from '../errors.js';
import type { Counter, Metrics } from '../telemetry/metrics.js';

/** What one method of a runner counts, with its series at hand. */
export interface MethodMetrics {
  queued(rows: number): void;
  ran(rows: number, computeMs: number): void;
  answered(queueMs: number): void;
  count(outcome: 'ok' | ErrorCode): void;
}

export function createMethodMetrics(metrics: Metrics, runner: string, method: string): MethodMetrics {
  const labels = { runner, method };
  const queueRows = metrics.gauge('jubako_runner_queue_rows', labels);
  const batchRows = metrics.histogram('jubako_runner_batch_rows', labels);
  const queueSeconds = metrics.histogram('jubako_runner_queue_seconds', labels);
  const computeSeconds = metrics.histogram('jubako_runner_compute_seconds', labels);
  const outcomes = new Map<string, Counter>();
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
    ran(rows, computeMs) {
      batchRows.observe(rows);
      computeSeconds.observe(computeMs / 1000);
    },
    answered(queueMs) {
      queueSeconds.observe(queueMs / 1000);
      count('ok');
    },
    count,
  };
}
