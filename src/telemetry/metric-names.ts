// Every metric of Jubako, one row each. Labels are bounded: route templates, runner names, codes of the catalogue.

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  /** How the gauges of several processes are put together: added up (default), or the largest of them. */
  readonly of?: 'sum' | 'largest';
}

// The reference's duration buckets, with finer ones below: a request through a runner takes well under 5 ms.
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRICS = {
  jubako_requests_total: {
    type: 'counter',
    help: 'Requests by how they ended.',
    labels: ['protocol', 'route', 'outcome'],
  },
  jubako_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from the head of a request to the end of its answer.',
    labels: ['protocol', 'route'],
    buckets: SECONDS,
  },
  jubako_requests_in_progress: { type: 'gauge', help: 'Requests being worked on.', labels: ['protocol'] },
  jubako_connections: { type: 'gauge', help: 'Open client connections.', labels: ['protocol'] },
  jubako_runner_calls_total: {
    type: 'counter',
    help: 'Calls that a runner worker received, by how they ended.',
    labels: ['runner', 'method', 'outcome'],
  },
  jubako_runner_queue_rows: { type: 'gauge', help: 'Rows waiting for a batch.', labels: ['runner', 'method'] },
  jubako_runner_batch_rows: {
    type: 'histogram',
    help: 'Rows in each batch.',
    labels: ['runner', 'method'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
  },
  jubako_runner_batches_total: {
    type: 'counter',
    help: 'Batches by the reason for which they left the queue.',
    labels: ['runner', 'method', 'reason'],
  },
  jubako_runner_batch_oldest_wait_seconds: {
    type: 'histogram',
    help: 'Time that the oldest call of a batch waited.',
    labels: ['runner', 'method'],
    buckets: SECONDS,
  },
  jubako_runner_queue_seconds: {
    type: 'histogram',
    help: 'Time that a call waited for its batch.',
    labels: ['runner', 'method'],
    buckets: SECONDS,
  },
  jubako_runner_compute_seconds: {
    type: 'histogram',
    help: 'Time that the model took for a batch.',
    labels: ['runner', 'method'],
    buckets: SECONDS,
  },
  jubako_model_requests_total: {
    type: 'counter',
    help: 'Requests of the Open Inference Protocol to a model, by success or fail.',
    labels: ['model', 'version', 'outcome'],
  },
  jubako_model_inferences_total: {
    type: 'counter',
    help: 'Rows of such requests that were answered.',
    labels: ['model', 'version'],
  },
  jubako_model_executions_total: {
    type: 'counter',
    help: 'Runs of the model for such requests; a run that several share is counted by share.',
    labels: ['model', 'version'],
  },
  jubako_model_seconds_total: {
    type: 'counter',
    help: 'Time of such requests: all of it by success or fail, and where it went.',
    labels: ['model', 'version', 'phase'],
  },
  jubako_model_last_inference_timestamp_seconds: {
    type: 'gauge',
    help: 'When such a request was answered last.',
    labels: ['model', 'version'],
    of: 'largest',
  },
  jubako_workers: { type: 'gauge', help: 'Workers by state.', labels: ['role', 'state'] },
  jubako_worker_exits_total: { type: 'counter', help: 'Ends of workers by cause.', labels: ['role', 'cause'] },
  jubako_worker_recycles_total: {
    type: 'counter',
    help: 'Workers that were replaced by another without losing a call, by cause.',
    labels: ['role', 'cause'],
  },
  jubako_worker_rss_bytes: { type: 'gauge', help: 'Resident memory of each worker.', labels: ['worker'] },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;
