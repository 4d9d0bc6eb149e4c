import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchPlanner, type Plan } from '#dist/batching/batch-planner.js';
import type { Priority, QueueEntry } from '#dist/batching/batch-queue.js';
import { HOP_MS } from '../../support/simulation/costs.js';
import { PlannerPolicy } from '../../support/simulation/planner-policy.js';
import { simulate, type Simulation } from '../../support/simulation/simulate.js';
import type { Arrival, ModelSpec, Trace } from '../../support/simulation/trace.js';

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

const modelOf = (maxLatencyMs: number | null): ModelSpec => ({
  cost: (rows) => 1 + 0.2 * rows,
  maxSize: 8,
  maxQueueSize: 64,
  maxLatencyMs,
});

function traceOf(arrivals: readonly Arrival[], models: readonly ModelSpec[], lanes = 1): Trace {
  const durationMs = 1 + Math.max(0, ...arrivals.map(({ atMs }) => atMs));
  return { name: 'given', about: '', models, lanes, latencyMs: 20, durationMs, arrivals: () => arrivals };
}

const anyTrace = fc
  .record({
    calls: fc.array(
      fc.record({
        gapMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3, noNaN: true })),
        rows: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.integer({ min: 1, max: 30 })),
        method: fc.integer({ min: 0, max: 1 }),
        batchKey: fc.constantFrom('', '', '2,'),
        priority: fc.constantFrom(...PRIORITIES),
        deadlineMs: fc.option(fc.double({ min: 0, max: 30, noNaN: true }), { nil: undefined }),
        leavesMs: fc.option(fc.double({ min: 0, max: 30, noNaN: true }), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 120, size: 'max' },
    ),
    lanes: fc.integer({ min: 1, max: 3 }),
    maxLatencyMs: fc.constantFrom(null, 5, 20),
  })
  .map(({ calls, lanes, maxLatencyMs }) => {
    let atMs = 0;
    const arrivals = calls.map(({ gapMs, rows, method, batchKey, priority, deadlineMs, leavesMs }): Arrival => {
      atMs += gapMs;
      return {
        atMs,
        rows,
        method,
        batchKey,
        priority,
        ...(deadlineMs !== undefined && { deadlineAtMs: atMs + deadlineMs }),
        ...(leavesMs !== undefined && { leavesAtMs: atMs + leavesMs }),
      };
    });
    return traceOf(arrivals, [modelOf(maxLatencyMs), modelOf(null)], lanes);
  });

/** A property of what becomes of any calls. */
function always(title: string, holds: (simulation: Simulation, trace: Trace) => void): void {
  test(title, () => {
    fc.assert(
      fc.property(anyTrace, (trace) => {
        holds(simulate(trace, 1, new PlannerPolicy(trace)), trace);
      }),
      { numRuns: 120 },
    );
  });
}

always('every call is answered, refused, given up or gone, exactly once', ({ calls }, trace) => {
  assert.equal(calls.length, trace.arrivals?.({} as never).length);
  for (const { outcome, endedAtMs } of calls) {
    assert.notEqual(outcome, 'waiting');
    assert.ok(Number.isFinite(endedAtMs));
  }
});

always('each row of an answered call runs once, also where the call was cut', ({ calls, runs }) => {
  const rowsRun = new Map<number, number>();
  for (const { call, rows } of runs.flatMap(({ parts }) => parts)) {
    rowsRun.set(call.id, (rowsRun.get(call.id) ?? 0) + rows);
  }
  for (const { id, rows, outcome } of calls) {
    const ran = rowsRun.get(id) ?? 0;
    if (outcome === 'answered') assert.equal(ran, rows);
    else assert.ok(outcome === 'refused' ? ran === 0 : ran <= rows);
  }
});

always('a batch holds rows of one method and one shape, at most maxSize', ({ runs }) => {
  for (const { method, batchKey, parts, rows } of runs) {
    assert.ok(rows >= 1 && rows <= 8);
    assert.equal(
      parts.reduce((sum, part) => sum + part.rows, 0),
      rows,
    );
    for (const { call } of parts) assert.deepEqual([call.method, call.batchKey], [method, batchKey]);
  }
});

always('nothing runs whose caller has gone, whose deadline has passed, or that was given up', ({ runs }) => {
  for (const { startMs, parts } of runs) {
    for (const { call } of parts) {
      assert.ok(call.endedAtMs >= startMs);
      assert.ok((call.deadlineAtMs ?? Infinity) > startMs);
    }
  }
});

