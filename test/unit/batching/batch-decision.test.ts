import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decideBatch,
  type ArrivalForecast,
  type BucketView,
  type CostForecast,
} from '#dist/batching/batch-decision.js';

const NOW_MS = 1000;

const costs: CostForecast = {
  predictMs: (rows) => 10 + 0.1 * rows,
  predictHighMs: (rows) => 11 + 0.1 * rows,
};

const unknown: CostForecast = { predictMs: () => undefined, predictHighMs: () => undefined };

/** `rows` more rows come, all of them `afterMs` from now. */
function coming(rows: number, afterMs: number): ArrivalForecast {
  return {
    expect: (withinMs) => (withinMs >= afterMs ? rows : 0),
    expectAtMost: () => rows,
    expectReturned: () => 0,
  };
}

const nobody = coming(0, 0);

function bucket(given: Partial<BucketView>): BucketView {
  return {
    rows: 1,
    oldestAtMs: NOW_MS,
    maxSize: 64,
    maxLatencyMs: Infinity,
    mayWait: true,
    waitedSinceMs: undefined,
    laneFreeAtMs: NOW_MS - 50,
    ...given,
  };
}

const decide = (
  given: Partial<BucketView>,
  arrivals: ArrivalForecast,
  costsGiven: CostForecast = costs,
): ReturnType<typeof decideBatch> => decideBatch(bucket(given), costsGiven, arrivals, NOW_MS);

test('a full batch leaves, whatever is expected', () => {
  assert.deepEqual(decide({ rows: 64 }, coming(64, 0.5)), { kind: 'run', reason: 'full' });
  assert.deepEqual(decide({ rows: 90 }, coming(64, 0.5)), { kind: 'run', reason: 'full' });
});

test('a batch leaves at once where nobody is expected, and says whether the lane or the rows came first', () => {
  assert.deepEqual(decide({}, nobody), { kind: 'run', reason: 'idle' });
  assert.deepEqual(decide({ oldestAtMs: NOW_MS - 60 }, nobody), { kind: 'run', reason: 'backlog' });
  assert.deepEqual(decide({ waitedSinceMs: NOW_MS - 1 }, nobody), { kind: 'run', reason: 'gathered' });
});

test('a batch waits for many rows that come soon, and not for long', () => {
  const decision = decide({}, coming(30, 1));
  assert.equal(decision.kind, 'wait');
  assert.equal(decision.untilMs, NOW_MS + 1);
});

test('a batch does not wait where the lane has other work, the cost is not known, or a run is over before a timer', () => {
  assert.equal(decide({ mayWait: false }, coming(30, 1)).kind, 'run');
  assert.equal(decide({}, coming(30, 1), unknown).kind, 'run');
  const quick: CostForecast = { predictMs: () => 0.4, predictHighMs: () => 0.4 };
  assert.equal(decide({}, coming(30, 0.1), quick).kind, 'run');
});

test('a batch does not wait for few rows with many waiting, nor longer than a wait can gain', () => {
  assert.equal(decide({ rows: 40 }, coming(1, 1)).kind, 'run');
  assert.equal(decide({ rows: 40 }, coming(20, 0.5)).kind, 'wait');
  assert.equal(decide({}, coming(30, 5)).kind, 'wait');
  assert.equal(decide({}, coming(30, 12)).kind, 'run'); // longer than a run
  assert.equal(decide({ rows: 30 }, coming(30, 7)).kind, 'run');
});

test('a batch does not wait where rows come all the time: they make the next one', () => {
  const steady: ArrivalForecast = {
    expect: (withinMs) => withinMs,
    expectAtMost: () => Infinity,
    expectReturned: () => 0,
  };
  assert.equal(decide({ rows: 10 }, steady).kind, 'run');
});

test('a batch waits for the last caller of a loop, who would keep the others waiting later', () => {
  const arrivals: ArrivalForecast = { ...coming(1, 0.3), expectReturned: (afterMs) => afterMs - 0.7 };
  assert.equal(decide({ rows: 40 }, coming(1, 0.3)).kind, 'run');
  assert.equal(decide({ rows: 40 }, arrivals).kind, 'wait');
});

test('a batch leaves before a wait makes its oldest row late', () => {
  assert.equal(decide({ oldestAtMs: NOW_MS - 5, maxLatencyMs: 22 }, coming(30, 1)).kind, 'wait');
  assert.deepEqual(decide({ oldestAtMs: NOW_MS - 5, maxLatencyMs: 18 }, coming(30, 1)), {
    kind: 'run',
    reason: 'latency',
  });
});

test('a batch waits for rows that would miss their target behind it', () => {
  assert.equal(decide({ rows: 40, maxLatencyMs: 100 }, coming(2, 0.6)).kind, 'run');
  assert.equal(decide({ rows: 40, maxLatencyMs: 20 }, coming(2, 0.6)).kind, 'wait');
});

test('a target that the model cannot reach does not keep it from gathering', () => {
  assert.equal(decide({ oldestAtMs: NOW_MS - 5, maxLatencyMs: 3 }, coming(30, 1)).kind, 'wait');
});

test('all waits for one batch together are no longer than a run', () => {
  assert.equal(decide({ waitedSinceMs: NOW_MS - 9.9 }, coming(30, 1)).kind, 'run');
});
