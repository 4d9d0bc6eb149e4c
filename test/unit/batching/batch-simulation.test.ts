import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOP_MS, accelerator } from '../../support/simulation/costs.js';
import { compare, scoreOf } from '../../support/simulation/compare.js';
import { PlannerPolicy } from '../../support/simulation/planner-policy.js';
import { arrivalsOf, simulate } from '../../support/simulation/simulate.js';
import { NoBatching } from '../../support/simulation/simple-policies.js';
import type { Trace } from '../../support/simulation/trace.js';
import { TRACES, quick, shortened, traceNamed } from '../../support/simulation/traces.js';

const SEED = 1;
/** In loops, and where runs vary, each policy meets other chances. */
const CHANCE = 0.01;

for (const whole of TRACES) {
  test(`the planner makes at least 90 % of what can be made of "${whole.name}", and no less than any other rule`, () => {
    const { ours, bound, others } = compare(quick(whole), SEED);
    assert.ok(
      ours.rowsPerSecond >= 0.9 * bound.rowsPerSecond,
      `${ours.rowsPerSecond} rows/s, ${bound.kind} ${bound.rowsPerSecond}`,
    );
    for (const other of others) {
      assert.ok(
        ours.rowsPerSecond >= (1 - CHANCE) * other.rowsPerSecond,
        `${ours.rowsPerSecond} rows/s, ${other.policy} ${other.rowsPerSecond}`,
      );
    }
  });
}

test('a trace with the same seed is the same trace, and gives the same result', () => {
  const trace = shortened(traceNamed('noisy'), 0.2);
  assert.deepEqual(arrivalsOf(trace, 7), arrivalsOf(trace, 7));
  assert.notDeepEqual(arrivalsOf(trace, 7), arrivalsOf(trace, 8));
  assert.deepEqual(scoreOf(trace, 7, new PlannerPolicy(trace)), scoreOf(trace, 7, new PlannerPolicy(trace)));
});

test('at low load a batch waits for nobody: latencies are those without batches', () => {
  const trace = traceNamed('poisson-1');
  const batched = scoreOf(trace, SEED, new PlannerPolicy(trace));
  const unbatched = scoreOf(trace, SEED, new NoBatching(trace));
  assert.ok(batched.p50Ms <= 1.02 * unbatched.p50Ms, `${batched.p50Ms} ms, without ${unbatched.p50Ms} ms`);
  assert.ok(batched.p99Ms <= 1.02 * unbatched.p99Ms, `${batched.p99Ms} ms, without ${unbatched.p99Ms} ms`);
});

test('a new runner takes no longer for its first calls than for later ones', () => {
  const { calls } = simulate(traceNamed('cold-lone'), SEED, new PlannerPolicy(traceNamed('cold-lone')));
  for (const { arrivedAtMs, endedAtMs } of calls) {
    assert.ok(endedAtMs - arrivedAtMs < accelerator(1) + HOP_MS + 0.1, `${endedAtMs - arrivedAtMs} ms`);
  }
});

test('a model that was slow beyond any target is used as before once it is fast again', () => {
  const usual = traceNamed('poisson-30');
  const speed = [
    { fromMs: 500, factor: 30 },
    { fromMs: 1500, factor: 1 },
  ];
  const trace: Trace = { ...usual, speed };
  const { calls } = simulate(trace, SEED, new PlannerPolicy(trace));
  const after = calls.filter(({ arrivedAtMs }) => arrivedAtMs > 2000);
  const inTime = after.filter((call) => call.outcome === 'answered' && call.endedAtMs - call.arrivedAtMs <= 50);
  assert.ok(after.length > 100);
  assert.equal(inTime.length, after.length);
});

test('in overload calls are refused when they come, and those that are taken are answered in time', () => {
  const trace: Trace = { ...traceNamed('overload-2x'), countFromMs: 200 };
  const { p99Ms, refusedShare, lateShare } = scoreOf(trace, SEED, new PlannerPolicy(trace));
  assert.ok(p99Ms <= 50, `p99 ${p99Ms} ms`);
  assert.ok(refusedShare > 0.4 && lateShare < 0.005, `refused ${refusedShare}, given up later ${lateShare}`);
});

test('two lanes share a burst', () => {
  const trace: Trace = {
    ...traceNamed('two-lanes'),
    durationMs: 300,
    arrivals: () => [0, 50, 100, 150, 200].flatMap((atMs) => Array.from({ length: 64 }, () => ({ atMs, rows: 1 }))),
  };
  const { runs } = simulate(trace, SEED, new PlannerPolicy(trace));
  assert.deepEqual(
    runs.slice(-2).map(({ rows }) => rows),
    [32, 32],
  );
});
