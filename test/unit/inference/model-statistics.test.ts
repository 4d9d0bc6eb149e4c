import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STATISTICS_PREFIX, StatisticsBook, readStatistics } from '#dist/inference/model-statistics.js';
import { Models, type Model } from '#dist/inference/models.js';
import { defineService } from '#dist/service/define.js';
import { Metrics, MetricsTotals } from '#dist/telemetry/metrics.js';
import { methodManifest, runnerManifest } from '../../support/manifests.js';

const spec = { kind: 'tensor', dtype: 'float32', shape: [-1, 2], allowNonFinite: false } as const;
const batch = { maxSize: 8, maxQueueSize: 64, maxLatencyMs: null };
const models = new Models(
  {
    name: 'sample',
    version: '2',
    apis: [],
    runners: [
      runnerManifest({
        name: 'net',
        methods: [
          methodManifest({ name: 'predict', input: spec, output: spec, batch }),
          methodManifest({ name: 'alone', input: spec, output: spec }),
        ],
      }),
    ],
    mounts: [],
    unavailable: [],
  },
  defineService({ name: 'sample', apis: {} }),
);
const batched = models.find('net', '');
const alone = models.find('net.alone', '');
const TIMES = { startedAtMs: 0, readAtMs: 1, answeredAtMs: 5, endedAtMs: 7 };

function count(model: Model, processes: readonly (readonly { rows: number; batchRows: number }[])[]): Model {
  processes.forEach((calls, i) => {
    const metrics = new Metrics();
    const book = new StatisticsBook(metrics);
    for (const { rows, batchRows } of calls) {
      const timing = { queueMs: 1, batchMs: 0.5, computeMs: 2, batchRows };
      book.succeeded(model, [{ rows, timing }], TIMES);
    }
    totals.add(String(i), metrics.takeDelta());
  });
  return model;
}

let totals = new MetricsTotals();

test('a run that several requests share is one run, whichever processes they came to', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 }), { maxLength: 30 }),
      (runs) => {
        totals = new MetricsTotals();
        const processes: { rows: number; batchRows: number }[][] = [[], [], []];
        for (const run of runs) {
          const batchRows = run.reduce((sum, rows) => sum + rows, 0);
          run.forEach((rows, i) => processes[i % 3]?.push({ rows, batchRows }));
        }
        const read = readStatistics(totals.counters(STATISTICS_PREFIX), count(batched, []), 'net');
        assert.equal(read.inferenceCount, 0);
        count(batched, processes);
        const { inferenceCount, executionCount, durations } = readStatistics(
          totals.counters(STATISTICS_PREFIX),
          batched,
          'net',
        );
        assert.equal(executionCount, runs.length);
        assert.equal(
          inferenceCount,
          runs.flat().reduce((sum, rows) => sum + rows, 0),
        );
        const requests = runs.flat().length;
        const ms = 1e6;
        assert.deepEqual(durations, {
          success: { count: requests, ns: 7 * ms * requests },
          fail: { count: 0, ns: 0 },
          queue: { count: requests, ns: ms * requests },
          compute_input: { count: requests, ns: 1.5 * ms * requests },
          compute_infer: { count: requests, ns: 2 * ms * requests },
          compute_output: { count: requests, ns: 2 * ms * requests },
        });
      },
    ),
  );
});

test('a model that does not batch is run once by each request, whatever rows it has', () => {
  totals = new MetricsTotals();
  count(alone, [[{ rows: 5, batchRows: 5 }], [{ rows: 3, batchRows: 0 }]]);
  const read = readStatistics(totals.counters(STATISTICS_PREFIX), alone, 'mine');
  assert.deepEqual([read.name, read.version, read.inferenceCount, read.executionCount], ['mine', '2', 2, 2]);
  assert.equal(readStatistics(totals.counters(STATISTICS_PREFIX), batched, 'net').inferenceCount, 0);
});

test('the last inference is the newest of all processes, and stays when another says an older one', () => {
  totals = new MetricsTotals();
  const series = 'jubako_model_last_inference_timestamp_seconds{model="net",version="2"}';
  totals.add('http-0', { counters: {}, gauges: { [series]: 1_000.5 } });
  totals.add('http-1', { counters: {}, gauges: { [series]: 999 } });
  assert.equal(readStatistics(totals.counters(STATISTICS_PREFIX), batched, 'net').lastInference, 1_000_500);
});
