import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, MetricsTotals } from '#dist/telemetry/metrics.js';

const LABELS = { protocol: 'http', route: '/a', outcome: 'ok' };

test('MetricsTotals adds what processes counted, and keeps the counts of dead ones', () => {
  const totals = new MetricsTotals();
  const [first, second] = [new Metrics(), new Metrics()];
  first.counter('jubako_requests_total', LABELS).add(2);
  second.counter('jubako_requests_total', LABELS).add(3);
  totals.add('a', first.takeDelta());
  totals.add('b', second.takeDelta());
  totals.add('a', first.takeDelta()); // nothing new
  totals.forget('b');
  assert.match(totals.render(), /^jubako_requests_total\{protocol="http",route="\/a",outcome="ok"\} 5$/m);
});

test('MetricsTotals sums gauges of the living only', () => {
  const totals = new MetricsTotals();
  for (const [source, value] of [
    ['a', 2],
    ['b', 3],
  ] as const) {
    const metrics = new Metrics();
    metrics.gauge('jubako_connections', { protocol: 'http' }).set(value);
    totals.add(source, metrics.takeDelta());
  }
  assert.match(totals.render(), /jubako_connections\{protocol="http"\} 5/);
  totals.forget('b');
  assert.match(totals.render(), /jubako_connections\{protocol="http"\} 2/);
});

test('a histogram counts cumulatively, with sum and count', () => {
  const metrics = new Metrics();
  const rows = metrics.histogram('jubako_runner_batch_rows', { runner: 'r', method: 'm' });
  for (const value of [1, 3, 5000]) rows.observe(value);
  const totals = new MetricsTotals();
  totals.add('a', metrics.takeDelta());
  const text = totals.render();
  assert.match(text, /# TYPE jubako_runner_batch_rows histogram/);
  for (const [le, count] of [
    ['1', 1],
    ['2', 1],
    ['4', 2],
    ['1024', 2],
    ['+Inf', 3],
  ] as const) {
    assert.ok(
      text.includes(`jubako_runner_batch_rows_bucket{runner="r",method="m",le="${le}"} ${count}\n`),
      `${le}\n${text}`,
    );
  }
  assert.ok(text.includes('jubako_runner_batch_rows_sum{runner="r",method="m"} 5004\n'));
  assert.ok(text.includes('jubako_runner_batch_rows_count{runner="r",method="m"} 3\n'));
});

test('labels are escaped as the text format wants it', () => {
  const metrics = new Metrics();
  metrics.counter('jubako_requests_total', { ...LABELS, route: 'a"b\\c\nd' }).add(1);
  const totals = new MetricsTotals();
  totals.add('a', metrics.takeDelta());
  assert.ok(totals.render().includes('route="a\\"b\\\\c\\nd"'));
});