always('calls of one method, shape and priority start in the order of their arrival', ({ runs }) => {
  const last = new Map<string, number>();
  for (const { call } of runs.flatMap(({ parts }) => parts)) {
    const line = `${call.method}/${call.batchKey}/${call.priority}`;
    assert.ok((last.get(line) ?? -1) <= call.id);
    last.set(line, call.id);
  }
});

// That a lane is left idle with rows waiting, other than for a wait, the simulated policy throws at once.
always('a lane waits for more rows no longer than about a run', ({ longestIdleMs }) => {
  assert.ok(longestIdleMs <= 2.6 + HOP_MS + 2, `${longestIdleMs} ms`);
});

const flood = (ms: number, priority: Priority): Arrival[] =>
  Array.from({ length: 10 * ms }, (_, i) => ({ atMs: i / 10, rows: 1, priority }));

for (const priority of ['normal', 'low'] as const) {
  test(`a ${priority} call is answered under an endless flood of high ones`, () => {
    const trace = traceOf([...flood(2500, 'high'), { atMs: 50, rows: 1, priority }], [modelOf(null)]);
    const { calls } = simulate(trace, 1, new PlannerPolicy(trace));
    const call = calls.find((other) => other.priority === priority);
    assert.equal(call?.outcome, 'answered');
    const waitedMs = call.endedAtMs - call.arrivedAtMs;
    assert.ok(waitedMs < (priority === 'low' ? 1000 : 100) + 64 + 10, `${waitedMs} ms`);
  });
}

test('a flood of low calls does not keep a high one waiting, nor is it refused for them', () => {
  const high = Array.from({ length: 40 }, (_, i): Arrival => ({ atMs: 60 + 10 * i, rows: 1, priority: 'high' }));
  const trace = traceOf([...flood(500, 'low'), ...high], [{ ...modelOf(20), maxQueueSize: 1000 }]);
  const { calls } = simulate(trace, 1, new PlannerPolicy(trace));
  for (const { priority, outcome, arrivedAtMs, endedAtMs } of calls) {
    if (priority !== 'high') continue;
    assert.equal(outcome, 'answered');
    assert.ok(endedAtMs - arrivedAtMs < 2 * (2.6 + HOP_MS) + 0.1);
  }
});

test('a busy method and a busy shape starve no other', () => {
  for (const other of [{ method: 1 }, { batchKey: '2,' }]) {
    const trace = traceOf([...flood(300, 'normal'), { atMs: 50, rows: 1, ...other }], [modelOf(null), modelOf(null)]);
    const { calls } = simulate(trace, 1, new PlannerPolicy(trace));
    const call = calls.find(({ method, batchKey }) => method === 1 || batchKey === '2,');
    assert.equal(call?.outcome, 'answered');
    assert.ok(call.endedAtMs - call.arrivedAtMs < 64);
  }
});

function entry(queuedAtMs: number, given: Partial<QueueEntry> = {}): QueueEntry {
  return { rows: 1, batchKey: '', priority: 'normal', deadlineAtMs: undefined, left: false, ...given, queuedAtMs };
}

const split = (whole: QueueEntry, rows: number): [QueueEntry, QueueEntry] => [
  { ...whole, rows },
  { ...whole, rows: whole.rows - rows },
];

/** A planner that has seen runs of 1 and 8 rows that took 10 ms each. */
function warmPlanner(maxLatencyMs: number | null, maxQueueSize = 100): BatchPlanner<QueueEntry> {
  const planner = new BatchPlanner<QueueEntry>(
    [{ batch: { maxSize: 8, maxQueueSize, maxLatencyMs }, concurrency: 1 }],
    1,
    split,
  );
  for (let i = 0; i < 6; i += 1) {
    planner.finished(planner.started(0, '', i % 2 === 0 ? 1 : 8, i * 20), true, i * 20 + 10);
  }
  return planner;
}

function runOf(plan: Plan<QueueEntry>): Extract<Plan<QueueEntry>, { kind: 'run' }> {
  assert.equal(plan.kind, 'run');
  return plan;
}

test('an idle runner refuses nothing, however late the answer will be', () => {
  const planner = warmPlanner(5);
  assert.equal(planner.admit(0, 100, undefined, 1000), undefined);
  assert.equal(planner.admit(0, 1, 1001, 1000), undefined);
});

