// What the planner itself takes of the main thread. Needs a build. Usage: node scripts/simulate/decision-cost.mjs
//   arrival   admit, push, next; started, finished and load for each run that follows
//   weighing  one decision while more rows are expected, which is when all waits are weighed
import { ArrivalModel } from '../../dist/batching/arrival-model.js';
import { decideBatch } from '../../dist/batching/batch-decision.js';
import { BatchPlanner } from '../../dist/batching/batch-planner.js';
import { CostModel } from '../../dist/batching/cost-model.js';

const COUNT = 200_000;
const ROUNDS = 5;

for (const [name, cost] of [
  ['small model (0.05 + 0.005 n ms)', (rows) => 0.05 + 0.005 * rows],
  ['accelerator (10 + 0.1 n ms)', (rows) => 10 + 0.1 * rows],
]) {
  report(`arrival, ${name}`, () => serve(cost));
}
report('weighing', weigh());

function report(what, work) {
  const us = Array.from({ length: ROUNDS }, () => {
    const startedAtMs = performance.now();
    work();
    return ((performance.now() - startedAtMs) * 1000) / COUNT;
  }).sort((a, b) => a - b);
  process.stdout.write(`${what}: median ${us[ROUNDS >> 1].toFixed(2)} us, best ${us[0].toFixed(2)} us\n`);
}

/** Calls of one row that each find the lane free. */
function serve(cost) {
  const batch = { maxSize: 64, maxQueueSize: 1024, maxLatencyMs: 50 };
  const planner = new BatchPlanner([{ batch, concurrency: 1 }], 1, () => {
    throw new TypeError('one row is not cut');
  });
  let nowMs = 0;
  for (let i = 0; i < COUNT; i += 1) {
    nowMs += 0.02;
    const deadlineAtMs = nowMs + 60_000;
    if (planner.admit(0, 1, deadlineAtMs, nowMs, 'normal', '') === undefined) {
      const entry = { rows: 1, batchKey: '', priority: 'normal', queuedAtMs: nowMs, deadlineAtMs, left: false };
      planner.push(0, entry, nowMs);
    }
    const plan = planner.next(() => true, nowMs);
    if (plan.kind !== 'run') continue;
    const run = planner.started(0, '', plan.rows, nowMs);
    nowMs += cost(plan.rows);
    planner.finished(run, true, nowMs);
    planner.load(nowMs);
  }
}

/** 30 of the 64 callers of a loop are back. */
function weigh() {
  const costs = new CostModel();
  const arrivals = new ArrivalModel(1);
  let nowMs = 0;
  const returns = Array.from({ length: 64 }, (_, i) => 0.4 + (0.6 * i) / 64);
  for (let round = 0; round < 40; round += 1) {
    for (const rows of [1, 8, 33, 64]) costs.observe(rows, 10 + 0.1 * rows);
    arrivals.answered(64, nowMs);
    for (const afterMs of returns) arrivals.arrived(1, false, nowMs + afterMs);
    nowMs += 17;
  }
  arrivals.answered(64, nowMs);
  for (const afterMs of returns.slice(0, 30)) arrivals.arrived(1, false, nowMs + afterMs);
  const bucket = {
    rows: 30,
    oldestAtMs: nowMs + returns[0],
    maxSize: 64,
    maxLatencyMs: 50,
    mayWait: true,
    waitedSinceMs: nowMs + returns[0],
    laneFreeAtMs: nowMs,
  };
  return () => {
    for (let i = 0; i < COUNT; i += 1) decideBatch(bucket, costs, arrivals, nowMs + returns[29]);
  };
}
