import type { ErrorCode } from '../errors.js';
import type { Logger } from './logger.js';
import type { Counter, Histogram, Metrics } from './metrics.js';

/** Where the time of a request went, in ms, summed over its runner calls. */
export interface Timing {
  queueMs: number;
  batchMs: number;
  computeMs: number;
  /** Rows in the largest batch that a call of this request was part of; 0 without runner calls. */
  batchRows: number;
}

/** The end of a request, for the access log and the metrics. */
export interface RequestOutcome {
  readonly protocol: 'http' | 'grpc';
  /** Route template or RPC path, never a raw path; `(unknown)` for what matched nothing. */
  readonly route: string;
  /** HTTP status, or gRPC status number. */
  readonly status: number;
  /** `ok`, or the code of the failure. */
  readonly outcome: 'ok' | ErrorCode;
  readonly requestId: string;
  readonly durationMs: number;
  readonly timing: Timing | undefined;
}

/** Asked every few seconds by machines: counted like all, but on the log only at level debug while they succeed. */
const PROBES = new Set([
  '/livez',
  '/readyz',
  '/healthz',
  '/metrics',
  '/v2/health/live',
  '/v2/health/ready',
  '/grpc.health.v1.Health/Check',
  '/inference.GRPCInferenceService/ServerLive',
  '/inference.GRPCInferenceService/ServerReady',
]);

export type RecordRequest = (outcome: RequestOutcome) => void;

/** One access-log line and one count per request, by outcome; series are kept, so that a request costs no string. */
export function createRequestRecorder(logger: Logger, metrics: Metrics, accessLog: boolean): RecordRequest {
  const counters = new Map<string, Counter>();
  const durations = new Map<string, Histogram>();
  return (end) => {
    const { protocol, route, outcome } = end;
    const key = `${route} ${outcome}`;
    let counter = counters.get(key);
    if (counter === undefined) {
      counter = metrics.counter('jubako_requests_total', { protocol, route, outcome });
      counters.set(key, counter);
    }
    counter.add(1);
    let duration = durations.get(route);
    if (duration === undefined) {
      duration = metrics.histogram('jubako_request_duration_seconds', { protocol, route });
      durations.set(route, duration);
    }
    duration.observe(end.durationMs / 1000);
    if (!accessLog) return;
    if (outcome === 'ok' && PROBES.has(route)) logger.debug(toLine(end), 'request');
    else logger.info(toLine(end), 'request');
  };
}

function toLine(end: RequestOutcome): Record<string, unknown> {
  const { timing } = end;
  return {
    event: 'request.finished',
    protocol: end.protocol,
    requestId: end.requestId,
    route: end.route,
    status: end.status,
    outcome: end.outcome,
    durationMs: round(end.durationMs),
    ...(timing !== undefined &&
      timing.batchRows > 0 && {
        queueMs: round(timing.queueMs),
        batchMs: round(timing.batchMs),
        computeMs: round(timing.computeMs),
        batchRows: timing.batchRows,
      }),
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
