import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HOP_MS } from '../../support/simulation/costs.js';
import { boundOf } from '../../support/simulation/optimum.js';
import { endAfterStalls, type Arrival, type Trace } from '../../support/simulation/trace.js';
import { traceNamed } from '../../support/simulation/traces.js';

// What the simulation is measured against must be right itself.

const MAX_SIZE = 3;
const cost = (rows: number): number => 1 + 0.4 * rows;

const trace: Trace = {
  name: 'small',
  about: '',
  models: [{ cost, maxSize: MAX_SIZE, maxQueueSize: 100, maxLatencyMs: 4 }],
  lanes: 1,
  latencyMs: 4,
  durationMs: 1000,
};

/** Most rows in time, by trying every sequence of batches of any rows, each as soon as it can be. */
function bestByTrying(arrivals: readonly Arrival[], freeAtMs: number, left: number): number {
  let best = 0;
  for (let batch = 1; batch < 1 << arrivals.length; batch += 1) {
    if ((batch & ~left) !== 0) continue;
    const members = arrivals.filter((_, i) => (batch & (1 << i)) !== 0);
    if (members.length > MAX_SIZE) continue;
    const startMs = Math.max(freeAtMs, ...members.map(({ atMs }) => atMs));
    const endMs = startMs + cost(members.length) + HOP_MS;
    const inTime = members.filter(({ atMs }) => endMs <= atMs + 4).length;
    if (inTime < members.length) continue; // without those that are late it is as good
    best = Math.max(best, inTime + bestByTrying(arrivals, endMs, left & ~batch));
  }
  return best;
}

test('the optimum is what trying everything finds', () => {
  const arrivals = fc
    .array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 1, maxLength: 6 })
    .map((times) => times.sort((a, b) => a - b).map((atMs): Arrival => ({ atMs, rows: 1 })));
  fc.assert(
    fc.property(arrivals, (given) => {
      const { rowsPerSecond, kind } = boundOf(trace, given);
      assert.equal(kind, 'optimum');
      assert.equal(Math.round(rowsPerSecond), bestByTrying(given, 0, (1 << given.length) - 1));
    }),
    { numRuns: 60 },
  );
});

test('with several lanes or shapes the bound is no less than the optimum of all rows alike', () => {
  const arrivals = Array.from({ length: 200 }, (_, i): Arrival => ({ atMs: i * 0.3, rows: 1 }));
  const exact = boundOf(trace, arrivals);
  const mixed = boundOf(
    trace,
    arrivals.map((arrival, i) => ({ ...arrival, batchKey: `${i % 2}` })),
  );
  assert.equal(mixed.kind, 'rate bound');
  assert.ok(mixed.rowsPerSecond >= exact.rowsPerSecond);
});

test('the loop bound is the cycle of one caller, and full batches for many', () => {
  const lone = boundOf(traceNamed('loop-1'), []);
  assert.ok(Math.abs(lone.rowsPerSecond - 1000 / (10.1 + HOP_MS + 0.7)) < 1, `${lone.rowsPerSecond}`);
  const many = boundOf(traceNamed('loop-256'), []);
  assert.ok(Math.abs(many.rowsPerSecond - 64_000 / (16.4 + HOP_MS)) < 1, `${many.rowsPerSecond}`);
});

test('work stands still during a stall, whenever it begins', () => {
  const stalls = [{ atMs: 10, ms: 5 }];
  assert.equal(endAfterStalls(stalls, 0, 8), 8);
  assert.equal(endAfterStalls(stalls, 8, 4), 17);
  assert.equal(endAfterStalls(stalls, 12, 4), 19);
  assert.equal(endAfterStalls(stalls, 15, 4), 19);
});
