import type { Timing } from '../telemetry/request-log.js';
import { seriesOf, type Counter, type Gauge, type Metrics } from '../telemetry/metrics.js';
import type { Model } from './models.js';

// What the protocol calls the statistics of a model: counted per request where it arrives, read back for all processes.
// S1 A request is counted once, when it is over. Times of failed ones stand under `fail` alone.
// S2 A run that several requests share is counted by share, so that `execution_count` is the number of runs made for
//    requests of this protocol, whichever worker took them; API handlers that call the same runner are no part of it.

/** Number and summed time, in nanoseconds. */
export interface StatisticDuration {
  readonly count: number;
  readonly ns: number;
}

const PHASES = ['queue', 'compute_input', 'compute_infer', 'compute_output'] as const;
export type Phase = (typeof PHASES)[number];

export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Ms since the epoch; 0: never. */
  readonly lastInference: number;
  /** Rows of the requests that succeeded. */
  readonly inferenceCount: number;
  /** Runs of the model that they took (S2). */
  readonly executionCount: number;
  readonly durations: Readonly<Record<'success' | 'fail' | Phase, StatisticDuration>>;
}

/** What one call of a request contributed. */
export interface CountedCall {
  readonly rows: number;
  readonly timing: Timing;
}

/** Of a request that has succeeded, in ms on the clock of `performance.now()`. */
export interface RequestTimes {
  readonly startedAtMs: number;
  /** Its inputs are read. */
  readonly readAtMs: number;
  /** The runner has answered. */
  readonly answeredAtMs: number;
  /** Its outputs are there. */
  readonly endedAtMs: number;
}

/** Prefix of all series that `read` needs. */
export const STATISTICS_PREFIX = 'jubako_model_';

export class StatisticsBook {
  readonly #metrics: Metrics;
  readonly #pages = new Map<Model, Page>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  succeeded(model: Model, calls: readonly CountedCall[], times: RequestTimes): void {
    const page = this.#pageOf(model);
    let [queueMs, batchMs, computeMs] = [0, 0, 0];
    for (const { rows, timing } of calls) {
      page.inferences.add(model.maxBatchRows === null ? 1 : rows);
      page.executions.add(shareOf(model, rows, timing));
      queueMs += timing.queueMs;
      batchMs += timing.batchMs;
      computeMs += timing.computeMs;
    }
    page.success.add(1);
    page.successSeconds.add((times.endedAtMs - times.startedAtMs) / 1000);
    page.phases.queue.add(queueMs / 1000);
    page.phases.compute_input.add((times.readAtMs - times.startedAtMs + batchMs) / 1000);
    page.phases.compute_infer.add(computeMs / 1000);
    page.phases.compute_output.add((times.endedAtMs - times.answeredAtMs) / 1000);
    page.lastSeconds.set(Date.now() / 1000);
  }

  failed(model: Model, durationMs: number): void {
    const page = this.#pageOf(model);
    page.fail.add(1);
    page.failSeconds.add(durationMs / 1000);
  }

  #pageOf(model: Model): Page {
    let page = this.#pages.get(model);
    if (page === undefined) {
      page = openPage(this.#metrics, model);
      this.#pages.set(model, page);
    }
    return page;
  }
}

interface Page {
  readonly inferences: Counter;
  readonly executions: Counter;
  readonly success: Counter;
  readonly successSeconds: Counter;
  readonly fail: Counter;
  readonly failSeconds: Counter;
  readonly phases: Readonly<Record<Phase, Counter>>;
  readonly lastSeconds: Gauge;
}

function openPage(metrics: Metrics, { name, version }: Model): Page {
  const labels = { model: name, version };
  const seconds = (phase: string): Counter => metrics.counter('jubako_model_seconds_total', { ...labels, phase });
  const requests = (outcome: string): Counter => metrics.counter('jubako_model_requests_total', { ...labels, outcome });
  return {
    inferences: metrics.counter('jubako_model_inferences_total', labels),
    executions: metrics.counter('jubako_model_executions_total', labels),
    success: requests('success'),
    successSeconds: seconds('success'),
    fail: requests('fail'),
    failSeconds: seconds('fail'),
    phases: {
      queue: seconds('queue'),
      compute_input: seconds('compute_input'),
      compute_infer: seconds('compute_infer'),
      compute_output: seconds('compute_output'),
    },
    lastSeconds: metrics.gauge('jubako_model_last_inference_timestamp_seconds', labels),
  };
}

/** S2: a batch of 8 rows is an eighth of a run for the call that brought one of them. */
function shareOf({ maxBatchRows }: Model, rows: number, { batchRows }: Timing): number {
  return maxBatchRows === null || batchRows === 0 || rows === 0 ? 1 : rows / batchRows;
}

/** @param totals - of all processes, for `STATISTICS_PREFIX`. @param name - as the client calls the model. */
export function readStatistics(totals: Readonly<Record<string, number>>, model: Model, name: string): ModelStatistics {
  const { version } = model;
  const labels = { model: model.name, version };
  const total = (metric: string, more: Readonly<Record<string, string>> = {}): number =>
    totals[seriesOf(metric, { ...labels, ...more })] ?? 0;
  const nsOf = (phase: string): number => Math.round(total('jubako_model_seconds_total', { phase }) * 1e9);
  const countOf = (outcome: string): number => total('jubako_model_requests_total', { outcome });
  const success = countOf('success');
  const durations: Record<string, StatisticDuration> = {
    success: { count: success, ns: nsOf('success') },
    fail: { count: countOf('fail'), ns: nsOf('fail') },
  };
  for (const phase of PHASES) durations[phase] = { count: success, ns: nsOf(phase) };
  return {
    name,
    version,
    lastInference: Math.round(total('jubako_model_last_inference_timestamp_seconds') * 1000),
    inferenceCount: total('jubako_model_inferences_total'),
    executionCount: Math.round(total('jubako_model_executions_total')),
    durations: durations as ModelStatistics['durations'],
  };
}
