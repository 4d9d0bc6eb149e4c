import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchQueue, type Priority, type QueueEntry } from '#dist/batching/batch-queue.js';
import { CostModel } from '#dist/batching/cost-model.js';
import { doubtMs, forecastWaitMs, type QueueForecast } from '#dist/batching/wait-forecast.js';

function costsOf(cost: (rows: number) => number): CostModel {
  const costs = new CostModel();
  for (let i = 0; i < 40; i += 1) {
    const rows = [1, 4, 8][i % 3] ?? 1;
    costs.observe(rows, cost(rows));
  }
  return costs;
}

const costs = costsOf((rows) => 10 + rows);

function forecast(given: Partial<QueueForecast<QueueEntry>> = {}): QueueForecast<QueueEntry> {
  const queue = new BatchQueue<QueueEntry>(1000, () => {
    throw new TypeError('nothing is cut here');
  });
  return { queue, costs, maxSize: 8, maxLatencyMs: null, slots: 1, lastRows: 1, ...given };
}

function filled(
  rows: number,
  given: Partial<QueueEntry> = {},
  state: QueueForecast<QueueEntry> = forecast(),
): QueueForecast<QueueEntry> {
  for (let i = 0; i < rows; i += 1) {
    state.queue.push({
      rows: 1,
      batchKey: '',
      priority: 'normal',
      queuedAtMs: 1000,
      deadlineAtMs: undefined,
      left: false,
      ...given,
    });
  }
  return state;
}

function waitMs(state: QueueForecast<QueueEntry>, freeMs: number, priority: Priority = 'normal', key = ''): number {
  return Math.round(forecastWaitMs(state, 1, priority, key, freeMs, 1000) ?? -1);
}

test('forecastWaitMs knows nothing of a model that has not run', () => {
  assert.equal(forecastWaitMs(forecast({ costs: new CostModel() }), 1, 'normal', '', 0, 1000), undefined);
});

test('forecastWaitMs is the run alone where the lane is free, and the lane, the queue and the run where it is not', () => {
  assert.equal(waitMs(forecast(), 0), 11);
  assert.equal(waitMs(forecast(), 5), 16);
  assert.equal(waitMs(filled(3), 5), 19); // with the three in one batch
  assert.equal(waitMs(filled(8), 5), 41); // a full batch before it, and its own will be filled
  assert.equal(waitMs(filled(17), 5), 59);
});

test('forecastWaitMs expects others to join, as many as came to the last run', () => {
  assert.equal(waitMs(forecast({ lastRows: 8 }), 5), Math.round(5 + 10 + 0.8 * 8));
  assert.equal(waitMs(forecast({ lastRows: 8 }), 0), 11); // it leaves at once
});

test('forecastWaitMs shares the batches before a call among the lanes', () => {
  assert.equal(waitMs(filled(16, {}, forecast({ slots: 2 })), 5), 5 + 18 + 18);
});

test('forecastWaitMs counts what goes before a call of its priority', () => {
  const state = filled(8, { priority: 'low' });
  assert.deepEqual(
    (['high', 'normal', 'low'] as const).map((priority) => waitMs(state, 5, priority)),
    [16, 16, 41],
  );
});

test('forecastWaitMs does not count what will be given up', () => {
  const state = filled(16, { queuedAtMs: 900 }, forecast({ maxLatencyMs: 50 }));
  assert.equal(waitMs(state, 5), 16);
});

test('forecastWaitMs counts a batch of each shape that goes before', () => {
  const state = filled(2, { batchKey: 'a' });
  filled(2, { batchKey: 'b' }, state);
  assert.equal(waitMs(state, 5, 'normal', 'c'), 5 + 18 + 18 + 18);
  assert.ok(waitMs(state, 5, 'normal', 'a') < waitMs(state, 5, 'normal', 'c'));
});

test('doubtMs is nothing for a model that always takes the same, and more where it varies', () => {
  assert.ok(doubtMs(forecast(), 1) < 0.2, `${doubtMs(forecast(), 1)}`);
  let at = 0;
  const varying = costsOf((rows) => (10 + rows) * ((at += 1) % 2 === 0 ? 1.25 : 0.8));
  assert.ok(doubtMs(forecast({ costs: varying }), 1) > 1);
});