test('a call is refused as full, late, or beyond its deadline, with the learned wait', () => {
  const planner = warmPlanner(25, 30);
  planner.started(0, '', 8, 1000);
  for (let i = 0; i < 8; i += 1) planner.push(0, entry(1000), 1000);
  const late = planner.admit(0, 8, undefined, 1000);
  assert.equal(late?.cause, 'late');
  assert.ok(Math.abs((late.waitMs ?? 0) - 30) < 0.5, `${late.waitMs}`);
  assert.equal(planner.admit(0, 23, undefined, 1000)?.cause, 'full');
  assert.equal(warmPlanner(null).admit(0, 1, 999, 1000)?.cause, 'deadline');
  const other = warmPlanner(null);
  other.started(0, '', 8, 1000);
  other.push(0, entry(1000), 1000);
  assert.equal(other.admit(0, 1, 1005, 1000)?.cause, 'deadline');
  assert.equal(other.admit(0, 1, 1030, 1000), undefined);
});

test('a model that was never seen refuses nothing but by the bound of the queue', () => {
  const limits = { maxSize: 8, maxQueueSize: 20, maxLatencyMs: 1 };
  const planner = new BatchPlanner<QueueEntry>([{ batch: limits, concurrency: 1 }], 1, split);
  planner.started(0, '', 1, 0);
  for (let i = 0; i < 20; i += 1) {
    assert.equal(planner.admit(0, 1, 50, 40), undefined);
    planner.push(0, entry(40), 40);
  }
  assert.deepEqual(planner.admit(0, 1, 50, 40), { cause: 'full', waitMs: undefined });
});

test('a target that an idle runner would miss as well refuses nobody', () => {
  const planner = warmPlanner(5);
  planner.started(0, '', 8, 1000);
  planner.push(0, entry(1000), 1000);
  assert.equal(planner.admit(0, 1, undefined, 1000), undefined);
});

test('load says how long one more row would take, and whether nothing at all would be taken', () => {
  const fresh = new BatchPlanner<QueueEntry>([{ batch: null, concurrency: 1 }], 1, split);
  assert.deepEqual(fresh.load(0), { waitMs: -1, isFull: false });
  const planner = warmPlanner(25);
  assert.deepEqual(planner.load(1000), { waitMs: planner.waitMs(0, 1, 1000), isFull: false });
  planner.started(0, '', 8, 1000);
  for (let i = 0; i < 16; i += 1) planner.push(0, entry(1000), 1000);
  assert.equal(planner.admit(0, 1, undefined, 1000)?.cause, 'late');
  assert.equal(planner.load(1000).isFull, false); // a call of high priority would be taken
  for (let i = 0; i < 16; i += 1) planner.push(0, entry(1000, { priority: 'high' }), 1000);
  assert.equal(planner.load(1000).isFull, true);
});

test('what has waited too long is given up where others would be late for it, and served where none would', () => {
  const stale = warmPlanner(25);
  for (let i = 0; i < 4; i += 1) stale.push(0, entry(900), 900);
  assert.equal(runOf(stale.next(() => true, 1000)).entries.length, 4);

  const crowded = warmPlanner(25);
  for (let i = 0; i < 4; i += 1) crowded.push(0, entry(900), 900);
  for (let i = 0; i < 8; i += 1) crowded.push(0, entry(995), 995);
  const plan = runOf(crowded.next(() => true, 1000));
  assert.deepEqual(
    plan.late.map(({ cause }) => cause),
    ['late', 'late', 'late', 'late'],
  );
  assert.equal(plan.rows, 8);
  assert.ok(plan.entries.every(({ queuedAtMs }) => queuedAtMs === 995));
  assert.equal(plan.oldestWaitMs, 5);
  assert.equal(crowded.queuedRows, 0);
});

test('an entry whose deadline is nearer than even a lucky run is given up', () => {
  const planner = warmPlanner(null);
  planner.push(0, entry(1000, { deadlineAtMs: 1004 }), 1000);
  planner.push(0, entry(1000, { deadlineAtMs: 1040 }), 1000);
  const plan = runOf(planner.next(() => true, 1000));
  assert.deepEqual(
    plan.late.map(({ cause }) => cause),
    ['deadline'],
  );
  assert.equal(plan.rows, 1);
});

test('runs and rows are counted from their start to their end', () => {
  const planner = warmPlanner(null);
  const run = planner.started(0, '', 5, 1000);
  planner.push(0, entry(1000, { rows: 3 }), 1000);
  assert.deepEqual([planner.runningRows, planner.queuedRows, planner.queuedRowsOf(0)], [5, 3, 3]);
  assert.deepEqual(
    planner.next(() => false, 1001),
    { kind: 'idle' },
  );
  planner.finished(run, true, 1010);
  assert.equal(planner.runningRows, 0);
  assert.equal(planner.historyOf(0).runs, 7);
});
